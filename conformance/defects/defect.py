"""Defects: LSTMs that are wrong in one known way.

A defect changes what the reference reads, computes, returns or differentiates. It is never a second LSTM.

A wrong read or write is a map of element numbers: for each element, the number of the element that takes its place.
Such a map has an adjoint. The gradients of a defect therefore match its wrong forward pass, as in a framework with
automatic differentiation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cases.case import Case
from reference.cell import Cell
from reference.layer import Pass, Time
from reference.network import Clock, Lift

Arrays = dict[str, Any]
"""Arrays by name. They hold element numbers in a ``Rewire``, and values elsewhere."""
Rewire = Callable[[Arrays, Case], Arrays]
"""Function that maps arrays of element numbers to the numbers of the elements that take their place, in the same
shapes. ``NOTHING`` stands for an element that is 0. The result may omit tensors that do not change."""
Change = Callable[[Arrays, Case], Arrays]
"""Function that maps tensors to changed tensors of the same names and shapes."""

NOTHING = -1
"""Element number that reads as 0."""


@dataclass(frozen=True)
class Defect:
    """One way in which an LSTM is wrong. A field that is not set changes nothing.

    Attributes:
        id: short name of the mistake, in words with hyphens.
        what: description that completes the sentence "behaves exactly like an LSTM …".
        represents: real bug or implementation that does this, such as ``pytorch#95137``; empty if none is known.
        requires: condition that a case must meet for the defect to change anything.
        reads: elements to read in place of those of the parameters, ``input``, ``h_0`` and ``c_0``. Omitted initial
            states are zeros. Gradients follow.
        scales: factors of the same tensors, 1 where nothing is scaled. Gradients follow.
        shifts: changes to the values of the same tensors. Gradients do not follow.
        lengths: change to the lengths (B,), for cases with padding after the valid steps.
        mask: change to the mask of valid steps (T, B).
        dropout_masks: change to the dropout masks of both passes.
        backward_masks: change to the dropout masks of the backward pass. Only gradients are wrong.
        saved: change to the recorded forward pass of one direction of one layer. Only gradients are wrong.
        dialect: change to the dialect.
        cell: factory of the cell that replaces the plain one, called for each run. The defect then does not apply to
            cases with cell options.
        cells: change to the cells of the directions.
        clock: order of the time steps, see ``reference.forward``.
        lift: function that converts arrays to the kind of array to compute with, see ``reference.forward``.
        writes: elements to return in place of those of ``output``, ``h_n`` and ``c_n``. Gradients follow.
        results: changes to the values of the same tensors, after ``writes``. Gradients do not follow. Their
            shapes can change in cases without derivatives.
        cotangents: changes to the cotangents of ``output``, ``h_n`` and ``c_n``. Only gradients are wrong.
        gradients: changes to the gradients, by name without ``grad.``. Only gradients are wrong.
        tangents: changes to the direction of ``jvp`` and ``hvp``. Only these derivatives are wrong.
        saved_tangents: change to the recorded forward pass of one direction of one layer, of ``reference.dual`` arrays.
            Only ``hvp`` is wrong.
        derivatives: changes to the tensors of ``jvp`` and ``hvp``, by name with these prefixes.
        gradients_as_read: whether each gradient stays in the place of the tensor that was read, instead of following
            ``reads`` back. Only gradients are wrong.
        size: size of the error, for a defect that has one.
        with_size: function that returns the same defect with another size.
        equivalent: reason why no case can distinguish the defect from a correct LSTM; empty if a case can.
    """

    id: str
    what: str
    represents: str = ""
    requires: Callable[[Case], bool] = field(default=lambda _: True)
    reads: Rewire | None = None
    scales: Change | None = None
    shifts: Change | None = None
    lengths: Callable[[NDArray[np.int64], Case], NDArray[np.int64]] | None = None
    mask: Callable[[NDArray[np.bool_], Case], NDArray[np.bool_]] | None = None
    dropout_masks: Change | None = None
    backward_masks: Change | None = None
    saved: Callable[[Pass, Case], Pass] | None = None
    dialect: Callable[[reference.Dialect], reference.Dialect] | None = None
    cell: Callable[[Case], Cell] | None = None
    cells: Callable[[dict[str, Cell], Case], dict[str, Cell]] | None = None
    clock: Clock = Time
    lift: Lift = reference.float64
    writes: Rewire | None = None
    results: Change | None = None
    cotangents: Change | None = None
    gradients: Change | None = None
    tangents: Change | None = None
    saved_tangents: Callable[[Pass, Case], Pass] | None = None
    derivatives: Change | None = None
    gradients_as_read: bool = False
    size: float | None = None
    with_size: "Callable[[float], Defect] | None" = None
    equivalent: str = ""

    @property
    def changes_forward(self) -> bool:
        """Whether the defect changes the forward pass itself, not only its results (``writes``, ``results``)."""
        changes = (self.reads, self.scales, self.shifts, self.lengths, self.mask, self.dropout_masks, self.dialect)
        replaced = self.clock is not Time or self.lift is not reference.float64
        return replaced or any(change is not None for change in (*changes, self.cell, self.cells))

    @property
    def changes_only_derivatives(self) -> bool:
        """Whether the defect changes ``jvp`` and ``hvp`` only."""
        changes = (self.tangents, self.saved_tangents, self.derivatives)
        changed = replace(self, tangents=None, saved_tangents=None, derivatives=None)
        others = changed.changes_backward or changed.gradients or changed.results
        return any(change is not None for change in changes) and not others

    @property
    def changes_backward(self) -> bool:
        """Whether the defect changes the backward pass itself, not only its results (``gradients``)."""
        changes = (self.writes, self.cotangents, self.backward_masks, self.saved)
        return self.changes_forward or any(change is not None for change in changes)

    def applies_to(self, case: Case) -> bool:
        """Returns whether a case computes something, meets ``requires`` and, for another cell, has no cell options."""
        computes = case.refuses is None and not case.is_empty
        return computes and (self.cell is None or case.is_plain) and self.requires(case)
