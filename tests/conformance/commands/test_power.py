"""Output, exit codes and files of ``conformance power``."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.cli import main
from conformance.defects.power import bitmasks
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.defects.power.published import suite_power
from conformance.results.reader import read
from tests.conftest import FAKES


def power(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> dict[str, Any]:
    """Runs ``conformance power --json``. The three cases of the project miss some defects, hence exit code 1."""
    assert main(["power", "cases", "--json", *arguments]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["exit_code"] == code
    return found


def test_power_counts_detected_defects(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = power(capsys)
    assert found["cases"] == 3
    assert found["power"]["applicable"] == found["power"]["detected"] + len(found["undetected"]) > 200
    assert found["by_dtype"].keys() == {"float64", "float32"}
    assert found["by_feature"]["bidirectional"]["applicable"] < found["power"]["applicable"]
    assert "weight_hr" in " ".join(found["inapplicable"])
    assert len(found["sufficient"]) + len(found["adding_nothing"]) == 3
    assert main(["power", str(project / "cases")]) == 1
    printed = capsys.readouterr().out
    assert f"Power: {found['power']['detected']}/{found['power']['applicable']}" in printed
    for title in ("by dtype", "smallest detected size", "Cases that add nothing", "Applicable to no case"):
        assert title in printed


@pytest.mark.usefixtures("project")
def test_exit_code_is_zero_if_all_applicable_defects_are_detected(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conformance.defects.power.power.REQUIRED", REQUIRED[:23])
    assert power(capsys, code=0)["power"] == {"detected": 23, "applicable": 23}


def test_exit_code_is_one_if_a_defect_is_undetected(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "cases" / "small.yaml").write_text(
        "cases:\n  weak: {input_size: 3, hidden_size: 4, seq_len: 2, batch: 2, initial_state: zero, check: [c_n]}\n"
    )
    found = power(capsys)
    assert "h_n-never-written" in found["undetected"]
    assert main(["power", "cases"]) == 1
    assert "h_n-never-written: an LSTM" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_against_measures_only_supported_cases(capsys: pytest.CaptureFixture[str]) -> None:
    (against,) = power(capsys, "--against", f"{FAKES}:Picky")["against"]
    assert (against["implementation"], against["supported"], against["cases"]) == ("picky", 1, 3)
    assert set(against["lost"]) == {"only plain LSTMs"}
    assert any("reverse" in name for name in against["lost"]["only plain LSTMs"])
    assert main(["power", "cases", "--against", f"{FAKES}:Picky"]) == 1
    assert "not detected because only plain LSTMs" in capsys.readouterr().out


@pytest.mark.usefixtures("project")
def test_an_error_in_supports_names_the_adapter(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "cases", "--against", f"{FAKES}:RaisesInSupports"]) == 3
    assert "raises-in-supports cannot say whether it supports" in capsys.readouterr().err


def test_the_kill_matrix_is_written_as_csv_and_json_lines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    power(capsys, "-k", "plain", "--matrix", "kills.csv")
    power(capsys, "-k", "plain", "--matrix", "kills.jsonl")
    with (project / "kills.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (project / "kills.jsonl").read_text().splitlines()]
    assert len(table) == len(lines) > 100
    assert {row["case"] for row in table} == {"cases/small.yaml::plain"}
    assert [row["defect"] for row in table] == [line["defect"] for line in lines]
    assert all((float(line["error_ratio"]) > 2) == line["detected"] for line in lines)
    assert main(["power", "cases", "-k", "plain", "--matrix", "none/kills.csv"]) == 3
    assert "cannot write none/kills.csv: folder none does not exist" in capsys.readouterr().err


@pytest.mark.usefixtures("project")
def test_published_suites_are_compared_with_the_cases(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = list(suite_power.measure_published())
    monkeypatch.setattr(suite_power, "measure_published", lambda: measured)
    suites = power(capsys, "-k", "plain", "--published")["published"]
    assert [suite["suite"] for suite in suites][-1] == "these 1 cases"
    assert suites[-1]["gates"] == {"detected": 23, "applicable": 23}
    assert all(suite["all"]["applicable"] == len(REQUIRED) for suite in suites)
    assert main(["power", "cases", "-k", "plain", "--published"]) == 1
    printed = capsys.readouterr().out
    assert "0/23" in printed
    assert "WebNN" in printed


@pytest.mark.usefixtures("project")
def test_exit_code_is_two_without_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "cases", "-k", "nothing-like-it"]) == 2
    assert "no case is selected" in capsys.readouterr().err


# --------------------------------------------------------------------------- detected defects in results


@pytest.mark.usefixtures("without_workers")
def test_results_contain_the_detected_defects(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "cases", "-i", f"{FAKES}:Picky"]) == 0
    printed = capsys.readouterr().out
    report = read(project / "conformance-report" / "results.jsonl")
    by_status = {result.status: result for result in report.results}
    assert by_status["unsupported"].detects is None
    passed = by_status["pass"]
    assert passed.detects is not None
    assert report.header.defects == bitmasks.IDS
    found = bitmasks.names(int(passed.detected, 16))
    assert len(found) == passed.detects > 100
    assert "gates-read-iofg" in found
    assert re.search(rf"^picky .* {passed.detects}$", printed, re.MULTILINE)
    assert f"detects: number of defects, of {len(REQUIRED)}," in " ".join(printed.split())
    assert f"{passed.detects} of {len(REQUIRED)} defects" in (project / "conformance-report" / "report.md").read_text()


@pytest.mark.usefixtures("without_workers")
def test_unchecked_gradients_reduce_the_detected_defects(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    case = "input_size: 3, hidden_size: 4, seq_len: 3, batch: 2"
    (project / "cases" / "small.yaml").write_text(
        f"cases:\n  all: {{{case}}}\n  forward: {{{case}, check: [output, h_n, c_n]}}\n"
    )
    assert main(["run", "cases", "-i", f"{FAKES}:Faithful", "--json"]) == 0
    summary = json.loads(capfd.readouterr().out)
    results = {result.case.split("::")[1]: result for result in read(Path(summary["results"])).results}
    assert 0 < (results["forward"].detects or 0) < (results["all"].detects or 0)
    union = int(results["forward"].detected, 16) | int(results["all"].detected, 16)
    assert summary["detects"] == {"faithful": union.bit_count()}


@pytest.mark.usefixtures("without_workers")
def test_power_is_measured_on_a_sample_of_many_cases(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cases = "".join(
        f"  steps-{steps}: {{input_size: 2, hidden_size: 3, seq_len: {steps}, batch: 2, check: [output]}}\n"
        for steps in range(2, 6)
    )
    (project / "cases" / "small.yaml").write_text(f"cases:\n{cases}")
    run = ["run", "cases", "-i", f"{FAKES}:Faithful"]

    def detected(*options: str) -> dict[str, str]:
        assert main([*run, *options]) == 0
        results = read(project / "conformance-report" / "results.jsonl").results
        return {result.case: result.detected for result in results if result.detects is not None}

    some = detected()
    assert len(some) == 2
    assert "measured on 2 of 4 cases" in " ".join(capfd.readouterr().out.split())
    assert " defects, measured on 2 of 4 cases |" in (project / "conformance-report" / "report.md").read_text()
    complete = detected("--power", "full")
    assert len(complete) == 4
    assert complete == complete | some
    assert "measured" not in capfd.readouterr().out
    assert detected("--power", "off") == {}
    assert "detects" not in capfd.readouterr().out

    results = project / "conformance-report" / "results.jsonl"
    assert main([*run, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["measured"] == {"faithful": "measured on 2 of 4 cases"}
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-2]))
    assert detected("--resume") == some


@pytest.mark.usefixtures("without_workers")
def test_an_expensive_case_is_measured_at_reduced_sizes(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (project / "cases" / "small.yaml").write_text(
        "cases:\n  long: {input_size: 2, hidden_size: 2, seq_len: 60, batch: 1, check: [output]}\n"
    )
    assert main(["run", "cases", "-i", f"{FAKES}:Faithful", "--json"]) == 0
    summary = json.loads(capfd.readouterr().out)
    (result,) = read(Path(summary["results"])).results
    assert result.power_sizes == {"input_size": 2, "hidden_size": 2, "seq_len": 12, "batch": 1}
    assert summary["measured"] == {"faithful": "measured at 2, 2, 12, 1 (I, H, T, B)"}
