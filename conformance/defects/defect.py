"""Defects: LSTMs that are wrong in one known way.

A defect changes what the reference reads, computes, returns or differentiates. It is never a second LSTM.

A wrong read or write is a map of element numbers: for each element, the number of the element that takes its place.
Such a map has an adjoint. The gradients of a defect therefore match its wrong forward pass, as in a framework with
automatic differentiation.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, cells
from reference.cell import Cell
from reference.layer import Pass, Time
from reference.network import Clock, Lift, Trace

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
        results: changes to the values of the same tensors, after ``writes``. Gradients do not follow.
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
        """Whether the defect changes the forward pass before ``writes`` and ``results``."""
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
        """Whether the defect changes the backward pass before ``gradients``."""
        changes = (self.writes, self.cotangents, self.backward_masks, self.saved)
        return self.changes_forward or any(change is not None for change in changes)

    def applies_to(self, case: Case) -> bool:
        """Returns whether a case computes something, meets ``requires`` and, for another cell, has no cell options."""
        computes = case.refuses is None and not case.is_empty
        return computes and (self.cell is None or case.is_plain) and self.requires(case)


def solve(defect: Defect, problem: Problem, dialect: reference.Dialect) -> Arrays:
    """Solves a problem with an LSTM that has a defect, in float64.

    Args:
        defect: the defect.
        problem: the problem.
        dialect: conventions of the LSTM.

    Returns:
        The tensors of ``problem.expected_shapes()``, by name.
    """
    solution = Forward.run(defect, problem, dialect)
    results = solution.outputs | solution.gradients()
    if problem.case.has_direction:
        results |= derivatives(defect, problem, dialect)
    return {name: results[name] for name in problem.expected_shapes()}


@dataclass(frozen=True)
class Forward:
    """The forward pass of an LSTM with a defect.

    Attributes:
        outputs: ``output``, ``h_n`` and ``c_n``.
        trace: the forward pass before ``writes`` and ``results``.
    """

    outputs: Arrays
    trace: Trace
    _defect: Defect
    _problem: Problem
    _reading: "Wiring"
    _writing: "Wiring"
    _factors: Arrays

    @classmethod
    def run(cls, defect: Defect, problem: Problem, dialect: reference.Dialect, trace: Trace | None = None) -> "Forward":
        """Runs the forward pass.

        Args:
            defect: the defect.
            problem: the problem.
            dialect: conventions of the LSTM.
            trace: the correct forward pass, if known, for a defect that does not change it.
        """
        case = problem.case
        sources = {name: reference.float64(array) for name, array in _sources(problem).items()}
        reading = Wiring.of(defect.reads, sources, case)
        factors: Arrays = {}
        if defect.scales:
            factors = defect.scales({name: np.ones(array.shape) for name, array in sources.items()}, case)
        if trace is None:
            read = {name: array * factors.get(name, 1.0) for name, array in reading.forward(sources).items()}
            trace = _run(defect, problem, defect.shifts(read, case) if defect.shifts else read, dialect)
        outputs = {name: _values(tensor) for name, tensor in trace.outputs.items()}
        writing = Wiring.of(defect.writes, outputs, case)
        results = writing.forward(outputs)
        if defect.results:
            results = defect.results(results, case)
        return cls(results, trace, defect, problem, reading, writing, factors)

    def gradients(self, found: Arrays | None = None) -> Arrays:
        """Runs the backward pass. Returns the gradients with the prefix ``grad.``; empty if the case has none.

        Args:
            found: the correct gradients without the prefix, if known, for a defect whose backward pass is correct
                before ``gradients``.
        """
        defect, problem = self._defect, self._problem
        if "gradients" not in problem.case.check:
            return {}
        if found is None:
            cotangents = {name: reference.float64(array) for name, array in problem.complete_cotangents().items()}
            found = _run_back(defect, problem, self.trace, self._writing.backward(cotangents))
        gradients = {name: found[name] * self._factors.get(name, 1.0) for name in _sources(problem)}
        if not defect.gradients_as_read:
            gradients = self._reading.backward(gradients)
        if defect.gradients:
            gradients = defect.gradients(gradients, problem.case)
        return {f"grad.{name}": array for name, array in gradients.items()}


def derivatives(defect: Defect, problem: Problem, dialect: reference.Dialect) -> Arrays:
    """Returns the derivatives ``jvp`` and ``hvp`` of an LSTM with a defect.

    What the defect adds to the results and gradients of the reference is differentiated by a central difference, which
    needs no more of a defect than that it runs. Its error, about 1e-9 of what the defect adds, exceeds the budget of
    float64. Tensors that the defect does not change are exact.
    """
    case = problem.case
    direction = dict(problem.complete_tangents())
    if defect.tangents:
        direction = defect.tangents(direction, case)
    found = _reference_derivatives(defect, problem, direction, dialect)
    if not defect.changes_only_derivatives:
        checks = ("output", "h_n", "c_n", *["gradients"] * ("hvp" in case.check))
        sides = []
        for step in (_STEP, -_STEP):
            moved = _moved(problem, direction, step, checks)
            runs = [Forward.run(each, moved, dialect) for each in (defect, _CORRECT)]
            wrong, right = (run.outputs | run.gradients() for run in runs)
            sides.append({name: wrong[name] - right[name] for name in right})
        for name in sides[0]:
            prefixed = f"hvp.{name.removeprefix('grad.')}" if name.startswith("grad.") else f"jvp.{name}"
            found[prefixed] = found[prefixed] + (sides[0][name] - sides[1][name]) / (2 * _STEP)
    return defect.derivatives(found, case) if defect.derivatives else found


_STEP = 2.0**-20
"""Step of the central difference, in units of the direction."""
_CORRECT = Defect("correct", "without a defect")


def _moved(problem: Problem, direction: Arrays, step: float, checks: tuple[str, ...]) -> Problem:
    """Returns the problem with all arrays that are differentiated moved along a direction."""

    def move(arrays: Mapping[str, NDArray[np.floating]]) -> Arrays:
        return {name: reference.float64(array) + step * direction[name] for name, array in arrays.items()}

    return replace(
        problem,
        case=problem.case.model_copy(update={"check": checks}),
        parameters=move(problem.parameters),
        input=move({"input": problem.input})["input"],
        initial_state=problem.initial_state and move(problem.initial_state),
    )


def _reference_derivatives(defect: Defect, problem: Problem, direction: Arrays, dialect: reference.Dialect) -> Arrays:
    """Returns the reference's derivatives along a direction, with the defect's ``saved_tangents``."""
    case = problem.case
    trace = _run(_CORRECT, problem, dict(_sources(problem)), dialect, direction)
    found = {f"jvp.{name}": dual.derivative for name, dual in trace.outputs.items()}
    if "hvp" in case.check:
        if saved := defect.saved_tangents:
            trace = replace(trace, _passes=[[saved(each, case) for each in layer] for layer in trace._passes])
        gradients = reference.backward(trace, problem.complete_cotangents())
        found |= {f"hvp.{name.removeprefix('grad.')}": dual.derivative for name, dual in gradients.items()}
    return found


def _sources(problem: Problem) -> Mapping[str, NDArray[np.floating]]:
    """Returns the tensors that an LSTM reads. An omitted initial state is 0."""
    return {**problem.parameters, "input": problem.input, **problem.complete_state()}


def _run(
    defect: Defect, problem: Problem, read: Arrays, dialect: reference.Dialect, tangents: Arrays | None = None
) -> Trace:
    case, masks = problem.case, dict(problem.dropout_masks)
    followed = defect.dialect(dialect) if defect.dialect else dialect
    return reference.forward(
        case.model,
        {name: read[name] for name in problem.parameters},
        read["input"],
        {name: array for name, array in read.items() if name.startswith(("h_0", "c_0"))},
        tangents=tangents,
        mask=_valid_steps(defect, problem),
        dropout_masks=defect.dropout_masks(masks, case) if defect.dropout_masks else masks,
        dialect=followed,
        cell=_cells(defect, case, followed),
        clock=defect.clock,
        lift=defect.lift,
    )


def _valid_steps(defect: Defect, problem: Problem) -> NDArray[np.bool_] | None:
    if defect.lengths and problem.lengths is not None:
        return np.arange(problem.case.seq_len)[:, None] < defect.lengths(problem.lengths, problem.case)
    if defect.mask and problem.mask is not None:
        return defect.mask(problem.mask, problem.case)
    return problem.mask


def _cells(defect: Defect, case: Case, dialect: reference.Dialect) -> Mapping[str, Cell] | Cell:
    if defect.cell:
        return defect.cell(case)
    correct = cells(case, dialect)
    return defect.cells(correct, case) if defect.cells else correct


def _run_back(defect: Defect, problem: Problem, trace: Trace, cotangents: Arrays) -> Arrays:
    case = problem.case
    if defect.cotangents:
        cotangents = defect.cotangents(cotangents, case)
    if defect.backward_masks:
        trace = replace(trace, _masks=defect.backward_masks(dict(problem.dropout_masks), case))
    if saved := defect.saved:
        trace = replace(trace, _passes=[[saved(layer_pass, case) for layer_pass in layer] for layer in trace._passes])
    gradients = reference.backward(trace, cotangents)
    return {name.removeprefix("grad."): _values(array) for name, array in gradients.items()}


def _values(tensor: Any) -> Any:
    """Returns the values of a tensor, which may be a NumPy array or a ``Rounded`` array."""
    return tensor if isinstance(tensor, np.ndarray) else tensor.close_sum().value


@dataclass(frozen=True)
class Wiring:
    """A linear map between named tensors that copies elements, and its adjoint.

    Attributes:
        read: for each tensor, the numbers of the elements that take the place of its own; None for the identity.
    """

    read: Arrays | None

    @classmethod
    def of(cls, rewire: Rewire | None, tensors: Arrays, case: Case) -> "Wiring":
        """Creates the map from a rewiring of these tensors; None for the identity."""
        if rewire is None:
            return cls(None)
        numbers, first = {}, 0
        for name, array in tensors.items():
            numbers[name] = np.arange(first, first + array.size).reshape(array.shape)
            first += array.size
        read = numbers | rewire(dict(numbers), case)
        for name, array in tensors.items():
            if read[name].shape != array.shape:
                raise ValueError(f"{name}: a rewiring must keep the shape {array.shape}, got {read[name].shape}")
        return cls(read)

    def forward(self, tensors: Arrays) -> Arrays:
        """Applies the map."""
        if self.read is None:
            return tensors
        flat = np.concatenate([*(array.ravel() for array in tensors.values()), [0.0]])
        return {name: flat[self.read[name]] for name in tensors}

    def backward(self, gradients: Arrays) -> Arrays:
        """Applies the adjoint to gradients with respect to the results of ``forward``."""
        if self.read is None:
            return gradients
        flat = np.zeros(sum(array.size for array in gradients.values()) + 1)
        for name, array in gradients.items():
            np.add.at(flat, self.read[name].ravel(), array.ravel())
        results, first = {}, 0
        for name, array in gradients.items():
            results[name] = flat[first : first + array.size].reshape(array.shape)
            first += array.size
        return results
