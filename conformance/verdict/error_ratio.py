"""The error ratio: |deviation| / budget. A tensor conforms if its largest error ratio is at most 1."""

import numpy as np
from numpy.typing import NDArray


def elementwise_error_ratios(deviation: NDArray[np.float64], budget: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns |deviation| / budget of each element.

    The error ratio is 0 where the deviation is 0 or the budget is infinite. Otherwise a NaN deviation has an infinite
    error ratio.

    Args:
        deviation: absolute deviations from the reference.
        budget: budgets of the same elements.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratios = np.where((deviation == 0) | np.isinf(budget), 0.0, deviation / budget)
    return np.where(np.isnan(ratios), np.inf, ratios)
