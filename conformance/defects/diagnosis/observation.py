"""A failed solution, and how far it is from what a correct or a wrong LSTM would answer.

Which places a defect moves values to, the budget of the right computation does not know; so each tensor has one
tolerance, the largest budget among its elements, grown with the tensor where the defect makes that larger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import PROFILES

_ROUNDINGS = 1000.0
"""What a tensor of a defect's may be off by, where the right one is exact throughout, as all of it is 0."""


class Observation:
    """A failed solution, and what it is compared by."""

    def __init__(self, problem: Problem, solution: Mapping[str, Any], expectation: Expectation) -> None:
        self.problem = problem
        self.shapes = problem.expected_shapes()
        self.values = expectation.values
        # Where a tensor is missing or shaped wrongly, the judge has said so; the others may still tell why.
        self.got = {
            name: _where_told(np.asarray(solution[name], np.float64), self.values[name], expectation.budget[name])
            for name, shape in self.shapes.items()
            if name in solution and np.shape(solution[name]) == shape and np.asarray(solution[name]).dtype.kind == "f"
        }
        self.finite = all(np.isfinite(got).all() for got in self.got.values())
        self.deviates = not self.finite or any(
            bool((np.abs(got - self.values[name]) > expectation.budget[name]).any()) for name, got in self.got.items()
        )
        self._budget = {name: _size(expectation.budget[name]) for name in self.got}
        self._size = {name: _size(self.values[name]) for name in self.got}
        relative = [self._budget[name] / size for name, size in self._size.items() if size and self._budget[name]]
        self._relative = float(np.median(relative)) if relative else _ROUNDINGS * PROFILES[problem.case.dtype].u
        self.reference = self.misfits(self.values)

    def misfits(self, prediction: Mapping[str, Any]) -> dict[str, float]:
        """How far each tensor is from a prediction of it, in tolerances."""
        return {
            name: self.misfit(name, self.got[name], value) for name, value in prediction.items() if name in self.got
        }

    def misfit(self, name: str, got: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
        """How far apart two versions of a tensor are, in tolerances of the second; infinite where only one is NaN."""
        finite = np.isfinite(prediction)
        if not np.array_equal(finite, np.isfinite(got)):
            return np.inf
        deviation = float(np.abs(got - prediction, where=finite, out=np.zeros_like(got)).max(initial=0.0))
        if deviation == 0:
            return 0.0
        tolerance, size = self._budget[name], self._size[name]
        predicted = _size(prediction)
        if tolerance and size:
            tolerance *= max(1.0, predicted / size)
        else:
            tolerance = self._relative * predicted
        return deviation / tolerance if tolerance else np.inf

    def deviations(self, answer: Mapping[str, Any], names: Iterable[str]) -> NDArray[np.float64]:
        """How far an answer is from the reference, in tolerances, all tensors in a row."""
        compared = [name for name in names if name in self.got and self._budget[name]]
        parts = [(answer[name] - self.values[name]).ravel() / self._budget[name] for name in compared]
        return np.concatenate(parts) if parts else np.zeros(1)


def nudged(problem: Problem, draw: int) -> Problem:
    """The problem with all that is read off by about a rounding."""
    random = np.random.default_rng(draw)
    u = PROFILES[problem.case.dtype].u

    def nudge(array: NDArray[np.floating]) -> NDArray[np.floating]:
        return array.astype(np.float64) * (1 + u * random.standard_normal(array.shape))

    state = problem.initial_state
    return replace(
        problem,
        parameters={name: nudge(array) for name, array in problem.parameters.items()},
        input=nudge(problem.input),
        initial_state=state and {name: nudge(array) for name, array in state.items()},
    )


def _where_told(
    got: NDArray[np.float64], expected: NDArray[np.float64], budget: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A tensor with what the dialect leaves open as expected, whatever stands there."""
    return np.where(np.isinf(budget), expected, got)


def _size(array: NDArray[np.float64]) -> float:
    return float(np.abs(array, where=np.isfinite(array), out=np.zeros_like(array)).max(initial=0.0))
