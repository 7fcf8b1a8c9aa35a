"""Ranges of number formats, to reject cases in which a correct implementation can overflow."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import DType
from conformance.verdict.problem import Problem
from reference import Profile

LARGEST_VALUE: Mapping[DType, float] = {
    "float64": 2.0**500,
    "float32": (2 - 2.0**-23) * 2.0**127,
    "float16": 65504.0,
    "bfloat16": (2 - 2.0**-7) * 2.0**127,
}
"""Largest absolute value of each format. It is 2^500 for float64: the error analysis squares values in float64."""

_STORAGE_FORMATS: Mapping[float, DType] = {
    2.0**-24: "float32",
    2.0**-11: "float16",
    2.0**-8: "bfloat16",
}
"""Number formats by unit roundoff, without float64, which has the largest range."""

_MARGIN = 1e6
"""Factor by which ``rough_reach`` exceeds the product of the visible values."""


def narrowest_format(dtype: DType, profile: Profile) -> DType:
    """Returns the format with the smaller range: the case's dtype or the profile's storage format.

    The profile's unit roundoff identifies its storage format. A profile with any other unit roundoff stores the dtype.
    """
    return min((dtype, _STORAGE_FORMATS.get(profile.u, dtype)), key=LARGEST_VALUE.__getitem__)


def tensor_reach(values: NDArray[np.float64], budget: NDArray[np.float64]) -> float:
    """Returns the largest absolute value in a conforming tensor, ignoring unspecified and NaN elements."""
    reached = np.abs(values) + budget
    return float(reached.max(initial=0.0, where=np.isfinite(reached)))


def rough_reach(problem: Problem, values: Mapping[str, NDArray[np.float64]]) -> float:
    """Returns a generous estimate of the largest absolute value in a computation, from its arrays and its results.

    It is infinite for cells whose gates can exceed 1, and for derivatives along a direction. For the others, every
    intermediate result is a sum over units or steps of products of at most three gates, weights, states or gradients.
    The results show how large these are, up to a factor that the estimate exceeds by far.
    """
    case = problem.case
    if not case.is_plain or case.has_direction:
        return math.inf
    arrays = [problem.input, *problem.parameters.values(), *(problem.initial_state or {}).values()]
    arrays += [*problem.cotangents.values(), *values.values()]
    bound = 1 + max(float(np.abs(array).max(initial=0.0, where=np.isfinite(array))) for array in arrays)
    terms = case.seq_len * case.num_rows * (case.input_size + 4 * max(case.model.distinct_hidden_sizes))
    return _MARGIN * terms * bound * bound * bound


def intermediate_reach(largest: float, condition: float, profile: Profile) -> float:
    """Returns the largest absolute value that an intermediate result of a correct run can have.

    Args:
        largest: largest absolute value of an exact intermediate result.
        condition: amplification of rounding errors, see ``reference.rounding.Budget``.
        profile: rounding of the implementation.
    """
    return largest * (1 + profile.z * profile.unit * condition)
