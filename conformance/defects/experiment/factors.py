"""Finds the factor by which an implementation multiplies what it reads, and where."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import Block, UnitMap, axes, blocks, read_kinds, values
from conformance.defects.experiment.move import Move
from conformance.defects.experiment.moves import multiplication
from conformance.defects.experiment.places import UNIT, Place, Scope, place_of_values
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Trial

_STEP = 1e-6
"""Change of a factor that measures how the results depend on it."""
_MAX_STEPS = 8
_MAX_FACTORS = 36
"""Number of factors up to which each unit of a block has its own. Otherwise each block has one."""
_MAX_BLOCKS = 128
"""Number of blocks of a tensor up to which factors are fitted."""
_CONVERGED = 1e-9
"""Change of the factors below which they are exact enough for six digits."""
_SAME = 1e-6
"""Relative difference below which two factors are the same."""

Predict = Callable[[tuple[Rule, ...]], dict[str, Any]]
Floats = NDArray[np.float64]
Element = tuple[Block, int | None]
"""A block and one of its units; None for all of them."""


def scaling_rules(trial: Trial, predict: Predict) -> Iterator[Rule]:
    """Yields rules with which a tensor, or a part of it, is multiplied by a fitted factor.

    Args:
        trial: the wrong solution.
        predict: function that predicts the results of rules.
    """
    case = trial.case
    for kind in read_kinds(case):
        every = list(blocks(kind, case))
        if len(every) > _MAX_BLOCKS:
            continue
        elements: list[Element] = [(block, unit) for block in every for unit in range(block.width(case)[0])]
        if len(elements) > _MAX_FACTORS:
            elements = [(block, None) for block in every]
        fitted = _fit(trial, kind, elements, predict)
        if fitted is not None:
            yield from _rules(kind, elements, *fitted, case)


def _fit(trial: Trial, kind: str, elements: Sequence[Element], predict: Predict) -> tuple[Floats, Floats] | None:
    """Fits one factor for each element to the results, by Gauss-Newton steps.

    Returns:
        The factors, and how much the results depend on each; None if no factors reproduce the results.
    """
    got = trial.observation.got

    def residual(factors: Floats) -> Floats:
        predicted = predict((_scaling(kind, elements, factors),))
        return np.concatenate([(got[name] - array).ravel() for name, array in predicted.items()])

    factors = np.ones(len(elements))
    found = residual(factors)
    first = float(np.linalg.norm(found))
    for step in range(_MAX_STEPS):
        slopes = np.stack([found - residual(factors + change) for change in _STEP * np.eye(len(factors))], axis=1)
        if not np.isfinite(slopes).all():
            return None
        change = np.linalg.lstsq(slopes / _STEP, found, rcond=1e-9)[0]
        factors = factors + change
        found = residual(factors)
        if not np.linalg.norm(found) <= first / 2**step:
            return None
        if np.abs(change).max() < _CONVERGED:
            return factors, np.linalg.norm(slopes, axis=0)
    return None


def _scaling(kind: str, elements: Sequence[Element], factors: Floats) -> Rule:
    scaled: dict[Block, Any] = {}
    for (block, unit), factor in zip(elements, factors, strict=True):
        scaled.setdefault(block, []).append(factor)
        if unit is None:
            scaled[block] = factor

    def terms(block: Block, _: Case) -> Any:
        factor = scaled[block]
        return ((block, UnitMap(np.diag(factor)) if isinstance(factor, list) else float(factor)),)

    return Rule("reads", (kind,), Move("multiplied", terms))


def _rules(kind: str, elements: Sequence[Element], factors: Floats, slopes: Floats, case: Case) -> Iterator[Rule]:
    """Yields the rule with the one factor, and its place, if there is one."""
    changed = np.abs(factors - 1) > _SAME
    if not changed.any():
        return
    value = float(np.median(factors[changed]))
    if not np.allclose(factors[changed], value, rtol=_SAME, atol=_SAME):
        return
    scope = _scope(kind, [element for element, own in zip(elements, changed, strict=True) if own], case)
    for (block, unit), own, slope in zip(elements, changed, slopes, strict=True):
        inside = all(_holds(place, block, unit, case) for place in scope)
        if inside != own and slope > _SAME * slopes.max():
            return
    yield Rule("reads", (kind,), multiplication(value, case), scope)


def _scope(kind: str, changed: Sequence[Element], case: Case) -> Scope:
    """Returns the scope of the values of each coordinate that some elements have."""
    places: list[Place | None] = []
    for axis in axes(kind):
        every, own = values(axis, case), {getattr(block, axis) for block, _ in changed}
        if len(own) < len(every) and (len(own) == 1 or axis not in ("direction", "gate")):
            places.append(place_of_values(axis, own, max(every) + 1))
    units = {unit for _, unit in changed if unit is not None}
    if units:
        places.append(place_of_values(UNIT, units, changed[0][0].width(case)[0]))
    return tuple(place for place in places if place)


def _holds(place: Place, block: Block, unit: int | None, case: Case) -> bool:
    if place.axis == UNIT:
        return unit is None or bool(place.among(block.width(case)[0])[unit])
    return place.holds(block, case)
