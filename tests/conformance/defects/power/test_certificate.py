"""Certificates find parameter elements whose changes a case does not detect."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.defects.power import certificate
from conformance.defects.power.certificate import certify
from conformance.defects.power.detection import FlatExpectation
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, solve
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

GOOD = Case(input_size=3, hidden_size=4, seq_len=3, batch=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_good_case_detects_a_change_of_each_element(dtype: str) -> None:
    found = certify(Case(input_size=3, hidden_size=4, seq_len=3, batch=2, dtype=dtype), Oracle(None))  # type: ignore[arg-type]
    assert found.holds
    assert 0 < found.worst.smallest_change < 1e-3
    assert found.tried == found.elements == GOOD.model.parameter_count()


def test_the_smallest_change_has_an_error_ratio_of_one() -> None:
    problem = make_problem(GOOD)
    expectation = Oracle(None).expect(problem, PROFILES["float32"], Dialect())
    smallest = []
    for name, array in problem.parameters.items():
        for index in np.ndindex(array.shape):
            element = certificate._measure(problem, FlatExpectation(expectation), name, index)
            changed = np.array(array, dtype=np.float64)
            changed[index] += element.smallest_change
            values = {**problem.parameters, name: changed}
            wrong = solve(replace(problem, parameters=values), Dialect())
            assert judge(problem, wrong, expectation).error_ratio == pytest.approx(1, rel=0.02)
            smallest.append(element.smallest_change)
    assert certify(GOOD, Oracle(None)).worst.smallest_change == max(smallest)


def test_a_certificate_names_an_element_without_effect() -> None:
    weak = Case(input_size=3, hidden_size=4, seq_len=1, batch=2, initial_state="zero", check=("output",))
    found = certify(weak, Oracle(None))
    assert not found.holds
    assert "detects no change of weight_ih_l0 at layer 0, forward, forget gate, unit 0" in str(found)


def test_large_cases_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "MAX_ELEMENTS", 50)
    found = certify(GOOD, Oracle(None))
    assert 30 <= found.tried <= 50
    assert f"(tried {found.tried} of {found.elements} elements)" in str(found)


def test_check_certify_warns_of_a_weak_case(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cases" / "small.yaml").write_text(
        "defaults: {input_size: 3, hidden_size: 4, batch: 2}\n"
        "cases:\n  good: {seq_len: 3}\n  weak: {seq_len: 1, initial_state: zero, bias: false}\n"
    )
    assert main(["check", "cases"]) == 0
    assert "warning" not in capsys.readouterr().out
    assert main(["check", "cases", "--certify"]) == 0
    printed = capsys.readouterr().out
    assert "cases/small.yaml:4: warning: weak: detects no change of weight_hh_l0" in printed
    assert "good:" not in printed
    assert "2  cases, all valid" in printed
