"""Mistakes in arguments, which an implementation must refuse with an error."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.cases.uses import Mistake

Array = NDArray[Any]

DESCRIPTIONS: Mapping[Mistake, str] = {
    "input-features": "an input with one feature too many",
    "input-axes": "an input with an additional axis",
    "input-dtype": "an input of another dtype than the weights",
    "h_0-layers": "h_0 without the last layer or direction",
    "c_0-layers": "c_0 without the last layer or direction",
    "h_0-rows": "h_0 with a single row",
    "c_0-rows": "c_0 with a single row",
    "h_0-units": "h_0 with a single unit",
    "c_0-units": "c_0 with a single unit",
    "lengths-above": "a length above the number of steps",
    "lengths-negative": "a negative length",
    "weight-transposed": "a transposed recurrent weight",
}
"""Descriptions of the wrong arguments, as noun phrases."""


def make_mistake(case: Case, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the array that a case passes by mistake, by the name of the correct one; empty without a mistake.

    If hidden sizes differ, only the states of the first layer are wrong.

    Args:
        case: the case.
        arrays: correct arrays by name, see ``Problem.arrays``.
    """
    if case.refuses is None:
        return {}
    argument, _, what = case.refuses.partition("-")
    name = next(name for name in arrays if name.startswith("weight_hh" if argument == "weight" else argument))
    wrong = np.array(_CHANGES[what](arrays[name], case), order="C")
    wrong.flags.writeable = False
    return {name: wrong}


_CHANGES: Mapping[str, Callable[[Array, Case], Array]] = {
    "features": lambda array, _: np.concatenate([array, array[..., :1]], axis=-1),
    "axes": lambda array, _: array[None],
    "dtype": lambda array, case: array.astype(np.float32 if case.dtype == "float64" else np.float64),
    "layers": lambda array, _: array[:-1],
    "rows": lambda array, _: array[:, :1],
    "units": lambda array, _: array[..., :1],
    "above": lambda lengths, case: np.array([case.seq_len + 1, *lengths[1:]], lengths.dtype),
    "negative": lambda lengths, _: np.array([-1, *lengths[1:]], lengths.dtype),
    "transposed": lambda array, _: array.T,
}
"""Wrong array in place of a correct one, by the second part of the mistake's name."""
