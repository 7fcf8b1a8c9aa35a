"""Weights of 8 bits.

The rounding of weights does not depend on anything that an implementation computes. The reference therefore runs on the
rounded weights, and the budget contains only the rounding of the data.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reference.profile import Profile


def quantize_weights(parameters: Mapping[str, NDArray[Any]], profile: Profile) -> dict[str, NDArray[Any]]:
    """Returns parameters with matrices of weights rounded to 8 bits, if the profile quantizes them.

    A weight w becomes s · clip(round(w / s), -128, 127), where s = max |w| / ``weight_steps``. The maximum is that of
    the matrix, or of the row if the profile is per channel. Ties round to even. As in implementations, the quotient is
    computed in float32: with 127.5 steps, -max |w| is a tie.
    """
    return {
        name: _quantize(array, profile) if profile.weight_steps and name.startswith("weight") else array
        for name, array in parameters.items()
    }


def _quantize(weights: NDArray[Any], profile: Profile) -> NDArray[np.float64]:
    exact = weights.astype(np.float32)
    largest = np.abs(exact).max(axis=-1 if profile.per_channel else None, keepdims=True)
    step = np.where(largest > 0, largest, np.float32(1)) / np.float32(profile.weight_steps)
    levels = np.clip(np.rint(exact * (np.float32(1) / step)), -128, 127)
    return levels.astype(np.float64) * step
