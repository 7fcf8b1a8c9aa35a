import io
from dataclasses import replace

import pytest

from conformance.reports.terminal import SHOWN_TIMES, Terminal, summarise
from conformance.results.record import Result
from conformance.results.summary import Cell
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, FAILED, PASSED, make_report


def summary(*results: Result, complete: bool = True) -> str:
    stream = io.StringIO()
    summarise(make_report(*results, complete=complete), stream)
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


def test_an_incomplete_run_is_reported() -> None:
    assert "INCOMPLETE: the run did not finish; it has 1 of 6 results" in summary(PASSED, complete=False)
    assert "INCOMPLETE" not in summary(PASSED)


def test_no_escape_codes_outside_a_terminal() -> None:
    assert "\x1b" not in summary(*ALL.results)


def test_hostile_text_is_printed_as_escapes() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    results = hostile.report()
    summarise(results, stream)
    with Terminal(3, stream) as terminal:
        terminal.show(results.results[0])
    stream.flush()
    text = stream.buffer.getvalue().decode()
    assert "\\x1b[31m" in text
    assert not any(character in text for character in "\x00\x1b\x0b\u202e\u2066")


def test_a_deviation_is_shown_as_it_happens() -> None:
    stream = io.StringIO()
    with Terminal(2, stream) as terminal:
        terminal.show(PASSED)
        terminal.show(FAILED)
    assert stream.getvalue() == "fail a.yaml::two[fake]\n     h_n is off | <b>by</b> 1\n"


def test_the_phase_of_a_long_case_is_shown() -> None:
    stream = io.StringIO()
    with Terminal(2, stream) as terminal:
        terminal.show(PASSED)
        terminal.show_phase("large: 1/4 reference and budget (about 120 CPU s)")
    assert stream.getvalue() == "1/2 large: 1/4 reference and budget (about 120 CPU s)\n"


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
