"""Comparison of the results of a repeated call with those of the first one."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.verdict.judge import REPEATED, TensorVerdict
from conformance.verdict.oracle import Expectation


def differences(first: Mapping[str, Any], last: Mapping[str, Any], expectation: Expectation) -> dict[str, str]:
    """Describes each tensor whose bytes are others in a repeated call, by name.

    Args:
        first: results of the first call.
        last: results of the repeated call.
        expectation: the budgets of the tensors.
    """
    found = {}
    for name in first.keys() & last.keys():
        one, other = np.asarray(first[name]), np.asarray(last[name])
        if one.shape != other.shape or one.dtype != other.dtype or one.dtype.kind != "f":
            continue  # The verdict on the repeated call reports this.
        wrong = (one != other) & ~(np.isnan(one) & np.isnan(other))
        if wrong.any():
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = np.abs(other.astype(np.float64) - one)[wrong] / expectation.budget[name][wrong]
            found[name] = (
                f"differs from the first call's in {int(wrong.sum())} of {one.size} elements, "
                f"by up to {float(np.nanmax(ratios)):.2g} of budget"
            )
    return {name: found[name] for name in first if name in found}


def verdicts(differing: Mapping[str, str]) -> list[TensorVerdict]:
    """Returns a verdict on each tensor that ``differences`` describes, for an implementation that promises equality."""
    promise = "although the implementation promises the same bytes"
    return [
        TensorVerdict(f"{REPEATED}{name}", math.inf, f"{name} {words}, {promise}", proven=True)
        for name, words in differing.items()
    ]
