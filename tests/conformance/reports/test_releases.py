"""The table of features by release, and the list of cases that changed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.reports import markdown
from conformance.reports.releases import by_release, changes, release_table
from tests.conformance.results.runs import report, row

LSTM: dict[str, Any] = {"features": ("lengths", "float32"), "dtype": "float32"}
RELEASES = {
    "1.9": [row("a", **LSTM), row("b", "unsupported", **LSTM), row("c", "fail", error_ratio=9.0, **LSTM)],
    "1.10": [row("a", **LSTM), row("b", "known", error_ratio=9.0, **LSTM), row("c", error_ratio=0.5, **LSTM)],
    "1.11": [row("a", **LSTM), row("b", "fail", error_ratio=9.0, **LSTM), row("c", error_ratio=0.5, **LSTM)],
}

TABLE = """\
                         1.9  1.10  1.11
lengths                    1     1     1
float32                    1     1     1
total                      1     1     1
error ratio, float32     0.1   0.5   0.5"""


def test_counts_deviations_by_release_and_feature() -> None:
    lines = [line.plain for line in release_table(RELEASES, 80)]
    assert "\n".join(lines[:-1]) == TABLE


def test_marks_features_that_changed() -> None:
    first, *_ = [line.plain for line in release_table({**RELEASES, "1.12": [row("a", **LSTM)]}, 80)][1:]
    assert first.split() == ["lengths", "*", "1", "1", "1", "·"]


def test_releases_that_do_not_fit_follow_in_another_block() -> None:
    lines = [line.plain for line in release_table(RELEASES, 36)]
    assert [line.split() for line in lines if line.startswith("  ")] == [["1.9", "1.10"], ["1.11"]]
    assert max(map(len, lines[:-1])) <= 36


def test_lists_the_cases_that_changed() -> None:
    assert list(changes(RELEASES)) == [
        "1.9 → 1.10: 1 case, unsupported → deviates: a.yaml::b",
        "1.9 → 1.10: 1 case, deviates → conforms: a.yaml::c",
    ]


def test_raising_and_a_wrong_result_are_different_deviations() -> None:
    releases = {"1": [row("a", "error", error_ratio=None)], "2": [row("a", "known", error_ratio=9.0)]}
    assert list(changes(releases)) == ["1 → 2: 1 case, raises → deviates: a.yaml::a"]


def test_groups_the_releases_of_an_implementation_in_a_report(tmp_path: Path) -> None:
    results = [
        row("a", implementation=name)
        for name in ("lib@1.10", "lib@1.9,other==2", "lib", "my@path.py:Mine", "single@2.0", "plain")
    ]
    grouped = by_release(report(tmp_path / "r.jsonl", *results, packages={"lib": {"lib": "2.0"}}))
    assert {name: list(releases) for name, releases in grouped.items()} == {"lib": ["1.9,other==2", "1.10", "2.0"]}


def test_the_report_has_a_table_of_releases(tmp_path: Path) -> None:
    results = [replace(result, implementation=f"lib@{name}") for name, rows in RELEASES.items() for result in rows]
    text = markdown.render(report(tmp_path / "r.jsonl", *results))
    assert "## Releases of `lib`\n\n|  | 1.9 | 1.10 | 1.11 |\n" in text
    assert "| total | 1 | 1 | 1 |\n" in text
    assert "- 1.9 → 1.10: 1 case, deviates → conforms: a.yaml::c\n" in text
    assert "## Releases" not in markdown.render(report(tmp_path / "one.jsonl", *RELEASES["1.9"]))
