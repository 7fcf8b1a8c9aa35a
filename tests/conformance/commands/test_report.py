"""``conformance report`` writes every format, and leaves no partial file."""

import json
from pathlib import Path

import pytest

from conformance.commands.cli import main
from tests.conformance.results.runs import report, row

OPTIONS = ["--output", "--summary", "--junit", "--ctrf", "--csv", "--parquet"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    report(tmp_path / "old.jsonl", row("one"), row("two"))
    return report(tmp_path / "results.jsonl", row("one"), row("two", "fail")).path.name


def test_all_formats_can_be_written_at_once(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for option in OPTIONS for word in (option, f"new{option}.out")]
    assert main(["report", results, *words, "--badges", "new/badges"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(OPTIONS) + 1
    assert "junit: new--junit.out" in printed
    assert all(Path(f"new{option}.out").stat().st_size for option in OPTIONS)
    assert json.loads(Path("new/badges/mine.json").read_text())["message"] == "1 of 2"


def test_without_an_option_it_prints_markdown(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", results]) == 0
    assert capsys.readouterr().out.startswith("# LSTM conformance\n")


@pytest.mark.parametrize("option", [*OPTIONS, "--badges"])
def test_an_unwritable_file_leaves_nothing_behind(
    results: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("taken").mkdir()
    target = "results.jsonl/badges" if option == "--badges" else "taken"
    before = sorted(Path().rglob("*"))
    assert main(["report", results, option, target]) == 3
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("option", OPTIONS)
def test_an_existing_file_is_replaced(results: str, option: str) -> None:
    Path("out").write_text("an older and longer file" * 1000)
    assert main(["report", results, option, "out"]) == 0
    assert b"an older and longer file" not in Path("out").read_bytes()


def test_a_summary_lists_what_changed(results: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", results, "--summary", "s.md", "--baseline", "old.jsonl"]) == 0
    assert "### Newly failing: 1" in Path("s.md").read_text()
    assert main(["report", results, "--baseline", "old.jsonl"]) == 2
    assert "--baseline needs --summary" in capsys.readouterr().err


def test_the_help_names_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    printed = capsys.readouterr().out
    assert all(option in printed for option in (*OPTIONS, "--badges", "--baseline"))
