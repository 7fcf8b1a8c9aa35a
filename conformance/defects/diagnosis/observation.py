"""A failed solution, and its misfit to the predictions of defects.

A defect can move values to positions where the reference's budget is too small or zero. Each tensor therefore has a
single tolerance: the largest budget of its elements. The tolerance grows with the tensor if the defect makes it larger.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.verdict.judged import JudgedSolution
from conformance.verdict.problem import Problem
from reference import PROFILES

_DEFAULT_TOLERANCE_ROUNDINGS = 1000.0
"""Relative tolerance, in roundings of the dtype, if the reference has no tensor with nonzero values and budget."""


class Observation:
    """A failed solution with one tolerance per tensor.

    It omits tensors that are missing or have a wrong dtype, which the judge reports. Tensors with a wrong shape are
    only compared with predictions of the same shape.

    Attributes:
        problem: the failing problem.
        dialect: the implementation's conventions.
        shapes: shapes of all expected tensors, by name.
        values: the reference's tensors by name.
        got: the solution's comparable tensors by name. They have the expected shapes.
        finite: whether the comparable tensors contain neither NaN nor infinity.
        deviates: whether a comparable tensor deviates from the reference by more than its budget.
        reference_misfits: misfit of the reference for each comparable tensor.
    """

    def __init__(self, judged: JudgedSolution) -> None:
        problem, solution, expectation, dialect = judged
        self.problem = problem
        self.dialect = dialect
        self.shapes = problem.expected_shapes()
        self.values = expectation.values
        self.got = {
            name: _without_open_elements(
                np.asarray(solution[name], np.float64), self.values[name], expectation.budget[name]
            )
            for name, shape in self.shapes.items()
            if name in solution and np.shape(solution[name]) == shape and np.asarray(solution[name]).dtype.kind == "f"
        }
        self.finite = all(np.isfinite(got).all() for got in self.got.values())
        self.deviates = not self.finite or any(
            bool((np.abs(got - self.values[name]) > expectation.budget[name]).any()) for name, got in self.got.items()
        )
        self._misshapen = {
            name: array.astype(np.float64)
            for name, array in ((name, np.asarray(solution[name])) for name in self.shapes if name in solution)
            if array.shape != self.shapes[name] and array.dtype.kind == "f"
        }
        compared = [*self.got, *self._misshapen]
        self._tolerance = {name: _largest(expectation.budget[name]) for name in compared}
        self._size = {name: _largest(self.values[name]) for name in compared}
        relative = [self._tolerance[name] / size for name, size in self._size.items() if size and self._tolerance[name]]
        self._relative_tolerance = (
            float(np.median(relative)) if relative else _DEFAULT_TOLERANCE_ROUNDINGS * PROFILES[problem.case.dtype].u
        )
        self.reference_misfits = self.misfits(self.values)

    def misfits(self, prediction: Mapping[str, Any]) -> dict[str, float]:
        """Returns the misfit of each tensor that has the shape of its prediction."""
        found = {**self.got, **self._misshapen}
        return {
            name: self.misfit(name, found[name], value)
            for name, value in prediction.items()
            if name in found and found[name].shape == np.shape(value)
        }

    def misfit(self, name: str, got: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
        """Returns the largest |deviation| of a tensor from a prediction, in tolerances.

        The misfit is infinite if the two are not finite in the same elements.
        """
        finite = np.isfinite(prediction)
        if not np.array_equal(finite, np.isfinite(got)):
            return np.inf
        deviation = float(np.abs(got - prediction, where=finite, out=np.zeros_like(got)).max(initial=0.0))
        if deviation == 0:
            return 0.0
        tolerance, size = self._tolerance[name], self._size[name]
        predicted_size = _largest(prediction)
        if tolerance and size:
            tolerance *= max(1.0, predicted_size / size)
        else:
            tolerance = max(tolerance, self._relative_tolerance * predicted_size)
        return deviation / tolerance if tolerance else np.inf

    def scaled_deviations(self, tensors: Mapping[str, Any], names: Iterable[str]) -> NDArray[np.float64]:
        """Returns the signed deviations of tensors from the reference, in tolerances, as one flat array."""
        compared = [name for name in names if name in self.got and self._tolerance[name]]
        parts = [(tensors[name] - self.values[name]).ravel() / self._tolerance[name] for name in compared]
        return np.concatenate(parts) if parts else np.zeros(1)


def perturbed_by_rounding(problem: Problem, draw: int) -> Problem:
    """Returns a problem whose parameters, input and states have random relative errors of about one rounding.

    Args:
        problem: the problem.
        draw: seed of the random errors.
    """
    random = np.random.default_rng(draw)
    u = PROFILES[problem.case.dtype].u

    def perturb(array: NDArray[np.floating]) -> NDArray[np.floating]:
        return array.astype(np.float64) * (1 + u * random.standard_normal(array.shape))

    state = problem.initial_state
    return replace(
        problem,
        parameters={name: perturb(array) for name, array in problem.parameters.items()},
        input=perturb(problem.input),
        initial_state=state and {name: perturb(array) for name, array in state.items()},
    )


def _without_open_elements(
    got: NDArray[np.float64], expected: NDArray[np.float64], budget: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Replaces elements that the dialect does not specify by the expected ones."""
    return np.where(np.isinf(budget), expected, got)


def _largest(array: NDArray[np.float64]) -> float:
    """Returns the largest finite |element|; 0 if there is none."""
    return float(np.abs(array, where=np.isfinite(array), out=np.zeros_like(array)).max(initial=0.0))
