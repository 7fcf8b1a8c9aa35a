"""Evidence of a failure: a summary of the deviations in one tensor, whose size does not depend on the tensor's."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.verdict.comparison import Comparison

WORST_ELEMENTS = 8
"""Number of elements to list."""
MAX_MAP_SIDE = 64
"""Largest number of rows and of columns of a map."""
HISTOGRAM_EDGES = 10.0 ** np.arange(-2, 13)
"""Upper edges of the histogram bins, as error ratios: one bin per decade. The third edge is 1, the last bin is open."""

_MAP_DIGITS = np.array(list("0123456789abcdefx"))
_NOT_FINITE = 16
"""Bin of elements that are not finite."""


def evidence(
    compared: Comparison, axes: Sequence[str], describe_element: Callable[[tuple[int, ...]], str]
) -> dict[str, Any]:
    """Summarizes the deviations in a tensor.

    Args:
        compared: the tensor.
        axes: names of the tensor's axes. The axis ``row`` is the batch.
        describe_element: describes the position of an element in words.

    Returns:
        A dictionary with the following keys.

        - ``worst``: the elements with the largest error ratios, worst first. Each is a list of index, position in
          words, expected and actual value as hexadecimal floats, budget, and bound.
        - ``histogram``: number of elements in each bin of ``HISTOGRAM_EDGES``.
        - ``not_finite``: number of elements that are not finite. The histogram does not count them.
        - ``map``: largest error ratio at each position, over the rows of the batch. Each string is a row of the map
          and has one hexadecimal digit for each column. Digits 0 to 2 conform and are bins of ``HISTOGRAM_EDGES``.
          Digits 3 to f divide the range from 1 to ``map_top`` into 13 bins of equal size on a logarithmic scale.
          ``x`` is not finite. Neighboring positions share a digit if the map would have more than ``MAX_MAP_SIDE``
          rows or columns.
        - ``map_top``: largest error ratio in the map, at least 10.
        - ``map_axes``: names of the map's two axes.
        - ``map_of``: number of positions along each axis of the map.
    """
    ratios, finite = compared.error_ratios, compared.finite
    bins = np.searchsorted(HISTOGRAM_EDGES, ratios)
    bins[~finite] = _NOT_FINITE
    counts = np.bincount(bins.ravel(), minlength=_NOT_FINITE + 1)
    top = max(10.0, float(ratios[np.isfinite(ratios)].max(initial=0.0)))
    digits = np.searchsorted(np.concatenate([HISTOGRAM_EDGES[:3], top ** (np.arange(1, 13) / 13)]), ratios)
    digits[~finite] = _NOT_FINITE
    image, names = _to_two_axes(digits, axes)
    return {
        "worst": [_describe(compared, index, describe_element) for index in _worst_elements(compared)],
        "histogram": [int(count) for count in counts[:_NOT_FINITE]],
        "not_finite": int(counts[_NOT_FINITE]),
        "map": ["".join(_MAP_DIGITS[row]) for row in _pool(image)],
        "map_top": float(f"{top:.3g}"),
        "map_axes": names,
        "map_of": list(image.shape),
    }


def _describe(
    compared: Comparison, index: tuple[int, ...], describe_element: Callable[[tuple[int, ...]], str]
) -> list[Any]:
    """Returns the entry of ``worst`` for one element."""
    return [
        list(index),
        describe_element(index),
        float(compared.expected[index]).hex(),
        float(compared.got[index]).hex(),
        float(f"{compared.budget[index]:.3g}"),
        float(f"{compared.bound[index]:.3g}"),
    ]


def _worst_elements(compared: Comparison) -> list[tuple[int, ...]]:
    """Returns the worst elements: those that are not finite, then by error ratio, then by deviation."""
    deviation = np.where(compared.finite, compared.deviation, 0.0)
    order = np.lexsort((-deviation.ravel(), -compared.error_ratios.ravel(), compared.finite.ravel()))
    shape = compared.got.shape
    return [tuple(int(i) for i in np.unravel_index(flat, shape)) for flat in order[:WORST_ELEMENTS]]


def _to_two_axes(bins: NDArray[np.int64], axes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Reduces a tensor to two axes and returns their names. Takes the largest value over the rows of the batch."""
    names = list(axes)
    if "row" in names and len(names) > 1:
        axis = names.index("row")
        bins = bins.max(axis=axis)
        del names[axis]
    return (bins, names) if bins.ndim == 2 else (bins.reshape(1, -1), ["", *names])


def _pool(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Takes the largest value of neighbors until no axis has more than ``MAX_MAP_SIDE`` positions."""
    for axis, size in enumerate(bins.shape):
        if size > MAX_MAP_SIDE:
            starts = np.arange(MAX_MAP_SIDE) * size // MAX_MAP_SIDE
            bins = np.maximum.reduceat(bins, starts, axis=axis)
    return bins
