import io
from collections.abc import Sequence
from dataclasses import replace

import pytest

from conformance.reports.terminal import SHOWN_TIMES, Terminal, summarise
from conformance.results.record import Result
from conformance.results.summary import Cell
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, BIASED, FAILED, KNOWN, PASSED, make_report


def summary(*results: Result, complete: bool = True, table: bool = True) -> str:
    stream = io.StringIO()
    summarise(make_report(*results, complete=complete), stream, table)
    return stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "1/4 !2 +1 ~1",
        "inf",
        "75%  solve fake",
        "2 deviations. Commands to run one again:",
        "conformance run a.yaml -i my.py:Fake -k a.yaml::two",
        "pytest 'a.yaml::two[fake]' --conformance-implementation my.py:Fake",
        "1 pass, 1 fail, 1 unsupported, 1 error, 1 known, 1 not-run",
    ],
)
def test_a_summary_contains(text: str) -> None:
    assert text in summary(*ALL.results)


def test_each_implementation_has_a_line() -> None:
    many = [
        replace(PASSED, implementation=f"mylib.Implementation{number}", detects=1, detected="1") for number in range(20)
    ]
    lines = summary(*many).splitlines()
    assert any("cases" in line and "detects" in line for line in lines)
    assert sum("mylib.Implementation7 " in line for line in lines) == 1
    assert not any("by feature" in line and "Conforming" in line for line in lines)


def test_only_the_largest_times_are_listed() -> None:
    many = [replace(PASSED, implementation=f"mylib.{number}", seconds={"solve": number + 10.0}) for number in range(20)]
    shown = [line for line in summary(*many).splitlines() if "solve mylib." in line]
    assert len(shown) <= SHOWN_TIMES
    assert "solve mylib.19" in shown[0]


def test_only_the_first_deviations_are_listed() -> None:
    many = [replace(FAILED, case=f"a.yaml::case-{number}") for number in range(13)]
    assert "and 3 more, see the report" in summary(*many)


def test_a_cause_is_listed_with_the_options_on_which_it_depends() -> None:
    lines = summary(*BIASED).splitlines()
    place = lines.index("  3 cases of fake: behaves exactly like an LSTM that ignores biases")
    assert lines[place + 1] == "    when   bias: true (3 of 3 such cases fail, 0 of 3 others)"
    assert not any(line.strip().startswith("when") for line in summary(*BIASED[:4]).splitlines())


def test_an_incomplete_run_is_reported() -> None:
    assert "INCOMPLETE: the run did not finish; it has 1 of 6 results" in summary(PASSED, complete=False)
    assert "INCOMPLETE" not in summary(PASSED)


def test_no_escape_codes_outside_a_terminal() -> None:
    assert "\x1b" not in summary(*ALL.results)


def test_hostile_text_is_printed_as_escapes() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    results = hostile.report()
    summarise(results, stream)
    with Terminal(results.planned, ["float32"], stream) as terminal:
        terminal.show(results.results[0])
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert "\\x1b[31m" in text
    assert not any(character in text for character in "\x00\x1b\x0b\u202e\u2066")


def live(stream: io.StringIO, done: Sequence[Result] = (), **planned: int) -> Terminal:
    return Terminal(planned, ["float32"], stream, done)


def printed(stream: io.StringIO) -> list[str]:
    """Returns what was printed since the last call, without empty lines. Spaces are collapsed."""
    lines = [" ".join(line.split()) for line in stream.getvalue().splitlines()]
    stream.truncate(0)
    stream.seek(0)
    return [line for line in lines if line and not line.startswith("─")]


HEAD = ["Conforming cases, largest error ratio (up to 1 conforms)", "implementation cases float32 detects"]


def test_a_deviation_is_shown_as_it_happens() -> None:
    stream = io.StringIO()
    terminal = live(stream, fake=3)
    terminal.show(PASSED)
    terminal.show(FAILED)
    assert stream.getvalue() == "fail a.yaml::two[fake]\n     h_n is off | <b>by</b> 1\n"


