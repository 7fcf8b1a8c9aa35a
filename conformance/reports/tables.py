"""Tables of the terminal summary. Their layout depends on the width of the terminal."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from conformance.reports.explain import printable
from conformance.results.record import Result
from conformance.results.summary import Cell, detected_mask, error_ratios, format_error_ratio, table

_GAP = "  "
_NAME = "implementation"
"""Heading of the column of names."""
_NAME_CHARACTERS = 14
"""Width at which a name is broken into lines, unless the cells of its column are wider."""
_RATIO_CHARACTERS = len("1.23e+45")
"""Width of the longest usual error ratio."""


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


class ImplementationTable:
    """Table of conforming cases, largest error ratios and detected defects, with one row per implementation.

    The widths of the columns do not depend on the results, so that each row can be printed as soon as it is known. If
    the terminal is too narrow, each implementation takes two lines: its name, then its figures. If it is still too
    narrow, one column shows the largest error ratio of all dtypes.

    Args:
        planned: number of planned cases, by implementation.
        dtypes: dtypes of the planned cases, in the order of their columns.
        width: number of columns of the terminal.
        rule: character for horizontal lines.
        power: whether there is a column for the number of detected defects.
    """

    def __init__(
        self, planned: Mapping[str, int], dtypes: Sequence[str], width: int, rule: str = "─", power: bool = True
    ) -> None:
        most = max(planned.values(), default=0)
        names = _FixedColumn(_NAME, max(map(len, map(printable, planned)), default=0), left=True)
        cases = _FixedColumn("cases", len(f"{most}/{most} !{most} +{most} ~{most}"))
        ratios = [_FixedColumn(dtype, _RATIO_CHARACTERS) for dtype in dtypes]
        detects = [_FixedColumn("detects")] if power else []
        self._rule = rule
        self._power = power
        self._dtypes = [[dtype] for dtype in dtypes]
        self._two_lines = False
        self._columns = [names, cases, *ratios, *detects]
        self._two_lines = self._width > width
        if self._two_lines:
            cases = replace(cases, left=True)
            self._columns = [cases, *ratios, *detects]
            if self._width > width:
                self._dtypes = [list(dtypes)]
                self._columns = [cases, _FixedColumn("error ratio"), *detects]
                excess = max(0, self._width - width)
                self._columns[0] = replace(cases, least=cases.least - excess)

    @property
    def head(self) -> list[Text]:
        """The heading and the horizontal line below it."""
        figures = [Text(column.head) for column in self._columns if column.head != _NAME]
        return [*self._lines(_NAME, figures), Text(self._rule * self._width)]

    def row(self, name: str, results: Iterable[Result]) -> list[Text]:
        """Returns the lines of an implementation's row: one line, or two on a narrow terminal."""
        results = list(results)
        largest = {dtype: ratio for (_, dtype), ratio in error_ratios(results).items()}
        ratios = [max((largest[each] for each in group if each in largest), default=None) for group in self._dtypes]
        figures = [_styled(Cell.of(results)), *(Text(format_error_ratio(ratio)) for ratio in ratios)]
        if self._power:
            measured = [result for result in results if result.detects is not None]
            figures.append(Text(str(detected_mask(measured).bit_count()) if measured else "-"))
        return self._lines(printable(name), figures)

    def _lines(self, name: str, figures: Sequence[Text]) -> list[Text]:
        words = figures if self._two_lines else [Text(name), *figures]
        gap = Text(_GAP)
        line = gap.join(column.aligned(word) for column, word in zip(self._columns, words, strict=True))
        return [Text(name), gap + line] if self._two_lines else [line]

    @property
    def _width(self) -> int:
        indent = len(_GAP) * self._two_lines
        return indent + sum(column.width for column in self._columns) + len(_GAP) * (len(self._columns) - 1)


@dataclass(frozen=True)
class _FixedColumn:
    """A column whose width does not depend on its cells. A wider cell shifts the rest of its line.

    Attributes:
        head: the heading.
        least: minimum width.
        left: whether the column is aligned to the left.
    """

    head: str
    least: int = 0
    left: bool = False

    @property
    def width(self) -> int:
        return max(len(self.head), self.least)

    def aligned(self, text: Text) -> Text:
        space = Text(" " * (self.width - len(text)))
        return text + space if self.left else space + text


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
