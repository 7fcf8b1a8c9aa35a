"""Wrong computations can be combined."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.defects.experiment.compute import Arithmetic, Computation, run
from conformance.defects.experiment.probes import probe
from conformance.verdict.oracle import solve
from conformance.verdict.problem import make_problem
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell

PROBLEM = make_problem(probe("two layers, both directions", "float64"))


def hard(cell: Cell, layer: int, suffix: str) -> Cell:
    return replace(cell, forget_gate=ACTIVATIONS["hard_sigmoid"]) if layer == 1 and suffix else cell


def linear(cell: Cell, layer: int, suffix: str) -> Cell:
    del suffix
    return replace(cell, candidate=ACTIVATIONS["softsign"]) if layer == 0 else cell


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in PROBLEM.expected_shapes())


def test_no_computation_is_the_reference() -> None:
    assert equal(run([], PROBLEM, Dialect()), dict(solve(PROBLEM, Dialect())))


def test_cells_are_changed_one_after_the_other() -> None:
    both = Computation(cell=lambda cell, layer, suffix: linear(hard(cell, layer, suffix), layer, suffix))
    found = run([Computation(cell=hard), Computation(cell=linear)], PROBLEM, Dialect())
    assert equal(found, run([both], PROBLEM, Dialect()))
    assert not equal(found, run([Computation(cell=hard)], PROBLEM, Dialect()))


def test_tensors_are_changed_before_and_after_other_computations() -> None:
    read = Computation(read=lambda name, array: 2.0 * array if name == "h_0" else array)
    returned = Computation(returned=lambda name, array: -array if name == "c_n" else array)
    found = run([returned, Computation(cell=hard), read], PROBLEM, Dialect())
    assert PROBLEM.initial_state
    doubled = replace(PROBLEM, initial_state={**PROBLEM.initial_state, "h_0": 2.0 * PROBLEM.initial_state["h_0"]})
    expected = run([Computation(cell=hard)], doubled, Dialect())
    assert equal(found, expected | {"c_n": -expected["c_n"]})


def test_right_gradients_are_those_of_the_other_computations() -> None:
    found = run([Computation(cell=hard, right_gradients=True), Computation(cell=linear)], PROBLEM, Dialect())
    both = run([Computation(cell=hard), Computation(cell=linear)], PROBLEM, Dialect())
    other = run([Computation(cell=linear)], PROBLEM, Dialect())
    expected = {name: (other if name.startswith("grad.") else both)[name] for name in PROBLEM.expected_shapes()}
    assert equal(found, expected)


def test_the_arithmetic_turns_between_the_passes() -> None:
    passes: list[str] = []

    def arithmetic(problem: Any) -> Arithmetic:
        del problem
        return Arithmetic(lambda array: np.asarray(array, np.float64), lambda: passes.append("backward"))

    assert equal(run([Computation(arithmetic=arithmetic)], PROBLEM, Dialect()), dict(solve(PROBLEM, Dialect())))
    assert passes == ["backward"]
