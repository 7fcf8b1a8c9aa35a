import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cases.case import Case
from conformance.verdict.judge import TensorVerdict, Verdict, judge
from conformance.verdict.oracle import Expectation, Oracle
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
    """Judges the reference's own values after replacing tensors.

    Args:
        change: replacements by tensor name: an array, a function of the tensor, or None to remove it.
        options: options of the case.
    """
    problem = make_problem(Case(**(OPTIONS | options)))
    expectation = Oracle(None).expect(problem, PROFILES[problem.case.dtype], Dialect())
    solution: dict[str, Any] = {name: array.copy() for name, array in expectation.values.items()}
    for name, new in (change or {}).items():
        solution[name] = new(solution[name]) if callable(new) else new
    solution = {name: array for name, array in solution.items() if array is not None}
    return problem, dict(expectation.budget), judge(problem, solution, expectation)


def only_failure(verdict: Verdict) -> TensorVerdict:
    (wrong,) = (tensor for tensor in verdict.tensors if not tensor.conforms)
    return wrong


def test_the_reference_conforms_in_every_tensor() -> None:
    problem, _, verdict = attempt()
    assert verdict.conforms
    assert verdict.error_ratio == 0
    assert [tensor.name for tensor in verdict.tensors] == list(problem.expected_shapes())


def test_a_tensor_without_elements_conforms_if_its_shape_is_right() -> None:
    verdict = attempt(batch=0)[2]
    assert (verdict.conforms, verdict.error_ratio) == (True, 0.0)
    assert only_failure(attempt({"h_n": np.zeros((4, 1, 4))}, batch=0)[2]).reason.startswith("h_n has shape (4, 1, 4)")


@pytest.mark.parametrize(("share", "conforms"), [(0.99, True), (1.01, False)])
def test_a_deviation_conforms_up_to_the_budget(share: float, conforms: bool) -> None:
    _, budget, _ = attempt()
    moved = {name: lambda array, name=name: array + share * budget[name] for name in ("h_n", "grad.weight_hh_l1")}
    verdict = attempt(moved)[2]
    assert verdict.conforms is conforms
    assert verdict.error_ratio == pytest.approx(share, rel=1e-3)


def test_a_failure_beyond_the_bound_is_proven() -> None:
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
            "h_n has shape (5, 4), expected (4, 5, 4): the axis layer·direction is missing",
        ),
        (
            "c_n",
            lambda a: a[:, None],
            {},
            "c_n has shape (4, 1, 5, 4), expected (4, 5, 4): axes of size 1 were added or dropped",
        ),
        (
            "h_n",
            lambda a: a[:, 0],
            {"batch": 1},
            "h_n has shape (4, 4), expected (4, 1, 4): axes of size 1 were added or dropped",
        ),
        (
            "output",
            lambda a: a.reshape(30, 8),
            {},
            "output has shape (30, 8), expected (6, 5, 8): axes were merged or split",
        ),
        (
            "grad.weight_ih_l0",
            lambda a: a.T,
            {},
            "grad.weight_ih_l0 has its axes in the order (feature, gate·unit): (3, 16), expected (16, 3)",
        ),
        (
            "h_n",
            lambda a: a.T,
            {"batch": 4, "hidden_size": 7},
            "h_n has its axes in the order (unit, row, layer·direction): (7, 4, 4), expected (4, 4, 7)",
        ),
        ("grad.input", lambda a: a[:-1], {}, "grad.input has shape (5, 5, 3), expected (6, 5, 3)"),
        ("h_n", lambda a: a.astype(int), {}, "h_n has dtype int64, expected floating point"),
        ("c_n", None, {}, "c_n is missing from the solution"),
        ("h_m", np.zeros(3), {}, "h_m is not a tensor of this problem"),
    ],
)
def test_wrong_names_shapes_and_dtypes_are_explained(tensor: str, change: Any, options: Any, reason: str) -> None:
    verdict = attempt({tensor: change}, **options)[2]
    wrong = only_failure(verdict)
    assert (wrong.name, wrong.reason) == (tensor, reason)
    assert verdict.proven
    assert math.isinf(verdict.error_ratio)


