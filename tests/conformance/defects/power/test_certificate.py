"""The certificate of a case: the element of its weights that it sees least."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.defects.power import certificate
from conformance.defects.power.certificate import certify
from conformance.defects.power.detection import Compared
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, solve
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

GOOD = Case(input_size=3, hidden_size=4, seq_len=3, batch=2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_good_case_sees_each_element(dtype: str) -> None:
    found = certify(Case(input_size=3, hidden_size=4, seq_len=3, batch=2, dtype=dtype), Oracle(None))  # type: ignore[arg-type]
    assert found.holds
    assert 0 < found.worst.smallest < 1e-3
    assert found.tried == found.elements == GOOD.model.parameter_count()


def test_the_smallest_change_has_a_error_ratio_of_one() -> None:
    problem = make_problem(GOOD)
    expectation = Oracle(None).expect(problem, PROFILES["float32"], Dialect())
    smallest = []
    for name, array in problem.parameters.items():
        for index in np.ndindex(array.shape):
            element = certificate._smallest(problem, Compared(expectation), name, index)
            changed = np.array(array, dtype=np.float64)
            changed[index] += element.smallest
            values = {**problem.parameters, name: changed}
            wrong = solve(replace(problem, parameters=values), Dialect())
            assert judge(problem, wrong, expectation).error_ratio == pytest.approx(1, rel=0.02)
            smallest.append(element.smallest)
    assert certify(GOOD, Oracle(None)).worst.smallest == max(smallest)


def test_a_case_that_cannot_see_a_weight_says_which() -> None:
    blind = Case(input_size=3, hidden_size=4, seq_len=1, batch=2, initial_state="zero", check=("output",))
    found = certify(blind, Oracle(None))
    assert not found.holds
    assert "no change at all of weight_ih_l0 at layer 0, forward, forget gate, unit 0" in str(found)


def test_of_many_elements_every_so_many_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "ELEMENTS", 50)
    found = certify(GOOD, Oracle(None))
    assert 30 <= found.tried <= 50
    assert f"of {found.tried} tried of {found.elements}" in str(found)


def test_check_warns(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cases" / "small.yaml").write_text(
        "defaults: {input_size: 3, hidden_size: 4, batch: 2}\n"
        "cases:\n  good: {seq_len: 3}\n  blind: {seq_len: 1, initial_state: zero, bias: false}\n"
    )
    assert main(["check", "cases"]) == 0
    assert "warning" not in capsys.readouterr().out
    assert main(["check", "cases", "--certify"]) == 0
    printed = capsys.readouterr().out
    assert "cases/small.yaml:4: warning: blind: it sees no change at all of weight_hh_l0" in printed
    assert "good:" not in printed
    assert "2  cases, all right" in printed
