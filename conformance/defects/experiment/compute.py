"""Runs the reference with wrong computations: other cells, or other arithmetic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

import reference
from conformance.cases.case import Case
from conformance.defects.experiment.blocks import RESULTS
from conformance.defects.experiment.trial import tensors_read, with_block
from conformance.verdict.problem import Problem, cells
from reference import Dialect
from reference.cell import Cell, Sensitivity, Step
from reference.network import Lift


class Arithmetic(NamedTuple):
    """The arithmetic of one run."""

    lift: Lift
    """Conversion of arrays to the numbers to compute with."""
    turn: Callable[[], None] = lambda: None
    """Function that is called between the forward and the backward pass."""


@dataclass(frozen=True)
class Computation:
    """A wrong computation: changes of the reference. Several can be combined.

    Attributes:
        cell: function that changes the cell of a layer and a direction, the latter given as the suffix of names.
        arithmetic: function that returns the arithmetic of a problem. Of several computations, the first one's is used.
        read: function that changes a tensor that is read, given its name.
        returned: function that changes a tensor that is returned, given its name.
        right_gradients: whether the gradients are those without this computation.
    """

    cell: Callable[[Cell, int, str], Cell] | None = None
    arithmetic: Callable[[Problem], Arithmetic] | None = None
    read: Callable[[str, Any], Any] | None = None
    returned: Callable[[str, Any], Any] | None = None
    right_gradients: bool = False


def run(computations: Sequence[Computation], problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Solves a problem with wrong computations.

    Returns:
        All tensors, also the results that the case does not compare.
    """
    followed = [each for each in computations if not each.right_gradients]
    if "gradients" in problem.case.check and len(followed) < len(computations):
        forward = replace(problem, case=problem.case.model_copy(update={"check": RESULTS}))
        return run(followed, problem, dialect) | run(computations, forward, dialect)
    for read in (each.read for each in computations if each.read):
        problem = with_block(problem, {name: read(name, array) for name, array in tensors_read(problem).items()})
    arithmetics = (each.arithmetic(problem) for each in computations if each.arithmetic)
    arithmetic = next(arithmetics, Arithmetic(reference.float64))
    trace = reference.forward(
        problem.case.model,
        problem.parameters,
        problem.input,
        problem.complete_state() if problem.initial_state else None,
        mask=problem.mask,
        dropout_masks=problem.dropout_masks,
        dialect=dialect,
        cell=_cells(computations, problem.case, dialect),
        lift=arithmetic.lift,
    )
    found = dict(trace.outputs)
    arithmetic.turn()
    if "gradients" in problem.case.check:
        found |= reference.backward(trace, problem.complete_cotangents())
    found = {name: array if isinstance(array, np.ndarray) else array.close_sum().value for name, array in found.items()}
    for returned in (each.returned for each in computations if each.returned):
        found = {name: returned(name, array) for name, array in found.items()}
    return found


def elementwise(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Returns a function of NumPy arrays that also takes ``reference.arithmetic.Rounded`` arrays."""
    return lambda array: function(array) if isinstance(array, np.ndarray) else array.new(function(array.value))


def _cells(computations: Sequence[Computation], case: Case, dialect: Dialect) -> dict[str, Cell]:
    """Returns the cell of each direction."""
    right = cells(case, dialect)
    changes = [each.cell for each in computations if each.cell]
    if not changes:
        return right

    def changed(layer: int, suffix: str) -> Cell:
        return reduce(lambda cell, change: change(cell, layer, suffix), changes, right[suffix])

    layers = range(case.num_layers)
    return {suffix: _LayeredCell([changed(layer, suffix) for layer in layers], case) for suffix in right}


class _LayeredCell(Cell):
    """A cell that differs between layers. Each instance is for one direction of one run.

    Args:
        layers: the cell of each layer.
        case: the case, which determines the number of steps.
    """

    def __init__(self, layers: Sequence[Cell], case: Case) -> None:
        super().__init__()
        self._layers, self._steps = layers, case.seq_len
        self._taken = self._taken_back = 0

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes the next step in order, see ``Cell.step``."""
        layer = self._taken // self._steps
        self._taken += 1
        return self._layers[layer].step(z, c_previous)

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        """Computes the partial derivatives of the next steps in reverse order, see ``Cell.sensitivity``."""
        layer = len(self._layers) - 1 - self._taken_back // self._steps
        self._taken_back += len(c_previous)
        return self._layers[layer].sensitivity(step, c_previous)
