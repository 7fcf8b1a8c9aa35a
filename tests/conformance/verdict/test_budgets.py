"""Budgets of shipped cases do not change by accident. ``python -m benchmarks.budgets`` compares all of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from conformance.cases.casefile import load_all, shipped_cases
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

STORED = json.loads(Path(__file__).with_name("budgets.json").read_text(encoding="utf-8"))
"""Root mean square of each tensor's budget, by case and tensor, computed without float32 arithmetic."""
CASES = {case.id: case for case in load_all([shipped_cases()]) if case.id in STORED}


@pytest.mark.parametrize("name", STORED)
def test_budgets_stay_within_five_percent(name: str) -> None:
    case = CASES[name]
    found = Oracle(None).expect(make_problem(case), PROFILES[case.dtype], Dialect()).budget
    rms = {tensor: float(np.sqrt(np.mean(np.square(budget)))) for tensor, budget in found.items()}
    assert rms == pytest.approx(STORED[name], rel=0.05)
