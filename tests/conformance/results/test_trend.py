import json
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.reports.trend import lines
from conformance.results.trend import trend
from tests.conformance.results.runs import report, row


def runs(folder: Path) -> list[str]:
    second = report(
        folder / "a.jsonl",
        *(row("one", error_ratio=0.9), row("two", "fail"), row("three", "unsupported")),
        began="2026-02-01T00:00:00+00:00",
        packages={"mine": {"framework": "2"}},
    )
    first = report(
        folder / "b.jsonl",
        *(
            row("one", error_ratio=0.2, detects=1, detected="1"),
            row("two", error_ratio=0.1),
            row("one", implementation="other@7"),
        ),
        began="2026-01-01T00:00:00+00:00",
    )
    third = report(folder / "c.jsonl", row("one", "known"), began="2026-03-01T00:00:00+00:00", complete=False)
    return [str(each.path) for each in (second, first, third)]


def test_runs_are_in_the_order_in_which_they_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = runs(tmp_path)
    assert main(["trend", *paths, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [Path(run["path"]).name for run in found["runs"]] == ["b.jsonl", "a.jsonl", "c.jsonl"]
    mine = found["implementations"]["mine"]
    assert [(point["run"], point["passed"], point["supported"]) for point in mine] == [(0, 2, 2), (1, 1, 2), (2, 0, 1)]
    assert mine[0]["error_ratio"] == {"largest": 0.2, "p99": 0.2, "median": pytest.approx(0.15)}
    assert mine[2]["error_ratio"] == {"largest": None, "p99": None, "median": None}
    assert [point["detects"] for point in mine] == [1, None, None]
    assert [point["name"] for point in found["implementations"]["other"]] == ["other@7"]


def test_the_terminal_output_has_at_most_80_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["trend", *runs(tmp_path)])
    shown = [line for line in capsys.readouterr().out.splitlines() if str(tmp_path) not in line]
    assert all(len(line) <= 80 for line in shown)
    assert shown[2:7] == [
        "mine",
        "  run  version           conform  known  deviate largest     p99  median detects",
        "    1  1                     2/2      0        0     0.2     0.2    0.15       1",
        "    2 *2                  1/2 +1      0        1     0.9     0.9     0.9       -",
        "    3 *1                     0/1      1        0       -       -       -       -",
    ]
    assert shown[7] == "  largest error ratio  ▂█·  (full height: error ratio 1)"


def test_two_versions_in_one_run_are_two_series(tmp_path: Path) -> None:
    one = report(tmp_path / "a.jsonl", row("one", implementation="x@1"), row("one", implementation="x@2"))
    assert list(trend([one]).series) == ["x@1", "x@2"]


def test_files_without_a_start_time_keep_their_order(tmp_path: Path) -> None:
    reports = [report(tmp_path / f"{name}.jsonl", row("one"), began="") for name in "ba"]
    found = trend(reports)
    assert [each.path.stem for each in found.runs] == ["b", "a"]
    assert "no date" in "\n".join(lines(found))
