"""Markdown for the summary of a CI job: failures and changes first, and never more than a job may say.

GitHub refuses a step's summary above 1024 kB, all of it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from conformance.reports import comparison, markdown, marked
from conformance.results import atomic
from conformance.results.compare import compare
from conformance.results.reader import Report
from conformance.results.summary import Cell, by_implementation, detection, error_ratios, number

LIMIT = 900_000
"""Bytes of UTF-8."""

_LAST = ("features", "known", "unsupported", "not run", "absent", "provenance")


def write(path: Path, report: Report, baseline: Report | None = None) -> None:
    """Writes the summary, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    atomic.write(path, render(report, baseline))


def render(report: Report, baseline: Report | None = None, limit: int = LIMIT) -> str:
    """The summary as text.

    Args:
        report: the results.
        baseline: those of an earlier run, to say what changed.
        limit: bytes that it may have.
    """
    found = markdown.sections(report)
    parts = [*found["head"], _overview(report)]
    parts += _whole(comparison.markdown(compare(baseline, report), level=2)) if baseline else []
    parts += [part for name in ("deviations", *_LAST) for part in _whole(found[name])]
    return _cut(parts, limit)


def _overview(report: Report) -> str:
    """A row for each implementation, those that deviate first."""
    grouped = by_implementation(report.results, report.planned)
    largest, power = error_ratios(report.results), detection(report)
    cells = {name: Cell.of(results) for name, results in grouped.items()}
    rows = []
    for name in sorted(grouped, key=lambda name: not cells[name].deviates):
        cell = cells[name]
        deviates = cell.supported - cell.passed - cell.known
        conforms = f"{cell.passed} of {cell.supported}" if cell.supported else "no data"
        own = [value for (other, _), value in largest.items() if other == name]
        rows.append(
            [
                marked.code(name),
                f"{conforms} (+{cell.unsupported} unsupported)" if cell.unsupported else conforms,
                str(deviates) if cell.supported else "",
                str(cell.known or ""),
                str(cell.not_run or ""),
                number(max(own)) if own else "",
                str(power[name]) if name in power else "",
            ]
        )
    head = ["implementation", "conforming cases", "deviate", "known", "not run", "largest error ratio", "detects"]
    return marked.table(head, rows)


def _whole(parts: Iterable[str]) -> Iterator[str]:
    """Each heading together with what belongs to it, so that both are kept or left out."""
    block: list[str] = []
    for part in parts:
        if part.startswith("#") and block and not all(each.startswith("#") for each in block):
            yield "\n".join(block)
            block = []
        block.append(part)
    if block:
        yield "\n".join(block)


def _cut(parts: Iterable[str], limit: int) -> str:
    """The parts for which there is room, in their order, and how many are left out."""
    kept: list[str] = []
    left_out, size = 0, 0
    room = limit - 200  # For the last line.
    for part in parts:
        more = len(part.encode(errors="backslashreplace")) + 1
        if size + more > room:
            left_out += 1
        else:
            size += more
            kept.append(part)
    if left_out:
        kept.append(f"**{left_out} parts are left out here, for want of room: the results file has all.**\n")
    return "\n".join(kept)
