"""Runs of broken implementations report the options on which their failures depend."""

import json
from pathlib import Path

import pytest

from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import operations
from conformance.commands.cli import main
from conformance.defects.catalogue import CATALOGUE
from conformance.reports.page.data import overview
from conformance.results import when
from conformance.results.reader import read
from conformance.run.controls import Control
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem
from tests.conftest import FAKES
from tests.fakes import Faithful

CASES = """\
defaults: {input_size: 3, hidden_size: 4, seq_len: 3, batch: 2}
cases:
  plain: {}
  ragged: {lengths: ragged}
  float64: {dtype: float64}
  both-ways: {bidirectional: true}
  both-ways-float64: {bidirectional: true, dtype: float64}
  both-ways-ragged: {bidirectional: true, lengths: ragged}
  both-ways-unbiased: {bidirectional: true, bias: false}
  both-ways-unbiased-float64: {bidirectional: true, bias: false, dtype: float64}
  both-ways-unbiased-ragged: {bidirectional: true, bias: false, lengths: ragged}
"""
CONDITION = "direction: bidirectional, bias: true (3 of 3 such cases fail, 0 of 6 others)"
OUTPUT = Path("conformance-report")


class WithDefect(Control):
    """The reference, with a defect in the cases to which the defect applies."""

    def supports(self, case: Case) -> str | None:
        del case
        return None

    def solve(self, problem: Problem) -> Solution:
        return super().solve(problem) if self.defect.applies_to(problem.case) else Faithful().solve(problem)


@pytest.mark.usefixtures("shipped_cache")
@pytest.mark.parametrize(
    ("defect", "terms"),
    [
        ("biases-of-reverse-direction-ignored", ["direction: bidirectional", "bias: true"]),
        ("projections-of-directions-swapped", ["direction: bidirectional", "projection"]),
        ("peepholes-ignored", ["peepholes: true"]),
    ],
)
def test_the_condition_of_a_defect_is_found_on_the_shipped_cases(defect: str, terms: list[str]) -> None:
    (broken,) = (WithDefect(each) for each in CATALOGUE if each.id == defect)
    runner = Runner(Oracle(), diagnoses=False)
    cases = [case for case in load_all([shipped_cases()]) if case.dtype == "float64" and operations(case) < 2e6]
    results = [runner.check(case, broken) for case in cases]
    failing, passing = ([each for each in results if each.status == status] for status in ("fail", "pass"))
    condition = when.find(failing, passing)
    assert condition is not None
    assert [[term.text for term in each] for each in condition.alternatives] == [terms]
    assert (condition.failing, condition.passing, condition.others) == (len(failing), 0, len(passing))


@pytest.mark.usefixtures("unlimited_diagnosis", "without_workers")
def test_a_run_reports_the_condition_of_each_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CASES)
    command = ["run", "small.yaml", "-i", f"{FAKES}:ReverseWithoutBiases", "--power", "off"]
    assert main(command) == 1
    assert f"    when   {CONDITION}\n" in capfd.readouterr().out
    assert f"| {CONDITION} |  | `biases-of-reverse-direction-ignored`" in (OUTPUT / "report.md").read_text()
    assert [cause["facts"]["when"] for cause in overview(read(OUTPUT / "results.jsonl"))["causes"]] == [CONDITION]
    assert main([*command, "--json"]) == 1
    (cause,) = json.loads(capfd.readouterr().out)["causes"]
    assert (cause["implementation"], cause["cases"], cause["when"]) == ("reverse-without-biases", 3, CONDITION)


@pytest.mark.usefixtures("without_workers")
def test_a_run_without_failures_has_no_causes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CASES)
    assert main(["run", "small.yaml", "-i", f"{FAKES}:Faithful", "--power", "off", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["causes"] == []
