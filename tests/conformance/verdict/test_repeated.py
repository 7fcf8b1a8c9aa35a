"""The results of a repeated call are compared bit by bit."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.verdict.oracle import Expectation
from conformance.verdict.repeated import differences, verdicts

ONES: dict[str, Any] = {"output": np.ones(4), "h_n": np.ones(2)}
BUDGET = {name: np.full_like(array, 0.5) for name, array in ONES.items()}
EXPECTATION = Expectation(ONES, BUDGET, ONES, 1.0, 1.0)


def test_elements_that_differ_are_counted_and_measured_in_budgets() -> None:
    last = ONES | {"output": np.array([1.0, 1.25, 1.0, 0.5])}
    words = "differs from the first call's in 2 of 4 elements, by up to 1 of budget"
    assert differences(ONES, last, EXPECTATION) == {"output": words}
    [verdict] = verdicts({"output": words})
    assert (verdict.name, verdict.proven) == ("repeated.output", True)
    assert verdict.reason.startswith(f"output {words}, although")


def test_nan_equals_nan_and_unspecified_elements_may_differ() -> None:
    first = ONES | {"h_n": np.array([np.nan, 1.0])}
    assert differences(first, first, EXPECTATION) == {}
    unspecified = replace(EXPECTATION, budget=BUDGET | {"h_n": np.array([np.inf, 0.5])})
    assert differences(first, ONES, unspecified) == {}


def test_missing_and_unknown_tensors_and_other_shapes_are_judged_elsewhere() -> None:
    for last in ({}, {"output": ONES["output"]}, ONES | {"output": np.ones(3)}, ONES | {"more": np.ones(1)}):
        assert differences(ONES | {"more": np.zeros(1)}, last, EXPECTATION) == {}
