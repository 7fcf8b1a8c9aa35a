"""What a known divergence excuses, and what it does not."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.defect import Defect, solve
from conformance.defects.diagnosis.compose import compose
from conformance.known import expected
from conformance.known.divergences import Divergence
from conformance.known.expected import DEFECTS
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem, round_to
from reference import PROFILES, Dialect

ORACLE = Oracle(None)
RIGHT = Defect(id="none", what="without a defect")
CLIPPED: dict[str, Any] = {"clip": 0.3}
ROWS: dict[str, Any] = {"clip": 0.3, "lengths": (3, 5)}


def entry(id: str, **options: Any) -> Divergence:  # noqa: A002
    values: dict[str, Any] = {
        "id": id,
        "implementation": "*",
        "package": "numpy",
        "versions": ">=1",
        "features": ["float32"],
        "what": f"It {id}.",
        "reason": "r",
        "upstream": "none found",
        "reproduction": "x.py",
        "tensors": ["*"],
    }
    return Divergence.model_validate(values | options)


NO_CLIP = entry("no-clip", defects=["clip-ignored"])
NO_LENGTHS = entry("no-lengths", defects=["lengths-ignored"])


def judged(
    *defects: str, off: float = 0.0, dtype: str = "float32", computed: str = "", **options: Any
) -> JudgedSolution:  # fmt: skip
    """A solution by an LSTM with these defects, one tensor of which is off by so much."""
    case = Case.model_validate(
        {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 2, "dtype": dtype, "padding": "random"} | options
    )
    problem = make_problem(case)
    wrong: Defect | None = RIGHT
    if defects:
        first, *others = (DEFECTS[name] for name in sorted(defects))
        wrong = compose(first, *others) if others else first
    assert wrong
    solution: dict[str, Any] = {
        name: round_to(computed or dtype, array).astype(array.dtype)
        for name, array in solve(wrong, problem, Dialect()).items()
        if name in problem.expected_shapes()
    }
    solution["h_n"] = solution["h_n"] + off
    return JudgedSolution(problem, solution, ORACLE.expect(problem, PROFILES[dtype], Dialect()), Dialect())


def said(found: JudgedSolution, *entries: Divergence) -> str:
    """The status, and the entries that are named."""
    verdict = judge(found.problem, found.solution, found.expectation)
    failing = [tensor.name for tensor in verdict.tensors if not tensor.conforms]
    told = (
        expected.for_deviation(entries, failing, found, ORACLE) if failing else expected.for_conformance(entries, found)
    )
    return f"{told.status} {told.reason.split(':')[0].split(' no longer')[0]}" if told else ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judged("clip-ignored", **CLIPPED), "known no-clip"),
        (judged("clip-ignored", off=0.01, **CLIPPED), ""),
        (judged("clip-at-twice-the-bound", **CLIPPED), ""),
        (judged(**CLIPPED), "fixed no-clip"),
        (judged(clip=50.0), ""),
    ],
    ids=["itself", "something else beside it", "in another size", "gone", "not to be seen here"],
)
def test_one_that_behaves_like_a_defect_is_that_defect(found: JudgedSolution, expected: str) -> None:
    assert said(found, NO_CLIP) == expected


@pytest.mark.parametrize(
    ("defects", "expected"),
    [
        (["clip-ignored", "lengths-ignored"], "known no-clip and no-lengths"),
        (["clip-ignored"], "fixed no-lengths"),
        (["lengths-ignored"], "fixed no-clip"),
        ([], "fixed no-clip"),
        (["clip-ignored", "biases-ignored"], ""),
    ],
)
def test_several_that_a_case_shows_are_told_apart(defects: list[str], expected: str) -> None:
    assert said(judged(*defects, **ROWS), NO_CLIP, NO_LENGTHS) == expected


def test_one_that_depends_on_values_is_no_news_when_it_is_gone() -> None:
    assert said(judged(**CLIPPED), NO_CLIP.model_copy(update={"always": False})) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (judged(dtype="float64", computed="float32"), "known coarse"),
        (judged(dtype="float64", computed="float16"), ""),
        (judged("biases-ignored", dtype="float64", computed="float32"), ""),
        (judged(dtype="float64"), "fixed coarse"),
    ],
    ids=["float32", "float16", "and a defect", "float64"],
)
def test_less_precise_arithmetic_keeps_its_own_budget(found: JudgedSolution, expected: str) -> None:
    assert said(found, entry("coarse", profile="float32")) == expected


def test_a_largest_error_ratio_is_the_largest() -> None:
    assert said(judged(off=1e-5), entry("rough", error_ratio=100.0)) == "known rough"
    assert said(judged(off=1e-2), entry("rough", error_ratio=100.0)) == ""


def test_what_one_entry_leaves_open_another_does_not_open() -> None:
    anything = entry("h_n-is-anything", tensors=["h_n"])
    assert said(judged("clip-ignored", off=1.0, **CLIPPED), NO_CLIP, anything) == "known no-clip and h_n-is-anything"
    wrong = judged("clip-at-twice-the-bound", off=1.0, **CLIPPED)
    assert said(wrong, NO_CLIP, anything) == ""


def test_a_tensor_of_another_shape_is_no_defect_of_the_catalogue() -> None:
    found = judged("clip-ignored", **CLIPPED)
    solution = {**found.solution, "h_n": np.zeros((1, 1))}
    assert said(found._replace(solution=solution), NO_CLIP) == ""


def test_an_error_is_the_first_of_which_the_message_tells() -> None:
    entries = [entry("other", tensors=[], error="^died"), entry("raises", tensors=[], error="no kernel"), NO_CLIP]
    found = expected.for_error(entries, "RuntimeError: no kernel for it")
    assert found == ("known", "raises: It raises.")
    assert expected.for_error(entries, "another") is None
