"""What is kept of a tensor that does not conform, so that a report can show it: small, whatever the tensor's size."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORST = 8
"""Elements that are kept one by one."""
SIDE = 64
"""Rows and columns that a map may have."""
EDGES = 10.0 ** np.arange(-2, 13)
"""Upper edges of the histogram bins, as error ratios, one bin per decade. The last bin is open; the third edge is 1."""

_DIGITS = np.array(list("0123456789abcdefx"))
_NOT_FINITE = 16

Floats = NDArray[np.float64]


def evidence(
    got: Floats,
    values: Floats,
    budget: Floats,
    bound: Floats,
    error_ratios: Floats,
    axes: Sequence[str],
    where: Callable[[tuple[int, ...]], str],
) -> dict[str, Any]:
    """The worst elements, how error ratios spread, and where in the tensor they lie.

    Args:
        got: what the implementation answered; like all arrays here, of the tensor's shape.
        values: the reference.
        budget: largest |deviation| that conforms; infinite where nothing is compared.
        bound: a deviation beyond it is proven wrong.
        error_ratios: |deviation| / budget; infinite where it is not finite, or the budget is 0.
        axes: what each axis counts.
        where: an index in words.

    Returns:
        ``worst``: index, place in words, expected and got as hexadecimal floats, budget, bound; the worst first.
        ``histogram``: how many elements fall into each bin of ``EDGES``; ``not_finite``, which none of them counts.
        ``map``: strings of one hexadecimal digit for each place, by its largest error ratio: up to 2 is within the
        budget, in bins of ``EDGES``; from there to f are equal steps of the logarithm up to ``map_top``, the largest;
        ``x`` is not finite. Its axes are ``map_axes``; the axis of rows is gone, and neighbours share a place where
        there would be more than ``SIDE``: ``map_of`` is how many there are of each.
    """
    finite = np.isfinite(got) | np.isinf(budget)
    bins = np.searchsorted(EDGES, error_ratios)
    bins[~finite] = _NOT_FINITE
    counted = np.bincount(bins.ravel(), minlength=_NOT_FINITE + 1)
    top = max(10.0, float(error_ratios[np.isfinite(error_ratios)].max(initial=0.0)))
    steps = np.searchsorted(np.concatenate([EDGES[:3], top ** (np.arange(1, 13) / 13)]), error_ratios)
    steps[~finite] = _NOT_FINITE
    picture, names = _flat(steps, axes)
    return {
        "worst": [
            [
                list(index),
                where(index),
                float(values[index]).hex(),
                float(got[index]).hex(),
                float(f"{budget[index]:.3g}"),
                float(f"{bound[index]:.3g}"),
            ]
            for index in _worst(got, values, finite, error_ratios)
        ],
        "histogram": [int(count) for count in counted[:_NOT_FINITE]],
        "not_finite": int(counted[_NOT_FINITE]),
        "map": ["".join(_DIGITS[line]) for line in _pooled(picture)],
        "map_top": float(f"{top:.3g}"),
        "map_axes": names,
        "map_of": list(picture.shape),
    }


def _worst(got: Floats, values: Floats, finite: NDArray[np.bool_], error_ratios: Floats) -> list[tuple[int, ...]]:
    """What is not finite first, then by error ratio; those without a budget by deviation."""
    with np.errstate(invalid="ignore"):
        deviation = np.where(finite, np.abs(got - values), 0.0)
    order = np.lexsort((-deviation.ravel(), -error_ratios.ravel(), finite.ravel()))
    return [tuple(int(i) for i in np.unravel_index(place, got.shape)) for place in order[:WORST]]


def _flat(bins: NDArray[np.int64], axes: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Two axes of whatever a tensor has, rows of the batch aside: the largest of those that are gone."""
    names = list(axes)
    if "row" in names and len(names) > 1:
        axis = names.index("row")
        bins = bins.max(axis=axis)
        del names[axis]
    return (bins, names) if bins.ndim == 2 else (bins.reshape(1, -1), ["", *names])


def _pooled(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    for axis, size in enumerate(bins.shape):
        if size > SIDE:
            starts = np.arange(SIDE) * size // SIDE
            bins = np.maximum.reduceat(bins, starts, axis=axis)
    return bins
