"""Defects of activations and cells compute their equations, and their gradients are those of what they compute."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.catalogue import activations, cells, localized
from conformance.defects.catalogue.changed_cells import CountingCell, Moment
from conformance.defects.defect import Defect
from reference import backward, forward
from tests.conformance.defects import problems
from tests.conformance.defects.problems import assert_gradients_match_differences, correct, defective

FORWARD = [*activations.DEFECTS, *cells.DEFECTS, *localized.DEFECTS]
BY_ID = {defect.id: defect for defect in FORWARD}
# The weights are large enough for clamps and clips to take effect.
problem_of = partial(problems.problem_of, values="scale-2")


def sigma(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


DEEP = problem_of(seq_len=5, num_layers=2, direction="bidirectional")


@pytest.mark.parametrize("defect", FORWARD, ids=lambda defect: defect.id)
def test_gradients_match_finite_differences(defect: Defect) -> None:
    assert_gradients_match_differences(defect, DEEP)


def one_step(f: Callable[..., tuple[Any, Any]]) -> dict[str, Any]:
    """Returns h and c after one step of ``f``, a function of the four pre-activations and c_{t-1}."""
    problem = problem_of(seq_len=1, num_layers=1)
    assert problem.initial_state is not None
    p, h_0, c_0 = problem.parameters, problem.initial_state["h_0"][0], problem.initial_state["c_0"][0]
    z = problem.input[0] @ p["weight_ih_l0"].T + p["bias_ih_l0"] + h_0 @ p["weight_hh_l0"].T + p["bias_hh_l0"]
    h, c = f(*np.split(z, 4, axis=-1), c_0)
    return {"h": h, "c": c}


def step_with(
    z: tuple[Any, Any, Any, Any],
    c_previous: Any,
    *,
    i: Callable[[Any], Any] = sigma,
    f: Callable[[Any], Any] = sigma,
    g: Callable[[Any], Any] = np.tanh,
    o: Callable[[Any], Any] = sigma,
    h: Callable[[Any], Any] = np.tanh,
) -> tuple[Any, Any]:
    c = f(z[1]) * c_previous + i(z[0]) * g(z[2])
    return o(z[3]) * h(c), c


def with_c(change: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """Returns a step in which c is another function of i, f, g and c_{t-1}."""

    def step(zi: Any, zf: Any, zg: Any, zo: Any, c: Any) -> tuple[Any, Any]:
        state = change(sigma(zi), sigma(zf), np.tanh(zg), c)
        return sigma(zo) * np.tanh(state), state

    return step


def hard(slope: float) -> Callable[[Any], Any]:
    return lambda z: np.minimum(np.maximum(slope * z + 0.5, 0), 1)


def clamped(f: Callable[[Any], Any], limit: float) -> Callable[[Any], Any]:
    return lambda z: f(np.minimum(np.maximum(z, -limit), limit))


def with_gates(f: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    return lambda *z: step_with(z[:4], z[4], i=f, f=f, o=f)


def with_tanh(f: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    return lambda *z: step_with(z[:4], z[4], g=f, h=f)


def with_stuck_gate(gate: int) -> Callable[..., tuple[Any, Any]]:
    def step(*z: Any) -> tuple[Any, Any]:
        gates = [np.array(each) for each in z[:4]]
        gates[gate][:, 0] = 0
        return step_with((gates[0], gates[1], gates[2], gates[3]), z[4])

    return step


def with_frozen_unit(*z: Any) -> tuple[Any, Any]:
    c = step_with(z[:4], z[4])[1]
    c[:, -1] = z[4][:, -1]
    return sigma(z[3]) * np.tanh(c), c


def one(z: Any) -> Any:
    return np.ones_like(z)


HARD, SIXTH, CUBIC_SCALE = hard(0.2), hard(1 / 6), 1.5 * np.sqrt(3)
BY_HAND: dict[str, Callable[..., tuple[Any, Any]]] = {
    "hard-sigmoid-0.2": with_gates(HARD),
    "hard-sigmoid-0.2-of-input-gate": lambda *z: step_with(z[:4], z[4], i=HARD),
    "hard-sigmoid-0.2-of-forget-gate": lambda *z: step_with(z[:4], z[4], f=HARD),
    "hard-sigmoid-0.2-of-output-gate": lambda *z: step_with(z[:4], z[4], o=HARD),
    "hard-sigmoid-one-sixth": with_gates(SIXTH),
    "hard-sigmoid-one-sixth-of-input-gate": lambda *z: step_with(z[:4], z[4], i=SIXTH),
    "hard-sigmoid-one-sixth-of-forget-gate": lambda *z: step_with(z[:4], z[4], f=SIXTH),
    "hard-sigmoid-one-sixth-of-output-gate": lambda *z: step_with(z[:4], z[4], o=SIXTH),
    "tanh-input-gate": lambda *z: step_with(z[:4], z[4], i=np.tanh),
    "tanh-forget-gate": lambda *z: step_with(z[:4], z[4], f=np.tanh),
    "tanh-output-gate": lambda *z: step_with(z[:4], z[4], o=np.tanh),
    "sigmoid-of-sigmoid": with_gates(lambda z: sigma(sigma(z))),
    "sigmoid-candidate": lambda *z: step_with(z[:4], z[4], g=sigma),
    "relu-candidate": lambda *z: step_with(z[:4], z[4], g=lambda z: z * (z > 0)),
    "identity-candidate": lambda *z: step_with(z[:4], z[4], g=lambda z: z),
    "identity-cell-state": lambda *z: step_with(z[:4], z[4], h=lambda c: c),
    "sigmoid-cell-state": lambda *z: step_with(z[:4], z[4], h=sigma),
    "tanh-of-tanh": lambda *z: step_with(z[:4], z[4], h=lambda c: np.tanh(np.tanh(c))),
    "hard-tanh": with_tanh(lambda z: np.minimum(np.maximum(z, -1), 1)),
    "softsign": with_tanh(lambda z: z / (1 + np.abs(z))),
    "sigmoid-clamped-at-4": with_gates(clamped(sigma, 4)),
    "sigmoid-clamped-at-8": with_gates(clamped(sigma, 8)),
    "tanh-clamped-at-3": with_tanh(clamped(np.tanh, 3)),
    "tanh-clamped-at-4": with_tanh(clamped(np.tanh, 4)),
    "pre-activations-clipped-at-1": lambda *z: step_with(tuple(np.clip(each, -1, 1) for each in z[:4]), z[4]),
    "sigmoid-off-by-1e-04": with_gates(lambda z: sigma(z) * (1 + 1e-4 * np.cos(2 * np.pi * sigma(z)))),
    "sigmoid-off-by-1e-05": with_gates(lambda z: sigma(z) * (1 + 1e-5 * np.cos(2 * np.pi * sigma(z)))),
    "sigmoid-high-by-1e-05": with_gates(lambda z: sigma(z) * (1 + 1e-5)),
    "tanh-off-by-1e-04": with_tanh(lambda z: np.tanh(z) + 1e-4 * CUBIC_SCALE * np.tanh(z) / np.cosh(z) ** 2),
    "tanh-off-by-1e-05": with_tanh(lambda z: np.tanh(z) + 1e-5 * CUBIC_SCALE * np.tanh(z) / np.cosh(z) ** 2),
    "coupled-gates-f-is-1-minus-i": with_c(lambda i, _f, g, c: (1 - i) * c + i * g),
    "coupled-gates-i-is-1-minus-f": with_c(lambda _i, f, g, c: f * c + (1 - f) * g),
    "candidate-added-to-gate": with_c(lambda i, f, g, c: f * c + i + g),
    "forget-gate-scales-candidate-too": with_c(lambda i, f, g, c: f * (c + i * g)),
    "no-input-gate": lambda *z: step_with(z[:4], z[4], i=one),
    "no-forget-gate": lambda *z: step_with(z[:4], z[4], f=one),
    "no-output-gate": lambda *z: step_with(z[:4], z[4], o=one),
    "output-from-previous-cell-state": lambda *z: (sigma(z[3]) * np.tanh(z[4]), step_with(z[:4], z[4])[1]),
    "cell-state-of-row-before": lambda *z: step_with(z[:4], z[4][[2, 0, 1]]),
    "cell-state-clipped-at-3": with_c(lambda i, f, g, c: np.clip(f * c + i * g, -3, 3)),
    "cell-state-clipped-at-1": with_c(lambda i, f, g, c: np.clip(f * c + i * g, -1, 1)),
    "hidden-state-clipped-at-half": lambda *z: (
        np.clip(step_with(z[:4], z[4])[0], -0.5, 0.5),
        step_with(z[:4], z[4])[1],
    ),
    "cell-state-leaks-1e-04": with_c(lambda i, f, g, c: f * c * 0.9999 + i * g),
    "cell-state-of-last-unit-frozen": with_frozen_unit,
    "input-gate-of-one-unit-stuck": with_stuck_gate(0),
    "forget-gate-of-one-unit-stuck": with_stuck_gate(1),
    "candidate-gate-of-one-unit-stuck": with_stuck_gate(2),
    "output-gate-of-one-unit-stuck": with_stuck_gate(3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_step_follows_the_equations(name: str) -> None:
    actual, expected = defective(BY_ID[name], problem_of(seq_len=1)), one_step(BY_HAND[name])
    np.testing.assert_allclose(actual["h_n"][0], expected["h"], rtol=1e-12)
    np.testing.assert_allclose(actual["c_n"][0], expected["c"], rtol=1e-12)


def test_every_activation_and_cell_is_tested_by_its_equations() -> None:
    ids = {defect.id for defect in [*activations.DEFECTS, *cells.DEFECTS]}
    assert ids - BY_HAND.keys() == {"recurrent-weights-ignored"}


def test_ignored_recurrent_weights_are_weights_of_0() -> None:
    none = {name: array * (not name.startswith("weight_hh")) for name, array in DEEP.parameters.items()}
    expected = correct(replace(DEEP, parameters=none))
    for name, array in defective(BY_ID["recurrent-weights-ignored"], DEEP).items():
        if not name.startswith("grad.weight_hh"):
            np.testing.assert_allclose(array, expected[name], rtol=1e-12, atol=1e-14, err_msg=name)
        else:
            assert not array.any()


def test_a_counting_cell_counts_steps_in_both_passes() -> None:
    class Recording(CountingCell):
        def __init__(self, case: Case) -> None:
            super().__init__(case)
            self.forward: list[Moment] = []
            self.backward: list[Moment] = []

        def step_at(self, moment: Moment, z: Any, c_previous: Any) -> Any:
            self.forward.append(moment)
            return super().step_at(moment, z, c_previous)

        def step_back_at(self, moment: Moment, by: Any, d_m: Any, d_c: Any) -> Any:
            self.backward.append(moment)
            return super().step_back_at(moment, by, d_m, d_c)

    cell = Recording(DEEP.case)
    trace = forward(DEEP.case.model, DEEP.parameters, DEEP.input, DEEP.initial_state, cell=cell)
    backward(trace, DEEP.cotangents)
    steps = range(5)
    assert cell.forward == [
        Moment(layer, direction, step) for layer in (0, 1) for direction in (0, 1) for step in steps
    ]
    assert cell.backward == [
        Moment(layer, direction, step) for layer in (1, 0) for direction in (0, 1) for step in reversed(steps)
    ]


def test_a_row_that_skips_a_step_equals_a_row_without_that_step() -> None:
    problem = problem_of(seq_len=5, direction="reverse")
    actual, expected = defective(BY_ID["one-row-skips-one-step"], problem), correct(problem)
    np.testing.assert_array_equal(actual["output"][:, :-1], expected["output"][:, :-1])
    # In reverse through 5 steps, the third one is step 2.
    shorter = problem_of(seq_len=4, direction="reverse")
    rest = replace(shorter, parameters=problem.parameters, input=np.delete(problem.input, 2, axis=0))
    without = correct(replace(rest, initial_state=problem.initial_state))
    np.testing.assert_allclose(np.delete(actual["output"], 2, axis=0)[:, -1], without["output"][:, -1], rtol=1e-13)
    np.testing.assert_array_equal(actual["output"][2, -1], actual["output"][3, -1])


@pytest.mark.parametrize(
    ("name", "tensor"), [("hidden-state-off-once-by-1e-05", "output"), ("cell-state-off-once-by-1e-05", "c_n")]
)
def test_a_state_is_off_by_the_size_in_one_element(name: str, tensor: str) -> None:
    problem = problem_of(seq_len=1)
    off = defective(BY_ID[name], problem)[tensor] - correct(problem)[tensor]
    assert off[0, -1, 0] == pytest.approx(1e-5)
    assert np.count_nonzero(off) == 1


def test_a_gate_that_is_off_once_equals_a_changed_bias_at_that_step() -> None:
    problem = problem_of(seq_len=1)
    biased = {name: np.array(array) for name, array in problem.parameters.items()}
    biased["bias_ih_l0"][4:8] += 1e-4
    expected = correct(replace(problem, parameters=biased))
    actual = defective(BY_ID["forget-gate-off-once-by-1e-04"], problem)
    np.testing.assert_allclose(actual["c_n"][0, -1], expected["c_n"][0, -1], rtol=1e-14)
    np.testing.assert_array_equal(actual["c_n"][0, :-1], correct(problem)["c_n"][0, :-1])


@pytest.mark.parametrize("defect", [d for d in FORWARD if d.with_size is not None], ids=lambda defect: defect.id)
def test_the_effect_of_a_defect_is_proportional_to_its_size(defect: Defect) -> None:
    assert defect.with_size is not None
    assert defect.size is not None
    expected = correct(DEEP)["output"]
    small, large = (
        np.abs(defective(defect.with_size(k * defect.size), DEEP)["output"] - expected).max() for k in (1, 2)
    )
    assert large == pytest.approx(2 * small, rel=0.01)
    assert defect.with_size(defect.size).id == defect.id
