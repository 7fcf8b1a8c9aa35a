"""Tables of several releases of one implementation: features by release, and the cases that changed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from packaging.version import InvalidVersion, Version
from rich.text import Text

from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.summary import Cell, by_implementation, dtypes, format_error_ratio, table

Releases = Mapping[str, Sequence[Result]]
"""Results by version, the oldest first."""

_GAP = "  "
_SHOWN_CASES = 4
_RATIO = "error ratio"
_DIFFERS = " *"
_CONFORMS, _NONE = "·", "-"
LEGEND = (
    f"number of cases that deviate, known divergences included; {_CONFORMS} all conform; {_NONE} none is supported; "
    f"* differs between releases; {_RATIO}: the largest of the cases that pass"
)


def by_release(report: Report) -> dict[str, Releases]:
    """Groups the results by implementation and release, for the implementations with several releases.

    The name of a release ends with its version, as in ``onnxruntime@1.20.1``. Without it, the release is the installed
    one.
    """
    grouped: dict[str, dict[str, Sequence[Result]]] = defaultdict(dict)
    for name, results in by_implementation(report.results, report.planned).items():
        base, at, version = name.rpartition("@")
        installed = next(iter(report.header.packages.get(name, {}).values()), "installed")
        grouped[base if at else name][version if at else installed] = results
    return {
        name: dict(sorted(releases.items(), key=lambda item: _by_version(item[0])))
        for name, releases in grouped.items()
        if len(releases) > 1
    }


def _by_version(text: str) -> tuple[Version, str]:
    """Returns a key that sorts releases. A version may be followed by other requirements."""
    try:
        return Version(text.partition(",")[0]), text
    except InvalidVersion:
        return Version("0"), text


def release_rows(releases: Releases) -> dict[str, list[str]]:
    """Returns one cell per release for each feature and for the error ratio of each dtype.

    The name of a feature that differs between the releases ends with an asterisk.
    """
    features = {name: [_deviating(cell) for cell in cells.values()] for name, cells in table(releases).items()}
    found = {f"{name}{_DIFFERS * (len(set(cells)) > 1)}": cells for name, cells in features.items()}
    for dtype in dtypes((version, result.dtype) for version, results in releases.items() for result in results):
        found[f"{_RATIO}, {dtype}"] = [_largest(results, dtype) for results in releases.values()]
    return {name: cells for name, cells in found.items() if set(cells) != {_NONE}}


def release_table(releases: Releases, width: int) -> Iterator[Text]:
    """Yields the lines of a table with one row per feature and dtype and one column per release.

    Args:
        releases: results by version.
        width: number of columns of the terminal. Releases that do not fit follow in another block.
    """
    found = release_rows(releases)
    first = max(len(name.removesuffix(_DIFFERS)) for name in found) + len(_DIFFERS)
    column = max(len(word) for word in [*releases, *(cell for cells in found.values() for cell in cells)])
    per_block = max(1, (width - first) // (column + len(_GAP)))
    versions = list(releases)
    for start in range(0, len(versions), per_block):
        block = slice(start, start + per_block)
        yield Text(" " * first + "".join(f"{_GAP}{version:>{column}}" for version in versions[block]), style="bold")
        for name, cells in found.items():
            line = f"{name:<{first}}" + "".join(f"{_GAP}{cell:>{column}}" for cell in cells[block])
            yield Text(line, style="bold" if name.endswith(_DIFFERS) else "")
    yield Text(LEGEND, style="dim")


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
