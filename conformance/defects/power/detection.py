"""Detection of defects by one case: the error ratio of each defect on the case's problem."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.verdict.error_ratio import elementwise_error_ratios
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import Dialect

DETECTED_ABOVE = 2.0
"""Error ratio above which a case detects a defect. Rounding by up to one budget cannot hide such a deviation."""


def error_ratios(
    problem: Problem, expectation: Expectation, dialect: Dialect, defects: Iterable[Defect]
) -> dict[str, float]:
    """Returns the error ratio of each applicable defect on a problem, by the defect's id.

    The defects are solved in float64. Their deviations are compared with the budget of the case's dtype.
    """
    flat = FlatExpectation(expectation)
    return {
        defect.id: flat.error_ratio(solve(defect, problem, dialect))
        for defect in defects
        if defect.applies_to(problem.case)
    }


class FlatExpectation:
    """An expectation with all tensors concatenated into one array, for fast comparison with hundreds of solutions."""

    def __init__(self, expectation: Expectation) -> None:
        self._shapes = {name: array.shape for name, array in expectation.values.items()}
        self._values = self._flatten(expectation.values)
        self._budget = self._flatten(expectation.budget)

    def _flatten(self, tensors: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([tensors[name].ravel() for name in self._shapes])

    def error_ratio(self, solution: Mapping[str, NDArray[np.float64]]) -> float:
        """Returns the error ratio of a solution; infinite for a wrong shape, or an unexpected NaN or infinity."""
        if any(solution[name].shape != shape for name, shape in self._shapes.items()):
            return np.inf
        got = self._flatten(solution)
        both_nan = np.isnan(got) & np.isnan(self._values)
        deviation = np.where(both_nan, 0.0, np.abs(got - self._values))
        return float(elementwise_error_ratios(deviation, self._budget).max(initial=0.0))
