"""Comparison of the results of a repeated call with those of the first one."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.verdict.judge import REPEATED, TensorVerdict
from conformance.verdict.oracle import Expectation


def differences(first: Mapping[str, Any], last: Mapping[str, Any], expectation: Expectation) -> dict[str, str]:
    """Describes each tensor that is not exactly the same in a repeated call, by name.

    Elements that the dialect leaves unspecified may differ.

    Args:
        first: results of the first call.
        last: results of the repeated call.
        expectation: the budgets of the tensors.
    """
    found = {}
    for name, budget in expectation.budget.items():
        one, other = (np.asarray(solution.get(name)) for solution in (first, last))
        if not (one.shape == other.shape == budget.shape and one.dtype.kind == other.dtype.kind == "f"):
            continue  # The verdict on the repeated call reports this.
        wrong = (one != other) & ~(np.isnan(one) & np.isnan(other)) & np.isfinite(budget)
        if wrong.any():
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = np.abs(other.astype(np.float64) - one)[wrong] / budget[wrong]
            found[name] = (
                f"differs from the first call's in {int(wrong.sum())} of {one.size} elements, "
                f"by up to {float(ratios.max()):.2g} of budget"
            )
    return found


def verdicts(differing: Mapping[str, str]) -> list[TensorVerdict]:
    """Returns a verdict on each tensor that ``differences`` describes, for an implementation that promises equality."""
    promise = "although the implementation promises the same bytes"
    return [
        TensorVerdict(f"{REPEATED}{name}", math.inf, f"{name} {words}, {promise}", proven=True)
        for name, words in differing.items()
    ]
