import math
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

OPTIONS: dict[str, Any] = {
    "input_size": 3,
    "hidden_size": 4,
    "num_layers": 2,
    "direction": "bidirectional",
    "seq_len": 6,
    "batch": 5,
}


def attempt(change: dict[str, Any] | None = None, **options: Any) -> tuple[Problem, dict[str, Any], Verdict]:
    """Judges the reference's own values, with some tensors replaced; a function is applied to the tensor."""
    problem = make_problem(Case(**(OPTIONS | options)))
    expectation = Oracle(None).expect(problem, PROFILES[problem.case.dtype], Dialect())
    solution: dict[str, Any] = {name: array.copy() for name, array in expectation.values.items()}
    for name, new in (change or {}).items():
        solution[name] = new(solution[name]) if callable(new) else new
    solution = {name: array for name, array in solution.items() if array is not None}
    return problem, dict(expectation.budget), judge(problem, solution, expectation)


def only_failure(verdict: Verdict) -> str:
    (wrong,) = (tensor for tensor in verdict.tensors if not tensor.conforms)
    return wrong.reason


def test_the_reference_conforms_with_all_of_its_tensors() -> None:
    problem, _, verdict = attempt()
    assert verdict.conforms
    assert verdict.error_ratio == 0
    assert [tensor.name for tensor in verdict.tensors] == list(problem.expected_shapes())


@pytest.mark.parametrize(("share", "conforms"), [(0.99, True), (1.01, False)])
def test_the_budget_is_the_line(share: float, conforms: bool) -> None:
    _, budget, _ = attempt()
    moved = {name: lambda array, name=name: array + share * budget[name] for name in ("h_n", "grad.weight_hh_l1")}
    verdict = attempt(moved)[2]
    assert verdict.conforms is conforms
    assert verdict.error_ratio == pytest.approx(share, rel=1e-3)


def test_beyond_the_rigorous_bound_a_failure_is_proven() -> None:
    _, budget, _ = attempt()
    assert not attempt({"c_n": lambda array: array + 1.01 * budget["c_n"]})[2].proven
    assert attempt({"c_n": lambda array: array + 1.0})[2].proven


@pytest.mark.parametrize(
    ("tensor", "change", "options", "reason"),
    [
        ("h_n", lambda a: a.swapaxes(0, 1), {}, "h_n is batch-first: (5, 4, 4), expected (4, 5, 4)"),
        ("output", lambda a: a.swapaxes(0, 1), {}, "output is batch-first: (5, 6, 8), expected (6, 5, 8)"),
        (
            "output",
            lambda a: a.swapaxes(0, 1),
            {"batch_first": True},
            "output has its axes in the order (step, row, unit): (6, 5, 8), expected (5, 6, 8)",
        ),
        (
            "h_n",
            lambda a: a[0],
            {},
            "h_n has shape (5, 4), expected (4, 5, 4): the axis that counts layer·direction is missing",
        ),
        (
            "c_n",
            lambda a: a[:, None],
            {},
            "c_n has shape (4, 1, 5, 4), expected (4, 5, 4): axes of size 1 were added or dropped",
        ),
        (
            "output",
            lambda a: a.reshape(30, 8),
            {},
            "output has shape (30, 8), expected (6, 5, 8): the same number of elements in other axes",
        ),
        (
            "grad.weight_ih_l0",
            lambda a: a.T,
            {},
            "grad.weight_ih_l0 has its axes in the order (feature, gate·unit): (3, 16), expected (16, 3)",
        ),
        ("grad.input", lambda a: a[:-1], {}, "grad.input has shape (5, 5, 3), expected (6, 5, 3)"),
        ("h_n", lambda a: a.astype(int), {}, "h_n is int64, expected floating point"),
        ("c_n", None, {}, "c_n missing from the solution"),
        ("h_m", np.zeros(3), {}, "h_m not a tensor of this problem"),
    ],
)
def test_structure_is_judged_first_and_in_words(tensor: str, change: Any, options: Any, reason: str) -> None:
    verdict = attempt({tensor: change}, **options)[2]
    assert only_failure(verdict) == reason
    assert verdict.proven
    assert math.isinf(verdict.error_ratio)


