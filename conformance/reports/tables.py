"""Tables of the terminal summary. Their layout depends on the width of the terminal."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from conformance.reports.explain import printable
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.summary import Cell, detection, dtypes, error_ratios, format_error_ratio, table

_GAP = "  "
_NAME_CHARACTERS = 14
"""Width at which a name is broken into lines, unless the cells of its column are wider."""


@dataclass(frozen=True)
class _Column:
    """A column of a table.

    Attributes:
        head: lines of the heading.
        cells: cells below it.
        left: whether the column is aligned to the left.
    """

    head: Sequence[str]
    cells: Sequence[Text]
    left: bool = False

    @property
    def width(self) -> int:
        return max([*map(len, self.head), *map(len, self.cells)])

    def aligned(self, text: Text) -> Text:
        space = Text(" " * (self.width - len(text)))
        return text + space if self.left else space + text


def feature_table(grouped: Mapping[str, Sequence[Result]], width: int, rule: str = "─") -> list[Text]:
    """Returns a table of conforming cases with one row per feature and one column per implementation.

    Args:
        grouped: results by implementation.
        width: number of columns of the terminal.
        rule: character for horizontal lines.

    Returns:
        The lines of the table; empty if the table is wider than the terminal.
    """
    rows = table(grouped)
    columns = [_Column(["feature"], [Text(feature) for feature in rows], left=True)]
    for name in grouped:
        cells = [_styled(row[name]) for row in rows.values()]
        columns.append(_Column(_break_name(printable(name), max(_NAME_CHARACTERS, *map(len, cells))), cells))
    lines = list(_lines(columns, rule))
    if len(lines[0]) > width:
        return []
    return [*lines[:-1], Text(rule * len(lines[0])), lines[-1]]


def implementation_table(
    report: Report, grouped: Mapping[str, Sequence[Result]], width: int, rule: str = "─"
) -> list[Text]:
    """Returns a table of conforming cases, largest error ratios and detected defects, with one row per implementation.

    If the terminal is too narrow, each implementation takes two lines: its name, then its figures. If it is still too
    narrow, one column shows the largest error ratio of all dtypes.

    Args:
        report: the results.
        grouped: results by implementation.
        width: number of columns of the terminal.
        rule: character for horizontal lines.

    Returns:
        The lines of the table.
    """
    names = [Text(printable(name)) for name in grouped]
    cells = [_styled(Cell.of(results)) for results in grouped.values()]
    largest = error_ratios(report.results)
    ratios = [_ratio_column(dtype, [largest.get((name, dtype)) for name in grouped]) for dtype in dtypes(largest)]
    found = detection(report)
    counts = [Text(str(len(found[name].detected)) if name in found else "-") for name in grouped]
    detects = [_Column(["detects"], counts)] if found else []
    one_line = [_Column(["implementation"], names, left=True), _Column(["cases"], cells), *ratios, *detects]
    lines = list(_lines(one_line, rule))
    if len(lines[0]) <= width:
        return lines
    cases = _Column(["cases"], cells, left=True)
    lines = list(_lines([cases, *ratios, *detects], rule))
    if len(_GAP) + len(lines[0]) > width and ratios:
        overall = [max((largest[key] for key in largest if key[0] == name), default=None) for name in grouped]
        lines = list(_lines([cases, _ratio_column("error ratio", overall), *detects], rule))
    head, _, *rows = lines
    figures = [Text(_GAP) + row for row in rows]
    return [
        Text("implementation"),
        Text(_GAP) + head,
        Text(rule * (len(_GAP) + len(head))),
        *(line for both in zip(names, figures, strict=True) for line in both),
    ]


def _ratio_column(head: str, values: Sequence[float | None]) -> _Column:
    return _Column([head], [Text(format_error_ratio(value)) for value in values])


def _styled(cell: Cell) -> Text:
    return Text(str(cell), style="bold red" if cell.deviates else "")


def _break_name(name: str, width: int) -> list[str]:
    """Breaks a name into lines at dots, brackets and other separators. Parts that exceed the width are not broken."""
    lines = [""]
    for part in re.split(r"(?<=[.,:/@+])|(?=\[)", name):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return lines


def _lines(columns: Sequence[_Column], rule: str) -> Iterator[Text]:
    """Yields the lines of a table: the head, a horizontal line, the rows."""
    gap = Text(_GAP)
    height = max(len(column.head) for column in columns)
    heads = [[""] * (height - len(column.head)) + [*column.head] for column in columns]
    for words in zip(*heads, strict=True):
        yield gap.join(column.aligned(Text(word)) for column, word in zip(columns, words, strict=True))
    yield Text(rule * (sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)))
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield gap.join(column.aligned(cell) for column, cell in zip(columns, cells, strict=True))
