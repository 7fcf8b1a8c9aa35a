"""Tables of several releases of one implementation: features by release, and the cases that changed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from rich.text import Text

from conformance.results.record import Result
from conformance.results.summary import Cell, dtypes, format_error_ratio, table

Releases = Mapping[str, Sequence[Result]]
"""Results by version, the oldest first."""

_GAP = "  "
_SHOWN_CASES = 4
_RATIO = "error ratio"
_CONFORMS, _NONE = "·", "-"
_LEGEND = (
    f"number of cases that deviate, known divergences included; {_CONFORMS} all conform; {_NONE} none is supported; "
    f"* differs between releases; {_RATIO}: the largest of the cases that pass"
)


def release_table(releases: Releases, width: int) -> Iterator[Text]:
    """Yields the lines of a table with one row per feature and dtype and one column per release.

    Args:
        releases: results by version.
        width: number of columns of the terminal. Releases that do not fit follow in another block.
    """
    rows = {feature: [_deviating(cell) for cell in cells.values()] for feature, cells in table(releases).items()}
    for dtype in dtypes((version, result.dtype) for version, results in releases.items() for result in results):
        rows[f"{_RATIO}, {dtype}"] = [_largest(results, dtype) for results in releases.values()]
    rows = {name: cells for name, cells in rows.items() if set(cells) != {_NONE}}
    first = max(map(len, rows)) + len(" *")
    column = max(len(word) for word in [*releases, *(cell for cells in rows.values() for cell in cells)])
    per_block = max(1, (width - first) // (column + len(_GAP)))
    versions = list(releases)
    for start in range(0, len(versions), per_block):
        block = slice(start, start + per_block)
        yield Text(" " * first + "".join(f"{_GAP}{version:>{column}}" for version in versions[block]), style="bold")
        for name, cells in rows.items():
            changes = not name.startswith(_RATIO) and len(set(cells)) > 1
            line = f"{name}{' *' * changes:<{first - len(name)}}"
            line += "".join(f"{_GAP}{cell:>{column}}" for cell in cells[block])
            yield Text(line, style="bold" if changes else "")
    yield Text(_LEGEND, style="dim")


def changes(releases: Releases) -> Iterator[str]:
    """Yields a line for each way in which cases changed from one release to the next."""
    for (old, before), (new, after) in pairwise(releases.items()):
        earlier = {result.key: _state(result) for result in before}
        changed = defaultdict(list)
        for result in after:
            was, now = earlier.get(result.key, ""), _state(result)
            if was and was != now:
                changed[was, now].append(result.case)
        for (was, now), cases in changed.items():
            more = f" and {len(cases) - _SHOWN_CASES} more" if len(cases) > _SHOWN_CASES else ""
            count = f"{len(cases)} case{'s' * (len(cases) != 1)}"
            yield f"{old} → {new}: {count}, {was} → {now}: {', '.join(cases[:_SHOWN_CASES])}{more}"


def _deviating(cell: Cell) -> str:
    if not cell.supported:
        return _NONE
    return str(cell.supported - cell.passed) if cell.supported > cell.passed else _CONFORMS


def _largest(results: Sequence[Result], dtype: str) -> str:
    passed = (result.error_ratio for result in results if result.status == "pass" and result.dtype == dtype)
    return format_error_ratio(max((ratio for ratio in passed if ratio is not None), default=None))


def _state(result: Result) -> str:
    """Returns whether a case conforms. It does not matter whether a deviation is known: that depends on the version."""
    if result.status in ("pass", "fixed"):
        return "conforms"
    if result.deviates or result.status == "known":
        return "raises" if result.error_ratio is None else "deviates"
    return result.status
