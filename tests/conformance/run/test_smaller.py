"""The runner diagnoses a large failing case at a smaller size, and keeps the evidence of the full size."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import Dialect
from tests.fakes import Faithful

BY_ID = {defect.id: defect for defect in CATALOGUE}
IOFG = BY_ID["gates-read-iofg"]
NO_GRADIENT_OF_H_N = BY_ID["grad-ignores-h_n"]
FORGET_BIAS_IGNORED = BY_ID["forget-bias-ignored"]


def _scaled(tensors: dict[str, Any], case: Case) -> dict[str, Any]:
    del case
    return {name: array * np.linspace(1.01, 1.02, array.size).reshape(array.shape) for name, array in tensors.items()}


UNKNOWN = Defect("unknown", "whose results are off by between 1% and 2%", results=_scaled)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes cases of a few units and steps large, so that the tests are quick."""
    monkeypatch.setattr("conformance.defects.diagnosis.shrink.LARGE_OPERATIONS", 300_000)
    monkeypatch.setattr("conformance.defects.diagnosis.shrink._SMALL_WIDTH", 4)
    monkeypatch.setattr("conformance.defects.diagnosis.shrink._SMALL", {"batch": 3, "seq_len": 4})
    monkeypatch.setattr("conformance.run.smaller.MAX_CPU_SECONDS", 60.0)
    for name in ("MAX_CPU_SECONDS", "MAX_CPU_SECONDS_OF_LARGE_CASES"):
        monkeypatch.setattr(f"conformance.defects.diagnosis.diagnose.{name}", 60.0)


def make_case(**options: Any) -> Case:
    values = {"input_size": 24, "hidden_size": 24, "seq_len": 20, "batch": 5, "name": "big", "file": "a.yaml"}
    return Case.model_validate(values | options)


class WrongWhere(Faithful):
    """Has a defect where a condition holds."""

    name = "wrong-where"

    def __init__(self, defect: Defect, condition: Callable[[Case], bool]) -> None:
        self.defect, self.condition = defect, condition
        self.solved: list[Case] = []

    def solve(self, problem: Problem) -> Solution:
        self.solved.append(problem.case)
        if not self.condition(problem.case):
            return super().solve(problem)
        with np.errstate(all="ignore"):
            exact = solve(self.defect, problem, Dialect())
        return {name: round_to(problem.case.dtype, array) for name, array in exact.items()}


def everywhere(case: Case) -> bool:
    del case
    return True


@pytest.mark.parametrize(
    ("defect", "condition", "options", "sizes"),
    [
        (IOFG, everywhere, {}, "also fails at I = H = 4, T = 4, B = 3"),
        (IOFG, everywhere, {"lengths": "ragged", "num_layers": 2}, "also fails at I = H = 4, T = 4, B = 3"),
        (
            FORGET_BIAS_IGNORED,
            lambda case: case.hidden_sizes[0] > 16,
            {"forget_bias": 1.0},
            "fails from H = 17 (at I = 4, H = 17, T = 4, B = 3)",
        ),
        (IOFG, lambda case: case.seq_len > 14, {}, "fails from T = 15 (at I = H = 4, T = 15, B = 3)"),
        (NO_GRADIENT_OF_H_N, lambda case: case.rows == 5, {}, "fails from B = 5 (at I = H = 4, T = 4, B = 5)"),
        (
            NO_GRADIENT_OF_H_N,
            lambda case: case.hidden_sizes[0] > 16,
            {"check": ("gradients",)},
            "fails from H = 17 (at I = 4, H = 17, T = 4, B = 3)",
        ),
    ],
)
def test_a_large_failure_is_diagnosed_where_it_is_small(
    defect: Defect, condition: Callable[[Case], bool], options: dict[str, Any], sizes: str
) -> None:
    case, adapter = make_case(**options), WrongWhere(defect, condition)
    result = Runner(Oracle(None)).check(case, adapter)
    assert result.status == "fail"
    assert result.diagnosis.startswith(f"{sizes}: behaves exactly like an LSTM "), result.diagnosis
    assert defect.id in result.causes
    assert adapter.solved.count(case) == 1, "a smaller variant confirms the failure"
    assert result.key == case.key
    assert result.details["grad.weight_ih_l0"]["of"] == 4 * 24 * 24, "the evidence is that of the full size"


def test_a_failure_without_a_cause_is_located_in_the_smaller_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.run.diagnoser.CATALOGUE", (IOFG,))
    result = Runner(Oracle(None)).check(make_case(), WrongWhere(UNKNOWN, everywhere))
    assert result.diagnosis.startswith("also fails at I = H = 4, T = 4, B = 3: unexplained: ")
    assert "output first deviates at step 0" in result.diagnosis


def test_a_failure_at_no_smaller_size_is_diagnosed_at_its_own() -> None:
    case = make_case()
    adapter = WrongWhere(IOFG, lambda tried: tried == case)
    result = Runner(Oracle(None)).check(case, adapter)
    assert (result.status, "gates-read-iofg" in result.causes) == ("fail", True)
    assert result.diagnosis.startswith("behaves exactly like")


def test_a_failure_that_is_too_large_to_diagnose_is_located(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("conformance.defects.diagnosis.shrink", "conformance.defects.diagnosis.locate"):
        monkeypatch.setattr(f"{module}.MAX_OPERATIONS", 1_000)
    monkeypatch.setattr("conformance.run.diagnoser.MAX_OPERATIONS", 1_000)
    result = Runner(Oracle(None)).check(make_case(), WrongWhere(IOFG, everywhere))
    assert result.diagnosis.startswith("unexplained: the case is too large to try defects")
    assert result.diagnosis.endswith("; output first deviates at step 0 (forward)")


def test_a_variant_that_is_unsupported_or_raises_does_not_fail() -> None:
    class Partial(WrongWhere):
        def supports(self, case: Case) -> str | None:
            return "too short" if case.seq_len < 10 else None

        def solve(self, problem: Problem) -> Solution:
            if problem.case.hidden_sizes[0] < 10:
                raise RuntimeError("too narrow")
            return super().solve(problem)

    result = Runner(Oracle(None)).check(make_case(), Partial(IOFG, everywhere))
    assert result.diagnosis.startswith("fails from T = 10 and from H = 10 (at I = 4, H = 10, T = 10, B = 3): behaves")


def test_a_small_case_is_not_reduced() -> None:
    case = make_case(input_size=4, hidden_size=5, seq_len=6, batch=3)
    adapter = WrongWhere(IOFG, everywhere)
    result = Runner(Oracle(None)).check(case, adapter)
    assert result.diagnosis.startswith("behaves exactly like")
    assert set(adapter.solved) == {case}


def test_other_tensors_of_a_variant_do_not_count() -> None:
    class WrongGradientsIfSmall(WrongWhere):
        def solve(self, problem: Problem) -> Solution:
            if problem.case.seq_len == 20:
                return super().solve(problem)
            solution = dict(Faithful.solve(self, problem))
            return {name: array * 2 if name.startswith("grad") else array for name, array in solution.items()}

    result = Runner(Oracle(None)).check(make_case(), WrongGradientsIfSmall(IOFG, everywhere))
    assert result.diagnosis.startswith("fails from T = 20 ")


def test_the_time_is_charged_to_the_diagnosis() -> None:
    result = Runner(Oracle(None)).check(make_case(), WrongWhere(IOFG, everywhere))
    assert result.seconds["diagnosis"] > 0
    unknown = Runner(Oracle(None), diagnoses=False).check(make_case(), WrongWhere(IOFG, everywhere))
    assert (unknown.status, unknown.diagnosis) == ("fail", "")
