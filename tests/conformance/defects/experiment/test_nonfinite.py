"""The place where NaN or infinity begins is described, and where it comes from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.experiment.dissection import investigate
from conformance.defects.experiment.nonfinite import describe_nonfinite
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered, Arrays

PADDED = {"lengths": (2, 5, 4), "padding": "nan", "direction": "bidirectional"}


def case(**options: Any) -> Case:
    sizes = {"input_size": 2, "hidden_size": 3, "seq_len": 5, "batch": 3, "dtype": "float64", "name": "case"}
    return Case.model_validate(sizes | options)


def filled(found: Arrays, name: str, *index: Any, number: float = np.nan) -> Arrays:
    array = np.array(found[name], np.float64)
    array[index] = number
    return found | {name: array}


def leaks_row_2(found: Arrays, problem: Problem) -> Arrays:
    """The reverse direction shows NaN at step 4 of row 2 in units 1 and 2, from step 3 on."""
    if not np.isnan(problem.input[4, 2]).any():
        return found
    return filled(filled(found, "output", slice(1, 4), 2, slice(4, 6)), "h_n", 1, 2)


def overflows(found: Arrays, problem: Problem) -> Arrays:
    large = np.abs(problem.parameters["weight_hh_l0"]).max() > 1e-2
    return filled(found, "grad.weight_hh_l0", 7, 1, number=np.inf) if large else found


def shows_padding(found: Arrays, problem: Problem) -> Arrays:
    assert problem.mask is not None
    return filled(found, "h_n", 0, 1) if problem.input[~problem.mask].any() else found


@pytest.mark.parametrize(
    ("after", "options", "expected"),
    [
        (
            leaks_row_2,
            PADDED,
            "NaN begins in output at step 3, row 2, reverse, unit 1; it comes from NaN in the input at step 4 of row 2",
        ),
        (
            overflows,
            {"num_layers": 2},
            "all results are finite; infinity begins in grad.weight_hh_l0 at layer 0, forward, candidate gate, unit 1, "
            "previous unit 1; it does not occur if weight_hh is multiplied by 1/1024",
        ),
        (
            shows_padding,
            {"lengths": (2, 5, 4), "padding": "large", "num_layers": 2},
            "NaN begins in h_n at layer 0, forward, row 1, all units; it comes from the values in the padding",
        ),
        (
            lambda found, _: filled(found, "output", 2),
            {"padding": "nan", "lengths": (2, 5, 4), "batch_first": True},
            "NaN begins in output at row 2, step 0, forward, all units; it does not come from NaN in the input",
        ),
        (lambda found, _: found | {"h_n": -found["h_n"]}, {}, ""),
    ],
    ids=["padding with NaN", "overflow", "large padding", "anywhere", "finite"],
)
def test_the_beginning_and_the_source_are_described(
    after: Callable[[Arrays, Problem], Arrays], options: dict[str, Any], expected: str
) -> None:
    subject = Subject(Altered("lost", after=after))
    assert describe_nonfinite(subject, subject.try_problem(subject.problem(case(**options)))) == expected


def test_rows_are_named_if_many_steps_are_nan() -> None:
    subject = Subject(Altered("lost", after=lambda found, problem: filled(found, "h_n") if _leaks(problem) else found))
    padded = case(lengths=(1, 12, 4), seq_len=12, padding="nan")
    text = describe_nonfinite(subject, subject.try_problem(subject.problem(padded)))
    assert text.endswith("it comes from NaN in the input at row 2")


def _leaks(problem: Problem) -> bool:
    return bool(np.isnan(problem.input[:, 2]).any())


def test_a_dissection_says_where_nan_begins() -> None:
    subject = Subject(Altered("lost", after=leaks_row_2))
    result, _ = investigate(subject, (), [case(**PADDED)])
    assert result.findings[0].what.startswith("NaN begins in output at step 3, row 2, reverse, unit 1")