def moved(index: tuple[int, ...], by: float = 1.0) -> Any:
    def change(array: Any) -> Any:
        array[index] += by
        return array

    return change


@pytest.mark.parametrize(
    ("tensor", "index", "options", "place"),
    [
        ("output", (2, 1, 6), {}, "step 2, row 1, reverse, unit 2"),
        ("output", (1, 2, 1), {"batch_first": True}, "row 1, step 2, forward, unit 1"),
        ("output", (2, 1), {"batch": "unbatched"}, "step 2, forward, unit 1"),
        ("h_n", (3, 4, 0), {}, "layer 1, reverse, row 4, unit 0"),
        ("c_n_l1", (1, 4, 5), {"hidden_size": [4, 6]}, "layer 1, reverse, row 4, unit 5"),
        ("grad.c_0", (2, 0, 3), {}, "layer 1, forward, row 0, unit 3"),
        ("grad.input", (5, 0, 2), {}, "step 5, row 0, feature 2"),
        ("grad.weight_ih_l0", (5, 2), {}, "layer 0, forward, forget gate, unit 1, feature 2"),
        ("grad.weight_ih_l1_reverse", (8, 7), {}, "layer 1, reverse, candidate gate, unit 0, unit below 7"),
        ("grad.weight_hh_l1", (15, 0), {}, "layer 1, forward, output gate, unit 3, previous unit 0"),
        ("grad.bias_hh_l0_reverse", (0,), {}, "layer 0, reverse, input gate, unit 0"),
        (
            "grad.weight_hr_l0",
            (1, 3),
            {"proj_size": 2},
            "layer 0, forward, projected unit 1, unit 3",
        ),
    ],
)
def test_the_worst_element_is_named(tensor: str, index: tuple[int, ...], options: Any, place: str) -> None:
    verdict = attempt({tensor: moved(index)}, **options)[2]
    assert f" at {place}: " in only_failure(verdict)
    (wrong,) = (each for each in verdict.tensors if not each.conforms)
    assert wrong.detail["index"] == list(index)
    assert wrong.detail["wrong"] == 1
    assert float.fromhex(wrong.detail["got_hex"]) == wrong.detail["got"]
    assert float.fromhex(wrong.detail["expected_hex"]) == wrong.detail["expected"]


def test_the_tolerances_that_would_have_passed_would_have_passed() -> None:
    problem, _, verdict = attempt({"h_n": moved((0, 0, 0), 0.25)})
    (wrong,) = (each for each in verdict.tensors if not each.conforms)
    expected = Oracle(None).expect(problem, PROFILES["float32"], Dialect()).values["h_n"]
    got = expected.copy()
    got[0, 0, 0] += 0.25
    for rule, other in (("rtol", "atol"), ("atol", "rtol")):
        tolerance = wrong.detail[f"{rule}_to_pass"]
        np.testing.assert_allclose(got, expected, **{rule: tolerance * (1 + 1e-12), other: 0})
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(got, expected, **{rule: tolerance * 0.999, other: 0})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_never_conforms(value: float) -> None:
    verdict = attempt({"grad.h_0": moved((1, 2, 3), value)})[2]
    assert only_failure(verdict) == (
        f"grad.h_0 is not finite in 1 of 80 elements, first {value} at layer 0, reverse, row 2, unit 3"
    )


def test_padding_that_must_be_0_has_no_budget() -> None:
    verdict = attempt({"output": moved((5, 2, 0), 1e-30)}, lengths=[6, 3, 1, 2, 4])[2]
    assert "error ratio inf (1 of 240 elements)" in only_failure(verdict)
