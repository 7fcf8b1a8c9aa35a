"""The few random errors that determine φ suffice. ``python -m benchmarks.budgets`` compares versions of the code."""

import json
from pathlib import Path

import numpy as np
import pytest

from conformance.cases.casefile import load_all, shipped_cases
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect, rounding

STORED = json.loads(Path(__file__).with_name("budgets.json").read_text(encoding="utf-8"))
"""Root mean square of each tensor's budget, by case and tensor. Computed in float64 with 512 random errors of each
value from normal and uniform distributions; 64 for ``long``, and 4 for ``wide`` and ``two-layers-both-ways``. z = 5."""
CASES = {case.id: case for case in load_all([shipped_cases()]) if case.id in STORED}


@pytest.mark.parametrize("name", STORED)
def test_budgets_stay_within_ten_percent_of_those_from_more_random_errors(name: str) -> None:
    case = CASES[name]
    found = Oracle(None).expect(make_problem(case), PROFILES[case.dtype], Dialect()).budget
    rms = {
        tensor: float(np.sqrt(np.mean(np.square(budget)))) * 5.0 / rounding._z(5.0, budget.size)
        for tensor, budget in found.items()
    }
    assert rms == pytest.approx(STORED[name], rel=0.1)
