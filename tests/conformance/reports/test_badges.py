import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.reports import badges
from conformance.results.reader import Report
from conformance.results.record import Result
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import (
    ALL,
    FAILED,
    KNOWN,
    NOT_RUN,
    PASSED,
    UNSUPPORTED,
    make_report,
    with_header,
)


def badge(*results: Result, complete: bool = True) -> dict[str, Any]:
    report = make_report(*results, complete=complete)
    planned = {"fake": len(results) if complete else 9}
    return badges.render(with_header(report, planned=planned))["fake.json"]


@pytest.mark.parametrize(
    ("results", "message", "color"),
    [
        ([PASSED, PASSED], "2 of 2", "blue"),
        ([PASSED, UNSUPPORTED], "1 of 1 (+1 unsupported)", "blue"),
        ([PASSED, UNSUPPORTED, KNOWN], "1 of 2 (+1 unsupported), 1 known", "yellow"),
        ([PASSED, FAILED, KNOWN], "1 of 3, 1 known", "orange"),
        ([UNSUPPORTED], "no case supported", "lightgrey"),
        ([replace(NOT_RUN, implementation="fake")], "not run", "lightgrey"),
        ([], "no data", "lightgrey"),
    ],
)
def test_a_badge_shows_the_counts(results: list[Result], message: str, color: str) -> None:
    assert badge(*results) == {"schemaVersion": 1, "label": "fake", "message": message, "color": color}


def test_an_incomplete_run_has_no_counts_on_its_badge() -> None:
    assert badge(PASSED, complete=False)["message"] == "incomplete run, 8 missing"


def test_an_invalid_run_has_no_counts_on_its_badges() -> None:
    invalid = with_header(ALL, controls={"wrong-gates": "pass"})
    assert {each["message"] for each in badges.render(invalid).values()} == {"invalid run"}


@pytest.mark.parametrize("report", [ALL, hostile.report()])
def test_files_have_the_fields_that_the_endpoint_requires(tmp_path: Path, report: Report) -> None:
    # The endpoint requires schemaVersion 1, a label and a message that is not empty. It rejects unknown fields.
    badges.write(tmp_path / "badges", report)
    files = list((tmp_path / "badges").iterdir())
    assert files
    for file in files:
        assert re.fullmatch(r"[\w.+@-]+\.json", file.name, re.ASCII)
        content = json.loads(file.read_text())
        assert set(content) == {"schemaVersion", "label", "message", "color"}
        assert content["schemaVersion"] == 1
        assert content["message"]


def test_names_with_the_same_file_name_get_different_files() -> None:
    results = [replace(PASSED, implementation=name) for name in ("a[b]", "a(b)")]
    report = with_header(make_report(*results), planned={"a[b]": 1, "a(b)": 1})
    assert {file: each["label"] for file, each in badges.render(report).items()} == {
        "a-b.json": "a[b]",
        "a-b-2.json": "a(b)",
    }