def test_an_implementation_has_a_row_as_soon_as_it_has_finished() -> None:
    stream = io.StringIO()
    other = replace(PASSED, implementation="other", error_ratio=0.5, detects=2, detected="5")
    with live(stream, fake=2, other=1) as terminal:
        terminal.show(PASSED)
        assert printed(stream) == []
        terminal.show(other)
        assert printed(stream) == [*HEAD, "other 1/1 0.5 2"]
        terminal.show(KNOWN)
        assert printed(stream) == ["fake 1/2 ~1 0.25 -"]
    assert printed(stream) == []


def test_rows_have_the_layout_of_the_summary() -> None:
    stream = io.StringIO()
    measured = replace(PASSED, detects=2, detected="5")
    with live(stream, fake=1) as terminal:
        terminal.show(measured)
    rows = stream.getvalue()
    assert rows in summary(measured)
    assert rows not in summary(measured, table=False)


def test_at_the_end_implementations_that_have_begun_or_have_no_cases_get_their_rows() -> None:
    stream = io.StringIO()
    with live(stream, begun=2, empty=0, waiting=1) as terminal:
        terminal.show(replace(PASSED, implementation="begun"))
    assert printed(stream) == [*HEAD, "begun 1/1 0.25 -", "empty no data - -"]


def test_a_resumed_run_shows_the_rows_of_the_first_run() -> None:
    stream = io.StringIO()
    terminal = live(stream, [PASSED, replace(KNOWN, implementation="other")], fake=1, other=2)
    assert printed(stream) == [*HEAD, "fake 1/1 0.25 -"]
    terminal.show(replace(PASSED, implementation="other"))
    assert printed(stream) == ["other 1/2 ~1 0.25 -"]


@pytest.mark.parametrize(("first", "interleaved"), [(FAILED, False), (replace(PASSED, implementation="other"), True)])
def test_a_deviation_between_rows_separates_them(first: Result, interleaved: bool) -> None:
    terminal = live(io.StringIO(), fake=2, other=1)
    terminal.show(first)
    terminal.show(replace(FAILED, case="a.yaml::six"))
    assert terminal.interleaved == interleaved


@pytest.mark.parametrize(("silent_seconds", "lines"), [(-1.0, ["1/2 no deviations, fake"]), (1e9, [])])
def test_progress_is_printed_only_after_silence(
    monkeypatch: pytest.MonkeyPatch, silent_seconds: float, lines: list[str]
) -> None:
    monkeypatch.setattr("conformance.reports.terminal._SILENT_SECONDS", silent_seconds)
    stream = io.StringIO()
    live(stream, fake=2).show(PASSED)
    assert printed(stream) == lines


def test_the_progress_bar_names_the_implementations_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    stream = io.StringIO()
    name = "keras.layers.LSTM[tensorflow]"
    with Terminal({name: 2}, ["float32"], stream) as terminal:
        terminal.show(replace(PASSED, implementation=name))
    assert f"no deviations, {name} " in stream.getvalue()


@pytest.mark.parametrize("width", ["30", "60", "120"])
def test_the_progress_bar_of_a_terminal_leaves_only_the_rows(monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    stream = io.StringIO()
    with live(stream, fake=2) as terminal:
        terminal.show(PASSED)
        terminal.show(KNOWN)
    assert "1/2 ~1" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")  # Erases the line of the progress bar.


def test_the_phase_of_a_long_case_is_shown() -> None:
    stream = io.StringIO()
    with live(stream, fake=2) as terminal:
        terminal.show(PASSED)
        terminal.show_phase("large: 1/4 reference and budget (about 120 CPU s)")
    assert printed(stream)[0] == "1/2 large: 1/4 reference and budget (about 120 CPU s)"


@pytest.mark.parametrize(
    ("cell", "text", "deviates"),
    [
        (Cell(0, 0, 0, 0, 0), "no data", False),
        (Cell(0, 0, 4, 0, 0), "+4", False),
        (Cell(3, 3, 0, 0, 2), "3/3 -2", False),
        (Cell(2, 4, 1, 1, 0), "2/4 !1 +1 ~1", True),
        (Cell(3, 4, 1, 1, 0), "3/4 +1 ~1", False),
    ],
)
def test_a_cell_is_shown_with_all_its_counts(cell: Cell, text: str, deviates: bool) -> None:
    assert (str(cell), cell.deviates) == (text, deviates)
