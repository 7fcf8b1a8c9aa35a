"""Which defects the checks of one case would see."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from conformance.defects.defect import Defect, solve
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import Dialect

DETECTED_ABOVE = 2.0
"""An error ratio beyond which a defect is seen: rounding of up to one budget against it cannot hide it."""


def error_ratios(
    problem: Problem, expectation: Expectation, dialect: Dialect, defects: Iterable[Defect]
) -> dict[str, float]:
    """The error ratio that an LSTM with each defect would have on a problem, by the defect's id.

    Only those that apply are in it. Their deviations are exact: computed in float64, and judged by the budget of the
    case's dtype.
    """
    compared = Compared(expectation)
    return {
        defect.id: compared.error_ratio(solve(defect, problem, dialect))
        for defect in defects
        if defect.concerns(problem.case)
    }


class Compared:
    """All tensors of an expectation as one, since a problem is compared with hundreds of solutions."""

    def __init__(self, expectation: Expectation) -> None:
        self._names = list(expectation.values)
        self._values = self._flat(expectation.values)
        self._budget = self._flat(expectation.budget)

    def _flat(self, tensors: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([tensors[name].ravel() for name in self._names])

    def error_ratio(self, solution: Mapping[str, NDArray[np.float64]]) -> float:
        """The largest of a solution; infinite where it is not finite."""
        found = self._flat(solution)
        deviation = np.where(np.isnan(found) & np.isnan(self._values), 0.0, np.abs(found - self._values))
        with np.errstate(divide="ignore", invalid="ignore"):
            error_ratio = np.where((deviation == 0) | np.isinf(self._budget), 0.0, deviation / self._budget)
        # What is not finite is seen whatever the budget.
        return float(np.where(np.isnan(error_ratio), np.inf, error_ratio).max(initial=0.0))
