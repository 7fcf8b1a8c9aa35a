"""The results of a repeated call are compared bit by bit."""

from typing import Any

import numpy as np

from conformance.verdict.oracle import Expectation
from conformance.verdict.repeated import differences, verdicts

ONES: dict[str, Any] = {"output": np.ones(4), "h_n": np.ones(2)}
EXPECTATION = Expectation(ONES, {name: np.full_like(array, 0.5) for name, array in ONES.items()}, ONES, 1.0, 1.0)


def test_elements_that_differ_are_counted_and_measured_in_budgets() -> None:
    last = ONES | {"output": np.array([1.0, 1.25, 1.0, 0.5])}
    words = "differs from the first call's in 2 of 4 elements, by up to 1 of budget"
    assert differences(ONES, last, EXPECTATION) == {"output": words}
    [verdict] = verdicts({"output": words})
    assert (verdict.name, verdict.proven) == ("repeated.output", True)
    assert verdict.reason.startswith(f"output {words}, although")


def test_nan_equals_nan_and_other_shapes_are_judged_elsewhere() -> None:
    first = ONES | {"output": np.array([np.nan, 1.0])}
    assert differences(first, first, EXPECTATION) == {}
    assert differences(ONES, ONES | {"output": np.ones(3)}, EXPECTATION) == {}
