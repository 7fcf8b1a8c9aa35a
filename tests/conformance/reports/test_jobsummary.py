from dataclasses import replace
from pathlib import Path

import pytest

from conformance.reports import jobsummary
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, FAILED, PASSED, make_report


def test_failures_and_changes_come_first() -> None:
    text = jobsummary.render(ALL, make_report(PASSED, replace(FAILED, status="pass", reason="")))
    places = [
        text.index(part)
        for part in (
            "1 pass, 1 fail",
            "| `fake` | 1 of 4 (+1 unsupported) | 2 | 1 |  | inf |  |",
            "## What changed",
            "### Newly failing: 1",
            "## Deviations",
            "### fail: `a.yaml::two[fake]`",
            "## Conforming cases by feature",
            "## Known divergences",
            "## Provenance",
        )
    ]
    assert places == sorted(places)
    assert "left out" not in text


def test_an_incomplete_run_is_reported_at_the_top() -> None:
    assert jobsummary.render(make_report(PASSED, complete=False)).splitlines()[2].startswith("**INCOMPLETE: ")


@pytest.mark.parametrize("limit", [1500, 2500, jobsummary.LIMIT])
def test_the_size_is_limited(limit: int) -> None:
    results = [
        replace(FAILED, case=f"a.yaml::{number}", reason="é" * 200, traceback="x" * 20000) for number in range(90)
    ]
    text = jobsummary.render(make_report(PASSED, *results), limit=limit)
    assert len(text.encode()) <= limit
    assert text.splitlines()[2] == "1 pass, 90 fail"
    assert "parts are left out because of the size limit" in text


def test_a_heading_is_left_out_with_its_content() -> None:
    text = jobsummary.render(make_report(replace(FAILED, traceback="x" * 5000)), limit=3000)
    assert "### fail" not in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    jobsummary.write(tmp_path / "s.md", hostile.report(), hostile.report())
    text = (tmp_path / "s.md").read_text()
    outside = "".join(text.split("```")[::2])
    assert "<script>" not in "".join(outside.split("`")[::2])
