"""Wrong nonlinearities, cells and moments: each computes what it says, and differentiates what it computes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.catalogue import activations, cells, moments
from conformance.defects.catalogue.paced import Moment, Paced
from conformance.defects.defect import Defect
from conformance.verdict.problem import Problem
from reference import backward, forward
from tests.conformance.defects import problems
from tests.conformance.defects.problems import right, wrong

FORWARD = [*activations.DEFECTS, *cells.DEFECTS, *moments.DEFECTS]
BY_ID = {defect.id: defect for defect in FORWARD}
# Weights so large that clamps and clips take effect.
problem_of = partial(problems.problem_of, values="scale-2")


def sigma(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


DEEP = problem_of(seq_len=5, num_layers=2, direction="bidirectional")


@pytest.mark.parametrize("defect", FORWARD, ids=lambda defect: defect.id)
def test_the_gradients_are_those_of_what_it_computes(defect: Defect) -> None:
    def loss(at: Problem) -> float:
        results = wrong(defect, at)
        return sum(float((at.cotangents[name] * results[name]).sum()) for name in at.cotangents)

    assert DEEP.initial_state is not None
    random = np.random.default_rng(1)
    gradients = wrong(defect, DEEP)
    sources = {"input": DEEP.input, **DEEP.initial_state, **DEEP.parameters}
    towards = {name: random.standard_normal(array.shape) for name, array in sources.items()}

    def moved(by: float) -> Problem:
        at = {name: array + by * towards[name] for name, array in sources.items()}
        return replace(
            DEEP,
            input=at["input"],
            initial_state={name: at[name] for name in DEEP.initial_state or {}},
            parameters={name: at[name] for name in DEEP.parameters},
        )

    found = sum(float((gradients[f"grad.{name}"] * towards[name]).sum()) for name in sources)
    measured = (loss(moved(1e-6)) - loss(moved(-1e-6))) / 2e-6
    assert found == pytest.approx(measured, rel=1e-6, abs=1e-6)


def one_step(f: Callable[..., tuple[Any, Any]]) -> dict[str, Any]:
    """States h and c after one step, by hand: from the gates' sums and the cell state before."""
    problem = problem_of(seq_len=1, num_layers=1)
    assert problem.initial_state is not None
    p, h_0, c_0 = problem.parameters, problem.initial_state["h_0"][0], problem.initial_state["c_0"][0]
    z = problem.input[0] @ p["weight_ih_l0"].T + p["bias_ih_l0"] + h_0 @ p["weight_hh_l0"].T + p["bias_hh_l0"]
    h, c = f(*np.split(z, 4, axis=-1), c_0)
    return {"h": h, "c": c}