def test_a_missing_tensor_does_not_hide_other_failures() -> None:
    verdict = attempt({"output": None, "c_n": lambda array: array + 1.0})[2]
    assert [tensor.name for tensor in verdict.tensors if not tensor.conforms] == ["output", "c_n"]


def shift(index: tuple[int, ...], by: float = 1.0) -> Any:
    def change(array: Any) -> Any:
        array[index] += by
        return array

    return change


@pytest.mark.parametrize(
    ("tensor", "index", "options", "position"),
    [
        ("output", (2, 1, 6), {}, "step 2, row 1, reverse, unit 2"),
        ("output", (1, 2, 1), {"batch_first": True}, "row 1, step 2, forward, unit 1"),
        ("output", (2, 1), {"batch": "unbatched"}, "step 2, forward, unit 1"),
        ("output", (2, 1, 8), {"hidden_size": [4, 6]}, "step 2, row 1, reverse, unit 2"),
        ("h_n", (3, 4, 0), {}, "layer 1, reverse, row 4, unit 0"),
        ("c_n_l1", (1, 4, 5), {"hidden_size": [4, 6]}, "layer 1, reverse, row 4, unit 5"),
        ("output", (2, 1, 5), {"reverse_hidden_size": 2}, "step 2, row 1, reverse, unit 1"),
        ("h_n_l1_reverse", (0, 4, 1), {"reverse_hidden_size": 2}, "layer 1, reverse, row 4, unit 1"),
        ("grad.bias_hh_l0_reverse", (3,), {"reverse_hidden_size": 2}, "layer 0, reverse, forget gate, unit 1"),
        ("jvp.output", (2, 1, 6), {"check": ["jvp"]}, "step 2, row 1, reverse, unit 2"),
        ("hvp.weight_ih_l0", (5, 2), {"check": ["hvp"]}, "layer 0, forward, forget gate, unit 1, feature 2"),
        ("grad.c_0", (2, 0, 3), {}, "layer 1, forward, row 0, unit 3"),
        ("grad.input", (5, 0, 2), {}, "step 5, row 0, feature 2"),
        ("grad.weight_ih_l0", (5, 2), {}, "layer 0, forward, forget gate, unit 1, feature 2"),
        ("grad.weight_ih_l1_reverse", (8, 7), {}, "layer 1, reverse, candidate gate, unit 0, input unit 7"),
        ("grad.weight_hh_l1", (15, 0), {}, "layer 1, forward, output gate, unit 3, previous unit 0"),
        ("grad.bias_hh_l0_reverse", (0,), {}, "layer 0, reverse, input gate, unit 0"),
        ("grad.peephole_l0", (5,), {"peepholes": True}, "layer 0, forward, forget gate, unit 1"),
        ("grad.peephole_l0_reverse", (9,), {"peepholes": True}, "layer 0, reverse, output gate, unit 1"),
        (
            "grad.weight_hr_l0",
            (1, 3),
            {"proj_size": 2},
            "layer 0, forward, projected unit 1, unit 3",
        ),
    ],
)
def test_the_worst_element_is_described(tensor: str, index: tuple[int, ...], options: Any, position: str) -> None:
    _, budget, verdict = attempt({tensor: shift(index)}, **options)
    wrong = only_failure(verdict)
    assert wrong.name == tensor
    assert f" at {position}: " in wrong.reason
    assert wrong.detail["where"] == position
    assert wrong.detail["index"] == list(index)
    assert (wrong.detail["wrong"], wrong.detail["of"]) == (1, budget[tensor].size)
    assert wrong.detail["budget"] == budget[tensor][index]
    assert float.fromhex(wrong.detail["got_hex"]) == wrong.detail["got"]
    assert float.fromhex(wrong.detail["expected_hex"]) == wrong.detail["expected"]
    assert wrong.detail["evidence"]["worst"][0][:2] == [list(index), position]


