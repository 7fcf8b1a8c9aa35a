"""``conformance campaign``: results, groups, and interrupted campaigns."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.cli import main
from conformance.results.merge import merge
from conformance.results.reader import read
from conformance.results.record import Result
from tests.conftest import FAKES, ROOT


def campaign(*arguments: str, fake: str = "Declares", output: str = "out") -> int:
    return main(["campaign", "-i", f"{FAKES}:{fake}", "--max-seconds", "0.1", "--output", output, *arguments])


def facts(result: Result) -> dict[str, Any]:
    """Returns a row without its CPU times."""
    return {name: value for name, value in result.to_row().items() if name != "seconds"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_deviations_get_case_files_that_reproduce_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign("--cases", "2", fake="CallsExit") == 1
    printed = capsys.readouterr().out
    [command] = [line for line in printed.splitlines() if line.startswith("  conformance run ")]
    assert main([*command.split()[1:], "--power", "off"]) == 1
    report = read(Path("out/results.jsonl"))
    assert report.complete
    assert {result.status for result in report.results} == {"error"}
    assert report.header.selection == "campaign --seed 0 --max-seconds 0.1 --keep all"
    assert main(["report", "out/results.jsonl", "--html", "page", "--output", "report.md"]) == 0
    text = Path("report.md").read_text()
    assert "minimal case: cases/calls-exit-1.yaml" in text
    assert "-k random-" not in text
    assert main(["compare", "out/results.jsonl", "out/results.jsonl"]) == 0


def test_campaigns_with_other_seeds_can_be_merged(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("1", "2"):
        assert campaign("--cases", "5", "--seed", seed, output=seed) == 0
    assert "declares: 5 pass" in capsys.readouterr().out
    merged, conflicts = merge([read(Path(seed, "results.jsonl")) for seed in ("1", "2")])
    assert conflicts == []
    assert merged.complete
    assert merged.header.planned == {"declares": 10}


def test_passed_cases_can_be_kept_as_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign("--cases", "6", "--keep", "deviations") == 0
    printed = capsys.readouterr().out
    assert "declares: 6 pass" in printed
    assert "error ratio of" in printed
    report = read(Path("out/results.jsonl"))
    assert report.results == ()
    assert report.counted == {"declares": {"pass": 6}}
    assert main(["report", "out/results.jsonl"]) == 0
    assert "`declares`: a campaign counted 6 pass without keeping their rows." in capsys.readouterr().out
    lines = [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]
    assert sum(line["kind"] == "drawn" for line in lines) == 6


def test_a_campaign_that_was_killed_resumes_without_a_difference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = "KillsItsParent"
    arguments = ["-i", f"{FAKES}:{fake}", "--max-seconds", "0.1", "--cases", "10", "--output", "killed"]
    command = [sys.executable, "-m", "conformance.commands.cli", "campaign", *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.returncode == -9
    killed = read(Path("killed/results.jsonl"))
    assert (killed.complete, len(killed.results)) == (False, 6)
    monkeypatch.setenv("RESUMED", "1")
    assert campaign("--cases", "10", fake=fake, output="whole") == 0
    assert campaign("--cases", "10", "--resume", fake=fake, output="killed") == 0
    resumed, whole = read(Path("killed/results.jsonl")), read(Path("whole/results.jsonl"))
    assert [facts(row) for row in resumed.results] == [facts(row) for row in whole.results]
    assert resumed.footer
    assert whole.footer
    assert resumed.footer.counts == whole.footer.counts == {"pass": 10}
    assert capsys.readouterr().out.count("kills-its-parent: 10 pass") == 2


def test_tags_select_the_options_that_vary(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign("--cases", "5", "--tag", "core") == 0
    report = read(Path("out/results.jsonl"))
    assert report.header.selection.endswith(" --tag core")
    assert campaign("--cases", "5", "--tag", "cores") == 2
    assert "no shipped case has the tag cores" in capsys.readouterr().err


def test_another_campaign_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign("--cases", "1") == 0
    assert campaign("--cases", "2", "--seed", "3", "--resume") == 2
    assert "cannot resume this run" in capsys.readouterr().err


def test_an_implementation_without_supported_cases_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert campaign("--cases", "1", fake="Picky") == 2
    assert "nothing ran on picky" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--minutes", "0"], ["--minutes", "nan"], ["--max-seconds", "x"]])
def test_invalid_amounts_are_rejected(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        campaign(*options)
    assert "must be a number above 0" in capsys.readouterr().err