def usual(
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
    """The usual h of a cell state that is another function of i, f, g and c'."""

    def step(zi: Any, zf: Any, zg: Any, zo: Any, c: Any) -> tuple[Any, Any]:
        state = change(sigma(zi), sigma(zf), np.tanh(zg), c)
        return sigma(zo) * np.tanh(state), state

    return step


def hard(slope: float) -> Callable[[Any], Any]:
    return lambda z: np.minimum(np.maximum(slope * z + 0.5, 0), 1)


def held(f: Callable[[Any], Any], limit: float) -> Callable[[Any], Any]:
    return lambda z: f(np.minimum(np.maximum(z, -limit), limit))


def gates(f: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    return lambda *z: usual(z[:4], z[4], i=f, f=f, o=f)


def tanhs(f: Callable[[Any], Any]) -> Callable[..., tuple[Any, Any]]:
    return lambda *z: usual(z[:4], z[4], g=f, h=f)


def unit_stuck(gate: int) -> Callable[..., tuple[Any, Any]]:
    def step(*z: Any) -> tuple[Any, Any]:
        sums = [np.array(each) for each in z[:4]]
        sums[gate][:, 0] = 0
        return usual((sums[0], sums[1], sums[2], sums[3]), z[4])

    return step


def last_unit_stopped(*z: Any) -> tuple[Any, Any]:
    c = usual(z[:4], z[4])[1]
    c[:, -1] = z[4][:, -1]
    return sigma(z[3]) * np.tanh(c), c


def one(z: Any) -> Any:
    return np.ones_like(z)


HARD, SIXTH, WAVE = hard(0.2), hard(1 / 6), 1.5 * np.sqrt(3)
BY_HAND: dict[str, Callable[..., tuple[Any, Any]]] = {
    "hard-sigmoid-0.2": gates(HARD),
    "hard-sigmoid-0.2-of-input-gate": lambda *z: usual(z[:4], z[4], i=HARD),
    "hard-sigmoid-0.2-of-forget-gate": lambda *z: usual(z[:4], z[4], f=HARD),
    "hard-sigmoid-0.2-of-output-gate": lambda *z: usual(z[:4], z[4], o=HARD),
    "hard-sigmoid-one-sixth": gates(SIXTH),
    "hard-sigmoid-one-sixth-of-input-gate": lambda *z: usual(z[:4], z[4], i=SIXTH),
    "hard-sigmoid-one-sixth-of-forget-gate": lambda *z: usual(z[:4], z[4], f=SIXTH),
    "hard-sigmoid-one-sixth-of-output-gate": lambda *z: usual(z[:4], z[4], o=SIXTH),
    "tanh-input-gate": lambda *z: usual(z[:4], z[4], i=np.tanh),
    "tanh-forget-gate": lambda *z: usual(z[:4], z[4], f=np.tanh),
    "tanh-output-gate": lambda *z: usual(z[:4], z[4], o=np.tanh),
    "sigmoid-of-sigmoid": gates(lambda z: sigma(sigma(z))),
    "sigmoid-candidate": lambda *z: usual(z[:4], z[4], g=sigma),
    "relu-candidate": lambda *z: usual(z[:4], z[4], g=lambda z: z * (z > 0)),
    "identity-candidate": lambda *z: usual(z[:4], z[4], g=lambda z: z),
    "identity-cell-state": lambda *z: usual(z[:4], z[4], h=lambda c: c),
    "sigmoid-cell-state": lambda *z: usual(z[:4], z[4], h=sigma),
    "tanh-of-tanh": lambda *z: usual(z[:4], z[4], h=lambda c: np.tanh(np.tanh(c))),
    "hard-tanh": tanhs(lambda z: np.minimum(np.maximum(z, -1), 1)),
    "softsign": tanhs(lambda z: z / (1 + np.abs(z))),
    "sigmoid-clamped-at-4": gates(held(sigma, 4)),
    "sigmoid-clamped-at-8": gates(held(sigma, 8)),
    "tanh-clamped-at-3": tanhs(held(np.tanh, 3)),
    "tanh-clamped-at-4": tanhs(held(np.tanh, 4)),
    "gates-sums-clipped-at-1": lambda *z: usual(tuple(np.clip(each, -1, 1) for each in z[:4]), z[4]),
    "sigmoid-off-by-1e-04": gates(lambda z: sigma(z) * (1 + 1e-4 * np.cos(2 * np.pi * sigma(z)))),
    "sigmoid-off-by-1e-05": gates(lambda z: sigma(z) * (1 + 1e-5 * np.cos(2 * np.pi * sigma(z)))),
    "sigmoid-high-by-1e-05": gates(lambda z: sigma(z) * (1 + 1e-5)),
    "tanh-off-by-1e-04": tanhs(lambda z: np.tanh(z) + 1e-4 * WAVE * np.tanh(z) / np.cosh(z) ** 2),
    "tanh-off-by-1e-05": tanhs(lambda z: np.tanh(z) + 1e-5 * WAVE * np.tanh(z) / np.cosh(z) ** 2),
    "coupled-gates-f-is-1-minus-i": with_c(lambda i, _f, g, c: (1 - i) * c + i * g),
    "coupled-gates-i-is-1-minus-f": with_c(lambda _i, f, g, c: f * c + (1 - f) * g),
    "candidate-added-to-gate": with_c(lambda i, f, g, c: f * c + i + g),
    "forget-gate-scales-candidate-too": with_c(lambda i, f, g, c: f * (c + i * g)),
    "no-input-gate": lambda *z: usual(z[:4], z[4], i=one),
    "no-forget-gate": lambda *z: usual(z[:4], z[4], f=one),
    "no-output-gate": lambda *z: usual(z[:4], z[4], o=one),
    "output-from-cell-state-before": lambda *z: (sigma(z[3]) * np.tanh(z[4]), usual(z[:4], z[4])[1]),
    "cell-state-of-row-before": lambda *z: usual(z[:4], z[4][[2, 0, 1]]),
    "cell-state-clipped-at-3": with_c(lambda i, f, g, c: np.clip(f * c + i * g, -3, 3)),
    "cell-state-clipped-at-1": with_c(lambda i, f, g, c: np.clip(f * c + i * g, -1, 1)),
    "hidden-state-clipped-at-half": lambda *z: (np.clip(usual(z[:4], z[4])[0], -0.5, 0.5), usual(z[:4], z[4])[1]),
    "cell-state-leaks-1e-04": with_c(lambda i, f, g, c: f * c * 0.9999 + i * g),
    "last-unit-stopped": last_unit_stopped,
    "input-gate-of-one-unit-stuck": unit_stuck(0),
    "forget-gate-of-one-unit-stuck": unit_stuck(1),
    "candidate-gate-of-one-unit-stuck": unit_stuck(2),
    "output-gate-of-one-unit-stuck": unit_stuck(3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_one_step_is_what_its_equations_give(name: str) -> None:
    found, expected = wrong(BY_ID[name], problem_of(seq_len=1)), one_step(BY_HAND[name])
    np.testing.assert_allclose(found["h_n"][0], expected["h"], rtol=1e-12)
    np.testing.assert_allclose(found["c_n"][0], expected["c"], rtol=1e-12)


def test_every_activation_and_cell_is_checked_by_hand() -> None:
    at_any_step = {defect.id for defect in [*activations.DEFECTS, *cells.DEFECTS]}
    assert at_any_step - BY_HAND.keys() == {"recurrent-weights-ignored"}


def test_recurrent_weights_ignored_are_weights_of_0() -> None:
    none = {name: array * (not name.startswith("weight_hh")) for name, array in DEEP.parameters.items()}
    expected = right(replace(DEEP, parameters=none))
    for name, array in wrong(BY_ID["recurrent-weights-ignored"], DEEP).items():
        if not name.startswith("grad.weight_hh"):
            np.testing.assert_allclose(array, expected[name], rtol=1e-12, atol=1e-14, err_msg=name)
        else:
            assert not array.any()


def test_a_paced_cell_knows_each_moment_both_ways() -> None:
    class Recording(Paced):
        def __init__(self, case: Case) -> None:
            super().__init__(case)
            self.forth: list[Moment] = []
            self.back: list[Moment] = []

        def step_at(self, moment: Moment, z: Any, c_previous: Any) -> Any:
            self.forth.append(moment)
            return super().step_at(moment, z, c_previous)

        def step_back_at(self, moment: Moment, by: Any, d_m: Any, d_c: Any) -> Any:
            self.back.append(moment)
            return super().step_back_at(moment, by, d_m, d_c)

    cell = Recording(DEEP.case)
    trace = forward(DEEP.case.model, DEEP.parameters, DEEP.input, DEEP.initial_state, cell=cell)
    backward(trace, DEEP.cotangents)
    steps = range(5)
    assert cell.forth == [Moment(layer, way, step) for layer in (0, 1) for way in (0, 1) for step in steps]
    assert cell.back == [Moment(layer, way, step) for layer in (1, 0) for way in (0, 1) for step in reversed(steps)]


def test_a_row_that_skips_a_step_is_a_row_without_it() -> None:
    problem = problem_of(seq_len=5, direction="reverse")
    found, expected = wrong(BY_ID["one-row-skips-one-step"], problem), right(problem)
    np.testing.assert_array_equal(found["output"][:, :-1], expected["output"][:, :-1])
    # Backwards through 5 steps, the third one taken is step 2.
    shorter = problem_of(seq_len=4, direction="reverse")
    rest = replace(shorter, parameters=problem.parameters, input=np.delete(problem.input, 2, axis=0))
    without = right(replace(rest, initial_state=problem.initial_state))
    np.testing.assert_allclose(np.delete(found["output"], 2, axis=0)[:, -1], without["output"][:, -1], rtol=1e-13)
    np.testing.assert_array_equal(found["output"][2, -1], found["output"][3, -1])


@pytest.mark.parametrize(
    ("name", "tensor"), [("hidden-state-off-once-by-1e-05", "output"), ("cell-state-off-once-by-1e-05", "c_n")]
)
def test_a_state_is_off_by_its_size_in_one_place(name: str, tensor: str) -> None:
    problem = problem_of(seq_len=1)
    off = wrong(BY_ID[name], problem)[tensor] - right(problem)[tensor]
    assert off[0, -1, 0] == pytest.approx(1e-5)
    assert np.count_nonzero(off) == 1


def test_a_gate_is_off_once_as_if_its_bias_were_for_that_step() -> None:
    problem = problem_of(seq_len=1)
    biased = {name: np.array(array) for name, array in problem.parameters.items()}
    biased["bias_ih_l0"][4:8] += 1e-4
    expected = right(replace(problem, parameters=biased))
    found = wrong(BY_ID["forget-gate-off-once-by-1e-04"], problem)
    np.testing.assert_allclose(found["c_n"][0, -1], expected["c_n"][0, -1], rtol=1e-14)
    np.testing.assert_array_equal(found["c_n"][0, :-1], right(problem)["c_n"][0, :-1])


@pytest.mark.parametrize("defect", [d for d in FORWARD if d.sized is not None], ids=lambda defect: defect.id)
def test_the_size_of_a_defect_is_the_size_of_its_effect(defect: Defect) -> None:
    assert defect.sized is not None
    assert defect.size is not None
    expected = right(DEEP)["output"]
    small, large = (np.abs(wrong(defect.sized(k * defect.size), DEEP)["output"] - expected).max() for k in (1, 2))
    assert large == pytest.approx(2 * small, rel=0.01)
    assert defect.sized(defect.size).id == defect.id