def test_the_reported_tolerances_are_the_smallest_that_pass() -> None:
    problem, _, verdict = attempt({"h_n": shift((0, 0, 0), 0.25)})
    wrong = only_failure(verdict)
    expected = Oracle(None).expect(problem, PROFILES["float32"], Dialect()).values["h_n"]
    got = expected.copy()
    got[0, 0, 0] += 0.25
    for rule, other in (("rtol", "atol"), ("atol", "rtol")):
        tolerance = wrong.detail[f"{rule}_to_pass"]
        np.testing.assert_allclose(got, expected, **{rule: tolerance * (1 + 1e-12), other: 0})
        with pytest.raises(AssertionError):
            np.testing.assert_allclose(got, expected, **{rule: tolerance * 0.999, other: 0})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_never_conform(value: float) -> None:
    wrong = only_failure(attempt({"grad.h_0": shift((1, 2, 3), value)})[2])
    position = "layer 0, reverse, row 2, unit 3"
    assert wrong.reason == f"grad.h_0 is not finite in 1 of 80 elements, first {value} at {position}"
    found = wrong.detail
    assert (found["where"], found["index"], found["wrong"], found["of"]) == (position, [1, 2, 3], 1, 80)
    assert found["evidence"]["not_finite"] == 1


def test_zeroed_padding_must_be_exactly_zero() -> None:
    verdict = attempt({"output": shift((5, 2, 0), 1e-30)}, lengths=[6, 3, 1, 2, 4])[2]
    assert "error ratio inf (1 of 240 elements)" in only_failure(verdict).reason


def test_of_several_elements_that_must_be_exact_the_one_with_the_largest_deviation_is_the_worst() -> None:
    def change(array: Any) -> Any:
        array[0, 0, 0] += 5.0
        array[5, 2, 0] += 1e-30
        array[5, 2, 1] += 1e-3
        return array

    wrong = only_failure(attempt({"output": change}, lengths=[6, 3, 1, 2, 4])[2])
    assert (wrong.detail["index"], wrong.detail["wrong"]) == ([5, 2, 1], 3)


ANY = st.floats() | st.sampled_from([0.0, math.inf, -math.inf, math.nan, 1.0, 5e-324, 1.7e308])
NOT_NEGATIVE = ANY.map(abs)
TINY = make_problem(Case(input_size=1, hidden_size=2, seq_len=1, batch=1, check=("h_n",)))


def judge_tiny(got: Any, values: Any, budget: Any, bound: Any) -> Verdict:
    """Judges the two elements of h_n."""
    given_ = {"values": values, "budget": budget, "bound": bound}
    shaped = {name: {"h_n": np.array([[array]])} for name, array in given_.items()}
    return judge(TINY, {"h_n": np.array([[got]])}, Expectation(**shaped, condition=1.0, largest=1.0))


def test_elements_at_their_budget_and_at_their_bound_are_neither_wrong_nor_proven_wrong() -> None:
    verdict = judge_tiny(got=(1.0, 1.5), values=(0.0, 0.0), budget=(1.0, 1.0), bound=(1.5, 1.5))
    assert only_failure(verdict).detail["wrong"] == 1
    assert not verdict.proven


@pytest.mark.parametrize(
    ("got", "values", "budget", "tolerances"),
    [
        pytest.param((0.0, 3.0), (0.0, 2.0), (0.5, 0.5), (0.5, 1.0), id="equal to an expected 0"),
        pytest.param((9.0, 1.5), (1.0, 1.0), (np.inf, 0.1), (0.5, 0.5), id="unspecified"),
        pytest.param((1.0, 1.0), (0.0, 1.0), (0.1, 0.1), (np.inf, 1.0), id="not 0 as expected"),
    ],
)
def test_tolerances_ignore_elements_that_need_none(got: Any, values: Any, budget: Any, tolerances: Any) -> None:
    detail = only_failure(judge_tiny(got, values, budget, bound=(1.0, 1.0))).detail
    assert (detail["rtol_to_pass"], detail["atol_to_pass"]) == tolerances


@given(got=st.tuples(ANY, ANY), values=st.tuples(ANY, ANY), budget=st.tuples(NOT_NEGATIVE, NOT_NEGATIVE), bound=ANY)
def test_an_error_ratio_is_never_nan(got: Any, values: Any, budget: Any, bound: float) -> None:
    """Holds even if the reference or the budget is not finite, although such cases are rejected."""
    verdict = judge_tiny(got, values, budget, bound=(bound, bound))
    assert verdict.error_ratio >= 0
    assert verdict.conforms == (verdict.error_ratio <= 1)
    for tensor in verdict.tensors:
        assert all(not math.isnan(tensor.detail.get(name, 0.0)) for name in ("rtol_to_pass", "atol_to_pass"))
