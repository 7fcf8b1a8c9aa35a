"""NaN in the input must reach exactly the elements that depend on it."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from conformance.cases.case import Case
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

FORWARD = ("output", "h_n", "c_n")
BASE: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, "check": FORWARD}


def expect(**options: Any) -> tuple[Problem, Expectation, dict[str, Any]]:
    """Returns a problem with NaN in its input, its expectation, and a conforming float32 solution."""
    problem = make_problem(Case.model_validate(BASE | {"input_nan": True} | options))
    expectation = Oracle(None).expect(problem, PROFILES[problem.case.dtype], Dialect())
    return problem, expectation, {name: value.astype(np.float32) for name, value in expectation.values.items()}


def test_exactly_one_element_of_the_input_is_nan() -> None:
    problem, _, _ = expect()
    assert np.argwhere(np.isnan(problem.input)).tolist() == [[3, 0, 0]]
    assert not problem.input.flags.writeable


@pytest.mark.parametrize(
    ("options", "steps"),
    [({}, [3, 4, 5]), ({"direction": "reverse"}, [0, 1, 2, 3]), ({"direction": "bidirectional"}, range(6))],
    ids=str,
)
def test_nan_is_expected_in_its_row_from_its_step_on(options: dict[str, Any], steps: Any) -> None:
    _, expectation, _ = expect(**options)
    found = np.argwhere(np.isnan(expectation.values["output"]))
    assert sorted({int(step) for step in found[:, 0]}) == list(steps)
    assert set(found[:, 1]) == {0}
    assert np.isfinite(expectation.budget["output"]).all()
    numbers = ~np.isnan(expectation.values["output"])
    assert (expectation.budget["output"][numbers] > 0).all()


def verdict(change: Any, **options: Any) -> Verdict:
    problem, expectation, solution = expect(**options)
    change(solution)
    return judge(problem, solution, expectation)


def test_elements_that_do_not_depend_on_nan_are_judged() -> None:
    assert verdict(lambda _: None).conforms

    def off(solution: dict[str, Any]) -> None:
        solution["output"][0, 1, 2] += 1e-3

    assert "output is off by 0.001" in verdict(off).tensors[0].reason


def test_a_missing_nan_is_reported() -> None:
    def hide(solution: dict[str, Any]) -> None:
        solution["h_n"] = np.nan_to_num(solution["h_n"])

    [_, hidden, _] = verdict(hide).tensors
    position = "layer 0, forward, row 0, unit 0"
    assert hidden.reason == f"h_n must be NaN but is not in 5 of 15 elements: got 0 at {position}"
    assert (hidden.name, hidden.proven) == ("h_n", True)
    assert hidden.detail == {"where": position, "index": [0, 0, 0], "wrong": 5, "of": 15}


def test_a_nan_in_an_independent_element_is_reported() -> None:
    def spread(solution: dict[str, Any]) -> None:
        solution["c_n"][:, 1] = np.nan

    assert "c_n is not finite in 5 of 15 elements" in verdict(spread).tensors[2].reason


@pytest.mark.parametrize(
    "options",
    [{"check": ("gradients",)}, {"lengths": "ragged"}, {"clip": 1.0}, {"activations": ("relu",) * 3}],
    ids=str,
)
def test_input_nan_requires_a_plain_cell_without_lengths_and_gradients(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="input_nan requires check without gradients, no lengths, and"):
        expect(**options)
