"""What a defect is: a change to what an LSTM reads, computes, answers or differentiates; never an LSTM of its own.

Whatever is read in the wrong place is written as a map of element numbers: which element stands where another should.
Such a map has an adjoint, so that the gradients of the wrong LSTM are those of what it computed, as they would be in a
framework that differentiates it.
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
from reference.network import Clock, Lift

Arrays = dict[str, Any]
"""Named tensors: of element numbers in a ``Rewire``, of values elsewhere."""
Rewire = Callable[[Arrays, Case], Arrays]
"""Named element numbers to those read in their place; ``NOTHING`` reads 0. Same names, same shapes."""
Change = Callable[[Arrays, Case], Arrays]
"""Named tensors to changed ones, elementwise, of the same shapes."""

NOTHING = -1
"""The element number that reads as 0."""


@dataclass(frozen=True)
class Defect:
    """One way in which an LSTM is wrong. What is left out is right.

    Attributes:
        id: says what is wrong, in a few words with hyphens.
        what: completes "behaves exactly like an LSTM …".
        stands_for: the real bug, as ``pytorch#95137``, where there is one.
        applies: whether a case has what it takes; where it does not, the defect is no defect.
        reads: parameters, ``input``, ``h_0`` and ``c_0`` (by their names; 0 where a case omits them) read in the wrong
            place; gradients follow.
        scales: factors for the same tensors; gradients follow.
        shifts: what is added to the same tensors, and has no gradient.
        lengths: the lengths that it goes by, (B,), where padding comes after the valid steps.
        mask: which steps of each row it takes to count (T, B).
        masks: the dropout masks that it applies, in the forward pass.
        masks_back: the dropout masks that it applies on the way back.
        recalls: what the way back finds of the forward pass of one direction of one layer: wrong gradients of right
            results.
        dialect: the conventions that it follows.
        cell: makes the cell that it runs, anew for each run: a plain one, so no defect of a case with options.
        cells: the cells of each direction that it runs, changed.
        clock: the order of its steps.
        lift: the numbers that it computes with.
        answers: ``output``, ``h_n`` and ``c_n`` put in the wrong place; gradients follow.
        results: the same tensors, changed after all else; gradients do not follow.
        cotangents: of ``output``, ``h_n`` and ``c_n``, changed: wrong gradients of right results.
        gradients: by their names without ``grad.``, changed: wrong gradients of right results.
        size: how large it is, where that makes sense.
        sized: the same defect in another size.
        equivalent: why it cannot be told from a correct LSTM, where that is so.
    """

    id: str
    what: str
    stands_for: str = ""
    applies: Callable[[Case], bool] = field(default=lambda _: True)
    reads: Rewire | None = None
    scales: Change | None = None
    shifts: Change | None = None
    lengths: Callable[[NDArray[np.int64], Case], NDArray[np.int64]] | None = None
    mask: Callable[[NDArray[np.bool_], Case], NDArray[np.bool_]] | None = None
    masks: Change | None = None
    masks_back: Change | None = None
    recalls: Callable[[Pass, Case], Pass] | None = None
    dialect: Callable[[reference.Dialect], reference.Dialect] | None = None
    cell: Callable[[Case], Cell] | None = None
    cells: Callable[[dict[str, Cell], Case], dict[str, Cell]] | None = None
    clock: Clock = Time
    lift: Lift = reference.float64
    answers: Rewire | None = None
    results: Change | None = None
    cotangents: Change | None = None
    gradients: Change | None = None
    size: float | None = None
    sized: "Callable[[float], Defect] | None" = None
    equivalent: str = ""

    def concerns(self, case: Case) -> bool:
        """Whether it is a defect of this case: whether the case has what it takes, and its cell can be put in place."""
        return (self.cell is None or case.is_plain) and self.applies(case)


def solve(defect: Defect, problem: Problem, dialect: reference.Dialect) -> Arrays:
    """What an LSTM with this defect answers, in float64: every tensor of ``problem.expected_shapes()``."""
    case, model = problem.case, problem.case.model
    sources = {name: reference.float64(array) for name, array in _sources(problem).items()}
    wiring = Wiring.of(defect.reads, sources, case)
    factors = (
        defect.scales({name: np.ones(array.shape) for name, array in sources.items()}, case) if defect.scales else {}
    )
    read = {name: array * factors.get(name, 1.0) for name, array in wiring.forth(sources).items()}
    if defect.shifts:
        read = defect.shifts(read, case)
    masks = dict(problem.dropout_masks)
    followed = defect.dialect(dialect) if defect.dialect else dialect

    trace = reference.forward(
        model,
        {name: read[name] for name in problem.parameters},
        read["input"],
        {name: array for name, array in read.items() if name.startswith(("h_0", "c_0"))},
        mask=_mask(defect, problem),
        dropout_masks=defect.masks(masks, case) if defect.masks else masks,
        dialect=followed,
        cell=_cells(defect, case, followed),
        clock=defect.clock,
        lift=defect.lift,
    )
    outputs = {name: _plain(value) for name, value in trace.outputs.items()}
    placing = Wiring.of(defect.answers, outputs, case)
    results = placing.forth(outputs)
    if defect.results:
        results = defect.results(results, case)
    if "gradients" in case.check:
        cotangents = placing.back({name: reference.float64(array) for name, array in problem.cotangents.items()})
        if defect.cotangents:
            cotangents = defect.cotangents(cotangents, case)
        if defect.masks_back:
            trace = replace(trace, _masks=defect.masks_back(masks, case))
        if recalls := defect.recalls:
            trace = replace(trace, _passes=[[recalls(one, case) for one in layer] for layer in trace._passes])
        found = {name.removeprefix("grad."): _plain(g) for name, g in reference.backward(trace, cotangents).items()}
        gradients = wiring.back({name: found[name] * factors.get(name, 1.0) for name in sources})
        if defect.gradients:
            gradients = defect.gradients(gradients, case)
        results |= {f"grad.{name}": array for name, array in gradients.items()}
    return {name: results[name] for name in problem.expected_shapes()}


def _mask(defect: Defect, problem: Problem) -> NDArray[np.bool_] | None:
    if defect.lengths and problem.lengths is not None:
        return np.arange(problem.case.seq_len)[:, None] < defect.lengths(problem.lengths, problem.case)
    if defect.mask and problem.mask is not None:
        return defect.mask(problem.mask, problem.case)
    return problem.mask


def _cells(defect: Defect, case: Case, dialect: reference.Dialect) -> Mapping[str, Cell] | Cell:
    if defect.cell:
        return defect.cell(case)
    found = cells(case, dialect)
    return defect.cells(found, case) if defect.cells else found


def _sources(problem: Problem) -> Mapping[str, NDArray[np.floating]]:
    """What an LSTM reads, and may answer gradients of. A state that is omitted is there: it is 0."""
    case, state = problem.case, problem.initial_state
    if state is None:
        shapes = {**case.model.state_shapes("h_0", case.rows), **case.model.state_shapes("c_0", case.rows)}
        state = {name: np.zeros(shape) for name, shape in shapes.items()}
    return {**problem.parameters, "input": problem.input, **state}


def _plain(value: Any) -> Any:
    """The values of numbers that carry something else beside them."""
    return value if isinstance(value, np.ndarray) else value.close_sum().value


@dataclass(frozen=True)
class Wiring:
    """A linear map between tensors that copies elements, and its adjoint."""

    read: Arrays | None
    """For each tensor, the number of the element that is read in place of each; None where all are right."""

    @classmethod
    def of(cls, rewire: Rewire | None, tensors: Arrays, case: Case) -> "Wiring":
        """The map that a rewiring of these tensors stands for."""
        if rewire is None:
            return cls(None)
        numbers, first = {}, 0
        for name, array in tensors.items():
            numbers[name] = np.arange(first, first + array.size).reshape(array.shape)
            first += array.size
        read = numbers | rewire(dict(numbers), case)
        for name, array in tensors.items():
            if read[name].shape != array.shape:
                raise ValueError(f"{name} has shape {array.shape}, it is rewired to {read[name].shape}")
        return cls(read)

    def forth(self, tensors: Arrays) -> Arrays:
        """Each tensor as it is read."""
        if self.read is None:
            return tensors
        flat = np.concatenate([*(array.ravel() for array in tensors.values()), [0.0]])
        return {name: flat[self.read[name]] for name in tensors}

    def back(self, gradients: Arrays) -> Arrays:
        """The gradients by the tensors, from those by what was read."""
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
