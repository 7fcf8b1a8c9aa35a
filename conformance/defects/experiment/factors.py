"""Finds the factor by which an implementation multiplies what it reads."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.defects.experiment.blocks import axes, read_kinds
from conformance.defects.experiment.move import Move
from conformance.defects.experiment.places import Scope, simple_scopes
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Trial

_STEP = 1e-4
"""Change of the factor that measures how the results depend on it."""
_MAX_STEPS = 8
_CONVERGED = 1e-9
"""Change of the factor below which it is exact enough for six digits."""

Predict = Callable[[tuple[Rule, ...]], dict[str, Any]]


def scaling_rules(trial: Trial, predict: Predict) -> Iterator[Rule]:
    """Yields rules with which a tensor, or all its blocks with one coordinate, are multiplied by a fitted factor.

    Args:
        trial: the wrong solution.
        predict: function that predicts the results of rules.
    """
    case = trial.case
    for kind in read_kinds(case):
        for scope in simple_scopes(axes(kind), case):
            factor = _fit(trial, kind, scope, predict)
            if factor is not None:
                yield _scaling(kind, scope, factor)


def _scaling(kind: str, scope: Scope, factor: float) -> Rule:
    return Rule("reads", (kind,), Move(f"multiplied by {factor:.6g}", lambda block, _: ((block, factor),)), scope)


def _fit(trial: Trial, kind: str, scope: Scope, predict: Predict) -> float | None:
    """Returns the factor with which the results are closest, to six digits, by Gauss-Newton steps; None if none is."""
    got = trial.observation.got

    def residual(factor: float) -> NDArray[np.float64]:
        predicted = predict((_scaling(kind, scope, factor),))
        return np.concatenate([(got[name] - array).ravel() for name, array in predicted.items()])

    factor, found = 1.0, residual(1.0)
    first = float(np.linalg.norm(found))
    for step in range(_MAX_STEPS):
        slope = (found - residual(factor + _STEP)) / _STEP
        size = float(slope @ slope)
        if not size or not np.isfinite(size):
            return None
        change = float(found @ slope) / size
        factor += change
        found = residual(factor)
        if not np.linalg.norm(found) <= first / 2**step:
            return None
        if abs(change) < _CONVERGED:
            return float(f"{factor:.6g}")
    return None
