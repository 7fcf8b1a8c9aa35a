"""Wrong gradients within a step and between steps equal those computed by hand, or from parts of the sequence."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import adjoint, through_time
from conformance.defects.defect import Defect
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from tests.conformance.defects.problems import Tensors, assert_close, correct, correct_outputs, defective, problem_of

BY_ID = {defect.id: defect for defect in [*adjoint.DEFECTS, *through_time.DEFECTS]}


def run_in_parts(problem: Problem, places: list[int], h: bool, c: bool) -> Tensors:
    """Returns the gradients of a sequence that runs in parts, between which they flow through h, c, both or neither."""
    assert problem.initial_state is not None
    bounds = [0, *places, problem.case.seq_len]
    parts, state = [], dict(problem.initial_state)
    for first, last in pairwise(bounds):
        case = problem.case.model_copy(update={"seq_len": last - first})
        part = replace(problem, case=case, input=problem.input[first:last], initial_state=state)
        results = correct_outputs(part)
        state = {"h_0": results["h_n"], "c_0": results["c_n"]}
        parts.append((part, slice(first, last)))
    total: Tensors = {}
    enter = {"h_n": problem.cotangents["h_n"], "c_n": problem.cotangents["c_n"]}
    inputs: list[Any] = []
    for part, span in reversed(parts):
        results = correct(replace(part, cotangents={**enter, "output": problem.cotangents["output"][span]}))
        enter = {"h_n": results["grad.h_0"] * h, "c_n": results["grad.c_0"] * c}
        inputs.insert(0, results["grad.input"])
        for name in part.parameters:
            total[f"grad.{name}"] = total.get(f"grad.{name}", 0.0) + results[f"grad.{name}"]
        total |= {"grad.h_0": results["grad.h_0"], "grad.c_0": results["grad.c_0"]}
    return total | {"grad.input": np.concatenate(inputs)}


@pytest.mark.parametrize(
    ("name", "places", "h", "c", "factors"),
    [
        ("grad-h-stops-at-each-step", [1, 2, 3, 4], False, True, {"grad.h_0": 0.0}),
        ("grad-c-stops-at-each-step", [1, 2, 3, 4], True, False, {"grad.c_0": 0.0}),
        ("grad-h-stops-at-one-step", [2], False, True, {}),
        ("grad-c-stops-at-one-step", [2], True, False, {}),
        ("grad-truncated-in-the-middle", [2], False, False, {}),
        ("grad-truncated-to-two-steps", [1, 2, 3], False, False, {"grad.h_0": 0.0, "grad.c_0": 0.0}),
    ],
)
def test_a_gradient_that_stops_equals_that_of_a_sequence_in_parts(
    name: str, places: list[int], h: bool, c: bool, factors: dict[str, float]
) -> None:
    problem = problem_of(seq_len=5)
    expected = run_in_parts(problem, places, h, c)
    for tensor, factor in factors.items():
        expected[tensor] = expected[tensor] * factor
    assert_close(defective(BY_ID[name], problem), expected)


class OneStep:
    """One step of one row, computed by hand: states (H,) and gradients."""

    def __init__(self, **options: Any) -> None:
        self.problem = problem_of(seq_len=1, batch=1, **options)
        assert self.problem.initial_state is not None
        p = {name.removesuffix("_l0"): array for name, array in self.problem.parameters.items()}
        self.w = p["weight_hh"]
        h_0, self.c_0 = (self.problem.initial_state[name][0, 0] for name in ("h_0", "c_0"))
        z = p["weight_ih"] @ self.problem.input[0, 0] + p["bias_ih"] + self.w @ h_0 + p["bias_hh"]
        zi, zf, zg, zo = np.split(z, 4)
        self.i, self.f, self.o = (1 / (1 + np.exp(-each)) for each in (zi, zf, zo))
        self.g = np.tanh(zg)
        self.c = self.f * self.c_0 + self.i * self.g
        cot = {name: array.reshape(-1) for name, array in self.problem.cotangents.items()}
        self.d_h, self.d_c_n = cot["output"] + cot["h_n"], cot["c_n"]

    def back(
        self,
        *,
        slope_c: Any = None,
        slopes: dict[int, Any] | None = None,
        by: dict[int, Any] | None = None,
        d_c_n: Any = None,
        deltas: Callable[[list[Any]], list[Any]] = lambda d: d,
        through_f: Any = None,
        w: Any = None,
    ) -> Tensors:
        """Returns the gradients with respect to the bias, h_0 and c_0, with some of their terms replaced."""
        i, f, g, o, th = self.i, self.f, self.g, self.o, np.tanh(self.c)
        slope = {0: i * (1 - i), 1: f * (1 - f), 2: 1 - g**2, 3: o * (1 - o)} | (slopes or {})
        other = {0: g, 1: self.c_0, 2: i, 3: th} | (by or {})
        d_c = (self.d_c_n if d_c_n is None else d_c_n) + self.d_h * o * (1 - th**2 if slope_c is None else slope_c)
        d_z = np.concatenate(deltas([(self.d_h if k == 3 else d_c) * other[k] * slope[k] for k in range(4)]))
        return {
            "grad.bias_ih_l0": d_z,
            "grad.h_0": ((self.w if w is None else w).T @ d_z)[None, None],
            "grad.c_0": (d_c * (f if through_f is None else through_f))[None, None],
        }


def replace_gate(block: int, other: int | None) -> Callable[[list[Any]], list[Any]]:
    return lambda d: [(0 * d[0] if other is None else d[other]) if k == block else each for k, each in enumerate(d)]


def without_gate(w: Any, block: int) -> Any:
    size = len(w) // 4
    return np.where((np.arange(len(w)) // size == block)[:, None], 0.0, w)


def terms(s: OneStep) -> dict[str, dict[str, Any]]:
    """Returns the arguments of ``OneStep.back`` for each defect."""
    th, gates = np.tanh(s.c), tuple(enumerate("ifgo"))
    return {
        **{f"grad-delta-{gate}-zero": {"deltas": replace_gate(k, None)} for k, gate in gates},
        "grad-delta-i-of-f": {"deltas": replace_gate(0, 1)},
        "grad-delta-f-of-g": {"deltas": replace_gate(1, 2)},
        "grad-delta-g-of-o": {"deltas": replace_gate(2, 3)},
        "grad-delta-o-of-i": {"deltas": replace_gate(3, 0)},
        **{f"grad-slope-{gate}-missing": {"slopes": {k: 1.0}} for k, gate in gates},
        **{f"grad-slope-{gate}-of-another": {"slopes": {k: 0.2}} for k, gate in gates if gate != "g"},
        "grad-slope-g-of-another": {"slopes": {2: s.g * (1 - s.g)}},
        **{
            f"grad-slope-of-tanh-off-by-{size:.0e}": {
                "slopes": {2: (1 - s.g**2) * (1 + size * s.g**2)},
                "slope_c": (1 - th**2) * (1 + size * th**2),
            }
            for size in (1e-4, 1e-5)
        },
        "grad-misses-tanh-of-c": {"slope_c": 1.0},
        "grad-tanh-of-c-not-squared": {"slope_c": 1 - th},
        "grad-f-from-c-after": {"by": {1: s.c}},
        "grad-o-from-c-unsquashed": {"by": {3: s.c}},
        "grad-i-from-i": {"by": {0: s.i}},
        "grad-c-overwritten-by-h": {"d_c_n": 0.0},
        "grad-c-clipped": {"d_c_n": np.minimum(np.maximum(s.d_c_n, -1), 1)},
        "grad-pre-activations-clipped": {"deltas": lambda d: [np.minimum(np.maximum(each, -0.1), 0.1) for each in d]},
        "grad-c-stops-at-each-step": {"through_f": 0.0},
        "grad-c-misses-forget-gate": {"through_f": 1.0},
        "grad-h-stops-at-each-step": {"w": 0 * s.w},
        **{f"grad-recurrence-misses-{gate}": {"w": without_gate(s.w, k)} for k, gate in gates},
        "grad-recurrence-transposed": {"w": np.concatenate([gate.T for gate in np.split(s.w, 4)])},
        "grad-misses-first-step": {"deltas": lambda d: [0 * each for each in d]},
        "grad-misses-last-step": {"deltas": lambda d: [0 * each for each in d]},
    }


@pytest.mark.parametrize("name", terms(OneStep()))
def test_one_term_of_the_adjoint_of_a_step_is_wrong(name: str) -> None:
    by_hand = OneStep()
    assert_close(defective(BY_ID[name], by_hand.problem), by_hand.back(**terms(by_hand)[name]))


def test_every_adjoint_defect_is_tested_by_hand() -> None:
    assert_close(correct(OneStep().problem), OneStep().back())
    assert {defect.id for defect in adjoint.DEFECTS} <= terms(OneStep()).keys()


@pytest.mark.parametrize(("name", "skipped"), [("grad-misses-first-step", 4), ("grad-misses-last-step", 0)])
def test_the_input_of_a_skipped_step_has_no_gradient(name: str, skipped: int) -> None:
    problem = problem_of(seq_len=5, direction="reverse")
    assert [step for step in range(5) if not defective(BY_ID[name], problem)["grad.input"][step].any()] == [skipped]


def test_gradients_of_recurrent_weights_ignore_h_0_or_use_the_next_h() -> None:
    problem = problem_of(seq_len=2, batch=1)
    first = replace(problem, case=problem.case.model_copy(update={"seq_len": 1}), input=problem.input[:1])
    h_1, c_1 = (correct_outputs(first)[name] for name in ("h_n", "c_n"))
    last = {**problem.cotangents, "output": problem.cotangents["output"][1:]}
    second = replace(first, input=problem.input[1:], initial_state={"h_0": h_1, "c_0": c_1}, cotangents=last)
    # With one row, the gradient of the bias at one step is that of the pre-activations.
    whole, d_2 = correct(problem), correct(second)["grad.bias_ih_l0"]
    d_1 = whole["grad.bias_ih_l0"] - d_2
    assert problem.initial_state is not None
    h = [problem.initial_state["h_0"][0, 0], h_1[0, 0], whole["h_n"][0, 0]]
    name = "grad.weight_hh_l0"
    assert_close(whole, {name: np.outer(d_1, h[0]) + np.outer(d_2, h[1])})
    assert_close(defective(BY_ID["grad-weight_hh-misses-h_0"], problem), whole | {name: np.outer(d_2, h[1])})
    assert_close(
        defective(BY_ID["grad-weight_hh-from-h-after"], problem),
        whole | {name: np.outer(d_1, h[1]) + np.outer(d_2, h[2])},
    )


def test_only_gradients_of_weights_leave_out_the_last_row() -> None:
    problem = problem_of(seq_len=3)
    zeroed = {name: array.copy() for name, array in problem.cotangents.items()}
    for array in zeroed.values():
        array[:, -1] = 0
    whole, others = correct(problem), correct(replace(problem, cotangents=zeroed))
    weights = {name: array for name, array in others.items() if name.startswith("grad.weight")}
    assert_close(defective(BY_ID["grad-weights-miss-last-row"], problem), whole | weights)


def test_the_backward_pass_uses_rounded_weights_and_exact_states() -> None:
    by_hand = OneStep()
    narrow = {name: round_to("bfloat16", array) for name, array in by_hand.problem.parameters.items()}
    actual = defective(BY_ID["grad-through-weights-in-bfloat16"], by_hand.problem)
    expected = by_hand.back(w=narrow["weight_hh_l0"])
    expected["grad.input"] = (narrow["weight_ih_l0"].T @ expected["grad.bias_ih_l0"])[None, None]
    assert_close(actual, expected)


@pytest.mark.parametrize(("name", "direction"), [("forward", 0), ("reverse", 1)])
def test_the_input_gradient_of_one_direction_equals_that_of_a_single_direction(name: str, direction: int) -> None:
    both = problem_of(seq_len=3, direction="bidirectional")
    alone = problem_of(seq_len=3, direction=name)
    assert both.initial_state is not None
    alone = replace(
        alone,
        parameters={each: both.parameters[each] for each in alone.parameters},
        input=both.input,
        initial_state={each: array[direction : direction + 1] for each, array in both.initial_state.items()},
        cotangents={
            each: np.split(array, 2, axis=-1)[direction] if each == "output" else array[direction : direction + 1]
            for each, array in both.cotangents.items()
        },
    )
    expected = correct(both) | {"grad.input": correct(alone)["grad.input"]}
    assert_close(defective(BY_ID[f"grad-input-of-{name}-only"], both), expected)


APPLICABLE = [defect for defect in BY_ID.values() if defect.requires(problem_of(seq_len=5).case)]


@pytest.mark.parametrize("defect", APPLICABLE, ids=lambda defect: defect.id)
def test_a_defect_is_the_same_in_a_reverse_direction_on_the_reversed_sequence(defect: Defect) -> None:
    forward, reverse = problem_of(seq_len=5), problem_of(seq_len=5, direction="reverse")
    reverse = replace(
        reverse,
        parameters={f"{name}_reverse": array for name, array in forward.parameters.items()},
        input=forward.input[::-1],
        initial_state=forward.initial_state,
        cotangents={**forward.cotangents, "output": forward.cotangents["output"][::-1]},
    )
    actual = {name.removesuffix("_reverse"): array for name, array in defective(defect, reverse).items()}
    reversed_ = {name: actual[name][::-1] for name in ("output", "grad.input")}
    assert_close(actual | reversed_, defective(defect, forward))
