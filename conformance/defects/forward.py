"""Runs the reference, forward and back, with the changes of a defect."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect
from conformance.defects.wiring import Wiring
from conformance.verdict.problem import Problem, cells
from reference.cell import Cell
from reference.network import Trace


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
    _reading: Wiring
    _writing: Wiring
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
        sources = {name: reference.float64(array) for name, array in read_tensors(problem).items()}
        reading = Wiring.of(defect.reads, sources, case)
        factors: Arrays = {}
        if defect.scales:
            factors = defect.scales({name: np.ones(array.shape) for name, array in sources.items()}, case)
        if trace is None:
            read = {name: array * factors.get(name, 1.0) for name, array in reading.forward(sources).items()}
            trace = run_reference(defect, problem, defect.shifts(read, case) if defect.shifts else read, dialect)
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
        gradients = {name: found[name] * self._factors.get(name, 1.0) for name in read_tensors(problem)}
        if not defect.gradients_as_read:
            gradients = self._reading.backward(gradients)
        if defect.gradients:
            gradients = defect.gradients(gradients, problem.case)
        return {f"grad.{name}": array for name, array in gradients.items()}


def read_tensors(problem: Problem) -> Mapping[str, NDArray[np.floating]]:
    """Returns the tensors that an LSTM reads. An omitted initial state is 0."""
    return {**problem.parameters, "input": problem.input, **problem.complete_state()}


def run_reference(
    defect: Defect, problem: Problem, read: Arrays, dialect: reference.Dialect, tangents: Arrays | None = None
) -> Trace:
    """Runs the reference's forward pass on the tensors that a defect reads, optionally along a direction."""
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
