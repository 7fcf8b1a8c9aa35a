"""Comparison of one tensor with the reference, element by element."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from conformance.verdict.error_ratio import elementwise_error_ratios

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """A tensor of a solution, and the reference with its budget. All arrays have the tensor's shape.

    Attributes:
        got: the implementation's values.
        expected: the reference's values.
        budget: largest |deviation| that conforms; infinite where no value is expected.
        bound: rigorous bound; a larger |deviation| is proven wrong.
    """

    got: Floats
    expected: Floats
    budget: Floats
    bound: Floats

    @cached_property
    def finite(self) -> NDArray[np.bool_]:
        """Elements that are finite, or for which no value is expected."""
        return np.isfinite(self.got) | np.isinf(self.budget)

    @cached_property
    def deviation(self) -> Floats:
        """Absolute deviations from the reference; infinite where one of the two values is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = np.abs(self.got - self.expected)
        return np.where(np.isnan(deviation), np.inf, deviation)

    @cached_property
    def error_ratios(self) -> Floats:
        """Error ratio of each element; infinite where the implementation's value is not finite."""
        return np.where(self.finite, elementwise_error_ratios(self.deviation, self.budget), np.inf)
