import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from conformance.reports import ctrf
from conformance.results.footer import Footer
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, STATUSES
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, PASSED, make_report, with_header

# As published in the npm package ctrf 0.3.0; its licence is in the same folder.
SCHEMA = json.loads((Path(__file__).parent / "ctrf-schema" / "ctrf-schema-0.0.json").read_text())

BEGAN = "2026-11-24T12:00:00+00:00"
DATED = replace(
    with_header(ALL, began=BEGAN, shard={"index": 1, "of": 2}), footer=Footer(ended="2026-11-24T12:00:02+00:00")
)


def written(report: Report, path: Path) -> dict[str, Any]:
    ctrf.write(path, report)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize("report", [ALL, DATED, make_report(PASSED, complete=False), make_report(), hostile.report()])
def test_the_report_conforms_to_the_published_schema(tmp_path: Path, report: Report) -> None:
    Draft7Validator.check_schema(SCHEMA)
    errors = list(Draft7Validator(SCHEMA, format_checker=FormatChecker()).iter_errors(written(report, tmp_path / "c")))
    assert not errors


def test_results_are_counted_and_timed(tmp_path: Path) -> None:
    results = written(DATED, tmp_path / "c.json")["results"]
    start = int(datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000)
    summary = results["summary"]
    assert (summary["start"], summary["stop"]) == (start, start + 2000)
    assert {name: summary[name] for name in ("tests", "passed", "failed", "skipped", "pending", "other")} == {
        "tests": 6, "passed": 1, "failed": 2, "skipped": 2, "pending": 0, "other": 1,
    }  # fmt: skip
    assert results["environment"]["shardId"] == "1/2"
    assert results["environment"]["healthy"] is True


def test_a_failed_test_has_a_message_and_a_trace(tmp_path: Path) -> None:
    test = written(ALL, tmp_path / "c.json")["results"]["tests"][1]
    assert (test["name"], test["suite"], test["rawStatus"]) == ("two[fake]", ["fake", "a.yaml"], "fail")
    assert (test["status"], test["duration"], test["message"]) == ("failed", 4000, "h_n is off | <b>by</b> 1")
    assert "conformance run a.yaml -i my.py:Fake -k a.yaml::two" in test["trace"]
    assert test["extra"]["error_ratio"] == "inf"


def test_an_incomplete_run_is_not_healthy(tmp_path: Path) -> None:
    results = written(make_report(PASSED, complete=False), tmp_path / "c.json")["results"]
    assert results["environment"]["healthy"] is False
    assert results["summary"]["extra"] == {"complete": False, "planned": 6, "invalid": []}


def test_every_status_is_mapped() -> None:
    assert set(ctrf.STATUSES) == set(STATUSES)
    assert {status for status, called in ctrf.STATUSES.items() if called == "failed"} == DEVIATIONS
