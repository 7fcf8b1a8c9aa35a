"""Every run checks negative controls, and is invalid if one of them passes."""

import json
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.results.reader import read
from conformance.results.summary import controls_warning
from conformance.run import controls
from tests.conftest import FAKES

HARMLESS = tuple(Defect(id=name, what="without a defect") for name in controls.DEFECTS)
RUN = ["run", "cases", "-i", f"{FAKES}:Faithful", "-k", "plain"]


def test_controls_are_detected() -> None:
    statuses = controls.run(None)
    assert len(statuses) >= 3
    assert set(statuses.values()) == {"fail"}
    assert controls_warning(statuses) == ""


def test_every_control_has_a_defect_that_applies() -> None:
    by_id = {defect.id: defect for defect in CATALOGUE}
    assert all(controls.Control(by_id[name]).supports(controls.CASE) is None for name in controls.DEFECTS)


def test_a_control_without_its_defect_makes_the_run_invalid() -> None:
    statuses = controls.run(None, HARMLESS)
    assert set(statuses.values()) == {"pass"}
    assert controls.DEFECTS[0] in controls_warning(statuses)


@pytest.mark.usefixtures("without_workers")
def test_a_run_records_its_controls_but_does_not_count_them(project: Path) -> None:
    assert main(RUN) == 0
    report = read(project / "conformance-report" / "results.jsonl")
    assert report.header.controls == dict.fromkeys(controls.DEFECTS, "fail")
    assert [result.implementation for result in report.results] == ["faithful"]
    assert report.undetected_controls == []


@pytest.mark.usefixtures("without_workers")
def test_an_invalid_run_is_reported_and_fails(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(controls, "CATALOGUE", HARMLESS)
    assert main(RUN) == 1
    assert "INVALID" in capfd.readouterr().out
    assert "**INVALID" in (project / "conformance-report" / "report.md").read_text()
    assert main([*RUN, "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["invalid"] == list(controls.DEFECTS)


def test_an_invalid_pytest_session_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.path.joinpath("cases").mkdir()
    pytester.makefile(
        ".yaml", **{"cases/one": "cases: {plain: {input_size: 3, hidden_size: 4, seq_len: 2, batch: 2}}\n"}
    )
    arguments = ("-p", "conformance.pytest.plugin", "-p", "no:randomly", "cases", "--conformance-report", "out.jsonl",
                 "--conformance-implementation", f"{FAKES}:Faithful")  # fmt: skip
    assert pytester.inline_run(*arguments).ret == 0
    assert read(pytester.path / "out.jsonl").results[0].detects
    monkeypatch.setattr(controls, "CATALOGUE", HARMLESS)
    assert pytester.inline_run(*arguments).ret == 1
    assert read(pytester.path / "out.jsonl").undetected_controls == list(controls.DEFECTS)
