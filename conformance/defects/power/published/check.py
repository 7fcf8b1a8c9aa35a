"""Checks of a published suite: a problem, the compared tensors and the suite's own tolerance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect
from reference.cell import Cell

Values = NDArray[np.floating]
Tolerance = Callable[[Values], Values]
"""Function that returns the largest deviations that pass, given the expected values."""


@dataclass(frozen=True)
class Check:
    """One comparison of a published suite.

    Attributes:
        problem: configuration and values.
        compared: names or prefixes of the names of the compared tensors.
        dialect: conventions of the suite's LSTM.
        cell: cell of the LSTM; None for the standard cell.
        within: tolerance of this check; None for that of the suite.
    """

    problem: Problem
    compared: tuple[str, ...]
    dialect: Dialect = field(default_factory=Dialect)
    cell: Cell | None = None
    within: Tolerance | None = None

    @cached_property
    def solution(self) -> Arrays:
        """The solution of an LSTM without a defect."""
        cell = self.cell
        right = Defect(id="none", what="without a defect", cell=(lambda _: cell) if cell else None)
        with np.errstate(all="ignore"):
            return solve(right, self.problem, self.dialect)


@dataclass(frozen=True)
class Suite:
    """A published suite.

    Attributes:
        name: name of the suite.
        tolerance: the tolerance in words.
        within: the tolerance as a function.
        checks: function that builds the checks. Raises ImportError if a package is missing.
    """

    name: str
    tolerance: str
    within: Tolerance
    checks: Callable[[], Sequence[Check]]


def problem_with_values(case: Case, values: Mapping[str, Any]) -> Problem:
    """Returns a problem with a suite's values.

    Args:
        case: configuration of the problem.
        values: parameters, ``input``, initial states, and cotangents as ``cotangent.NAME``, by name. All but ``input``
            default to zeros.

    Raises:
        ValueError: ``input`` has the wrong shape.
    """
    drawn = make_problem(case)
    parameters = {
        name: np.broadcast_to(np.asarray(values.get(name, 0.0), dtype=np.float32), array.shape)
        for name, array in drawn.parameters.items()
    }
    states = {
        name: np.asarray(values.get(name, np.zeros(array.shape)), dtype=np.float32)
        for name, array in (drawn.initial_state or {}).items()
    }
    x = np.asarray(values["input"], dtype=np.float32)
    if x.shape != drawn.input.shape:
        raise ValueError(f"input has shape {x.shape}, but the case requires {drawn.input.shape}")
    cotangents = {
        name: np.full(array.shape, values.get(f"cotangent.{name}", 0.0)) for name, array in drawn.cotangents.items()
    }
    return replace(drawn, parameters=parameters, input=x, initial_state=states or None, cotangents=cotangents)


def allclose(rtol: float, atol: float) -> Tolerance:
    """Returns the tolerance of ``numpy.allclose``: atol + rtol · |expected|."""
    return lambda expected: atol + rtol * np.abs(expected)


def ulps(count: int) -> Tolerance:
    """Returns a tolerance of some units in the last place of float32."""
    return lambda expected: count * np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
