"""Wrong activations are read off, and verified."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters import Solution
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.probes import DRIVEN
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference.activations import ACTIVATIONS, Activation, sigmoid, tanh
from reference.cell import Cell
from tests.conformance.defects.experiment.broken import Altered, no_gradients

PROBES = (DRIVEN, "one layer", "both directions")
BOTH_WAYS = (DRIVEN, "both directions")


def with_value(right: Activation, value: Any) -> Activation:
    """Returns an activation whose derivative is that of the right one, as in a gradient written by hand."""
    return replace(right, value=value)


class WithCells(Altered):
    """The reference with other cells in each direction."""

    def __init__(self, forward: Cell, reverse: Cell, **options: Any) -> None:
        super().__init__("with-cells", **options)
        self.cells: Mapping[str, Cell] = {"": forward, "_reverse": reverse}

    def solve(self, problem: Problem) -> Solution:
        trace = reference.forward(
            problem.case.model,
            problem.parameters,
            problem.input,
            problem.initial_state,
            mask=problem.mask,
            cell=self.cells,
        )
        found = dict(trace.outputs)
        if "gradients" in problem.case.check:
            found |= reference.backward(trace, problem.cotangents)
        return {name: round_to(problem.case.dtype, np.asarray(found[name])) for name in problem.expected_shapes()}


BIASED = Cell(forget_gate=with_value(sigmoid, lambda z: sigmoid.value(z + 1.0)))
CLAMPED = with_value(sigmoid, lambda z: sigmoid.value(np.clip(z, -8.0, 8.0)))
HARD = ACTIVATIONS["hard_sigmoid"]


@pytest.mark.parametrize(
    ("cells", "options", "what", "probes"),
    [
        ((BIASED, BIASED), {}, "computes the forget gate as sigmoid(z + 1)", PROBES),
        (
            (Cell(), Cell(input_gate=HARD, output_gate=HARD)),
            {},
            "computes the input and output gates in the reverse direction as a hard sigmoid, "
            "0.2 z + 0.5 between 0 and 1",
            BOTH_WAYS,
        ),
        # No ordinary problem of this size reaches ±8.
        (
            (Cell(CLAMPED, CLAMPED, tanh, CLAMPED), Cell(CLAMPED, CLAMPED, tanh, CLAMPED)),
            {},
            "computes the input, forget and output gates as sigmoid that stays constant beyond ±8; the gradients use "
            "the derivative of the right function",
            (DRIVEN,),
        ),
        (
            (Cell(cell_state=ACTIVATIONS["softsign"]), Cell(cell_state=ACTIVATIONS["softsign"])),
            {"refuses": lambda case: no_gradients(case) or case.dtype == "float64"},
            "computes the activation of the cell state as softsign",
            PROBES,
        ),
    ],
)
def test_wrong_activations_are_verified(
    cells: tuple[Cell, Cell], options: dict[str, Any], what: str, probes: tuple[str, ...]
) -> None:
    result = dissect(Subject(WithCells(*cells, **options)), PROBES)
    assert [(each.what, each.verified, each.probes) for each in result.findings] == [(what, True, probes)]
    assert result.unexplained == []


def test_an_unknown_activation_is_observed() -> None:
    odd = with_value(sigmoid, lambda z: sigmoid.value(z) + 0.01 * np.sin(5 * z))
    result = dissect(Subject(WithCells(Cell(output_gate=odd), Cell())), (DRIVEN,))
    assert [each.verified for each in result.findings] == [False, False, False]
    assert result.findings[0].what.startswith("the output gate is 0.5 at 0 with slope 0.3, ")


def test_activations_are_not_read_off_without_states() -> None:
    stateless = Altered("stateless", refuses=lambda case: case.gives_state)
    result = dissect(Subject(stateless), (DRIVEN, "no initial state"))
    assert result.unsupported == {DRIVEN: "it does not support this"}
    assert result.is_correct
