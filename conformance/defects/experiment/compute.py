"""Runs the reference with other cells or other arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import reference
from conformance.cases.case import Case
from conformance.verdict.oracle import solve
from conformance.verdict.problem import Problem, cells
from reference import Dialect
from reference.cell import Cell, Sensitivity, Step
from reference.network import Lift

Compute = Callable[[Problem, Dialect], dict[str, Any]]
"""Function that solves a problem. It also returns ``output``, ``h_n`` and ``c_n`` that the case does not compare."""


def run(
    problem: Problem,
    dialect: Dialect,
    cell: Mapping[str, Cell] | Cell | None = None,
    lift: Lift = reference.float64,
    after_forward: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Solves a problem, see ``conformance.verdict.oracle.solve``.

    Args:
        problem: the problem.
        dialect: the conventions to follow.
        cell: the cell, or the cell of each direction; None for those of the case.
        lift: conversion of arrays to the numbers to compute with.
        after_forward: function that is called between the forward and the backward pass.
    """
    trace = reference.forward(
        problem.case.model,
        problem.parameters,
        problem.input,
        problem.complete_state() if problem.initial_state else None,
        mask=problem.mask,
        dropout_masks=problem.dropout_masks,
        dialect=dialect,
        cell=cell or cells(problem.case, dialect),
        lift=lift,
    )
    found = dict(trace.outputs)
    after_forward()
    if "gradients" in problem.case.check:
        found |= reference.backward(trace, problem.complete_cotangents())
    return {name: _values(array) for name, array in found.items()}


def with_right_gradients(compute: Compute) -> Compute:
    """Returns a computation whose gradients are those of the reference."""

    def changed(problem: Problem, dialect: Dialect) -> dict[str, Any]:
        forward = problem.case.forward_only()
        results = compute(replace(problem, case=forward) if forward else problem, dialect)
        return solve(problem, dialect) | results

    return changed


class LayeredCell(Cell):
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


def _values(array: Any) -> Any:
    """Returns the values of a NumPy array or of a ``Rounded`` array."""
    return array if isinstance(array, np.ndarray) else array.close_sum().value
