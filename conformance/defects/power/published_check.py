"""What a test of a published suite is: a problem, what is compared of it, and the suite's own tolerance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect
from reference.cell import Cell

Values = NDArray[np.floating]
Tolerance = Callable[[Values], Values]
"""The largest deviation that passes, for each expected value."""


@dataclass(frozen=True)
class Check:
    """One comparison of a published suite.

    Attributes:
        problem: its configuration and values.
        compared: the tensors that are compared, or how their names begin.
        dialect: the padding convention.
        cell: the cell, where it is not the usual one.
    """

    problem: Problem
    compared: tuple[str, ...]
    dialect: Dialect = field(default_factory=Dialect)
    cell: Cell | None = None


@dataclass(frozen=True)
class Suite:
    """A published suite."""

    name: str
    tolerance: str
    within: Tolerance
    checks: Callable[[], Sequence[Check]]


def make(case: Case, values: Mapping[str, Any]) -> Problem:
    """A problem with a suite's values: parameters, ``input``, states and cotangents by name, the rest zero."""
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
        raise ValueError(f"input has shape {x.shape}, the case's is {drawn.input.shape}")
    cotangents = {
        name: np.full(array.shape, values.get(f"cotangent.{name}", 0.0)) for name, array in drawn.cotangents.items()
    }
    return replace(drawn, parameters=parameters, input=x, initial_state=states or None, cotangents=cotangents)


def close(rtol: float, atol: float) -> Tolerance:
    """NumPy's rule."""
    return lambda expected: atol + rtol * np.abs(expected)


def ulps(count: int) -> Tolerance:
    """Units in the last place of float32."""
    return lambda expected: count * np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
