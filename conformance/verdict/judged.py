"""A solution with everything that is needed to judge it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import Dialect


class JudgedSolution(NamedTuple):
    """An implementation's solution, with everything that is needed to judge it.

    Attributes:
        problem: the problem that the implementation solved.
        solution: the implementation's tensors by name.
        expectation: the reference's tensors and their budgets.
        dialect: the conventions that the implementation declares.
    """

    problem: Problem
    solution: Mapping[str, NDArray[Any]]
    expectation: Expectation
    dialect: Dialect
