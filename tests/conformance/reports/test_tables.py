import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.text import Text

from conformance.reports.tables import ImplementationTable, feature_table
from conformance.reports.terminal import summarise
from conformance.results.reader import Report
from conformance.results.summary import by_implementation
from tests.conformance.reports.test_markdown import FAILED, KNOWN, PASSED, UNSUPPORTED, make_report, with_header

SHORT, LONG = "torch.nn.LSTM", "keras.layers.LSTM[tensorflow,implementation]"


WIDE = """\
implementation                                                 cases   float64   float32   float16  bfloat16  detects
─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
torch.nn.LSTM                                          400/401 +1 ~1         0     0.125      0.25     0.375        1
keras.layers.LSTM[tensorflow,implementation]        400/402 !1 +1 ~1         0       250      0.25     0.375        1
"""


def many() -> Report:
    """Returns the results of two implementations, one of which deviates, in all dtypes."""
    results = []
    for name in (SHORT, LONG):
        for place, dtype in enumerate(("float64", "float32", "float16", "bfloat16")):
            passed = replace(
                PASSED, implementation=name, dtype=dtype, error_ratio=0.125 * place, detects=1, detected="1"
            )
            results += [replace(passed, case=f"a.yaml::{number}") for number in range(100)]
        results += [replace(UNSUPPORTED, implementation=name), replace(KNOWN, implementation=name)]
    results += [replace(FAILED, implementation=LONG, error_ratio=250.0)]
    return with_header(make_report(*results), planned={SHORT: 402, LONG: 403}, defects=["a", "b"])


def plain(lines: Sequence[Text]) -> list[str]:
    return [line.plain for line in lines]


def implementation_table(width: int) -> list[str]:
    """Returns the lines of the table of ``many`` implementations."""
    report = many()
    table = ImplementationTable(report.planned, ["float64", "float32", "float16", "bfloat16"], width)
    rows = [table.row(name, results) for name, results in by_implementation(report.results).items()]
    return plain([*table.head, *(line for row in rows for line in row)])


def test_an_implementation_takes_one_line_on_a_wide_terminal() -> None:
    assert implementation_table(120) == WIDE.splitlines()


def test_an_implementation_takes_two_lines_in_80_columns() -> None:
    assert implementation_table(80) == [
        "implementation",
        "  cases                    float64   float32   float16  bfloat16  detects",
        "─────────────────────────────────────────────────────────────────────────",
        "torch.nn.LSTM",
        "  400/401 +1 ~1                  0     0.125      0.25     0.375        1",
        "keras.layers.LSTM[tensorflow,implementation]",
        "  400/402 !1 +1 ~1               0       250      0.25     0.375        1",
    ]


def test_60_columns_have_room_for_the_largest_error_ratio_only() -> None:
    assert implementation_table(60) == [
        "implementation",
        "  cases                   error ratio  detects",
        "──────────────────────────────────────────────",
        "torch.nn.LSTM",
        "  400/401 +1 ~1                 0.375        1",
        "keras.layers.LSTM[tensorflow,implementation]",
        "  400/402 !1 +1 ~1                250        1",
    ]


def test_a_table_of_no_cases_has_no_error_ratios() -> None:
    table = ImplementationTable({"fake": 0}, [], 80, power=False)
    assert plain([*table.head, *table.row("fake", [])]) == [
        "implementation         cases",
        "────────────────────────────",
        "fake                 no data",
    ]


def test_names_in_the_head_of_the_feature_table_are_broken_at_their_parts() -> None:
    report = many()
    grouped = by_implementation(report.results)
    lines = plain(feature_table(grouped, 60))
    assert lines == [
        "                           keras.layers.",
        "                        LSTM[tensorflow,",
        "feature  torch.nn.LSTM   implementation]",
        "────────────────────────────────────────",
        "float32  400/401 +1 ~1  400/402 !1 +1 ~1",
        "────────────────────────────────────────",
        "total    400/401 +1 ~1  400/402 !1 +1 ~1",
    ]
    assert feature_table(grouped, len(lines[0])) != []
    assert feature_table(grouped, len(lines[0]) - 1) == []


@pytest.mark.parametrize("width", [120, 80, 60, 40])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_fits_the_width_except_for_commands_and_names(
    monkeypatch: pytest.MonkeyPatch, width: int, terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    summarise(many(), stream)
    lines = stream.getvalue().replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "").splitlines()
    assert "\x1b" not in "".join(lines)
    too_long = [line.strip() for line in lines if len(line) > width and LONG not in line]
    assert [line for line in too_long if not line.startswith(("pytest ", "conformance run ", "fail "))] == []


def test_without_color_a_deviation_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    stream = io.StringIO()
    summarise(many(), stream)
    (line,) = [line for line in stream.getvalue().splitlines() if line.startswith(LONG)]
    assert "400/402 !1 +1 ~1" in line
    assert "!f deviate" in stream.getvalue()


def test_a_stream_that_is_not_unicode_gets_a_summary_in_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    summarise(many(), stream)
    stream.flush()
    assert b"-----" in stream.buffer.getvalue()
