"""Markdown for the summary of a CI job: failures and changes first, with a limited size.

GitHub rejects the summary of a step that has more than 1024 kB.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from conformance.reports import comparison, markdown, marked
from conformance.results import atomic
from conformance.results.compare import compare
from conformance.results.reader import Report
from conformance.results.summary import Cell, by_implementation, detection, error_ratios, format_error_ratio

LIMIT = 900_000
"""Largest size of the summary, in bytes of UTF-8."""

_LAST_SECTIONS = ("features", "known", "unsupported", "not run", "absent", "provenance")


def write(path: Path, report: Report, baseline: Report | None = None) -> None:
    """Writes the summary.

    Raises:
        UserError: the file cannot be written.
    """
    atomic.write(path, render(report, baseline))


def render(report: Report, baseline: Report | None = None, limit: int = LIMIT) -> str:
    """Returns the summary as text.

    Args:
        report: the results.
        baseline: results of an earlier run to compare with; None to leave the comparison out.
        limit: largest size of the summary, in bytes of UTF-8.
    """
    found = markdown.sections(report)
    parts = [*found["head"], _overview(report)]
    parts += _blocks(comparison.markdown(compare(baseline, report), level=2)) if baseline else []
    parts += [part for name in ("deviations", *_LAST_SECTIONS) for part in _blocks(found[name])]
    return _cut(parts, limit)


def _overview(report: Report) -> str:
    """Returns a table with one row per implementation, deviating ones first."""
    grouped = by_implementation(report.results, report.planned)
    largest, power = error_ratios(report.results), detection(report)
    cells = {name: Cell.of(results) for name, results in grouped.items()}
    rows = []
    for name in sorted(grouped, key=lambda name: not cells[name].deviates):
        cell = cells[name]
        conforms = f"{cell.passed} of {cell.supported}" if cell.supported else "no data"
        own = [value for (other, _), value in largest.items() if other == name]
        rows.append(
            [
                marked.code(name),
                f"{conforms} (+{cell.unsupported} unsupported)" if cell.unsupported else conforms,
                str(cell.deviating) if cell.supported else "",
                str(cell.known or ""),
                str(cell.not_run or ""),
                format_error_ratio(max(own)) if own else "",
                str(power[name]) if name in power else "",
            ]
        )
    head = ["implementation", "conforming cases", "deviate", "known", "not run", "largest error ratio", "detects"]
    return marked.table(head, rows)


def _blocks(parts: Iterable[str]) -> Iterator[str]:
    """Joins each heading with the parts below it, so that both are kept or left out together."""
    block: list[str] = []
    for part in parts:
        if part.startswith("#") and block and not all(each.startswith("#") for each in block):
            yield "\n".join(block)
            block = []
        block.append(part)
    if block:
        yield "\n".join(block)


def _cut(parts: Iterable[str], limit: int) -> str:
    """Joins the parts that fit into the limit, and adds a line with the number of parts left out."""
    kept: list[str] = []
    left_out, size = 0, 0
    room = limit - 200  # The last line needs up to 200 bytes.
    for part in parts:
        more = len(part.encode(errors="backslashreplace")) + 1
        if size + more > room:
            left_out += 1
        else:
            size += more
            kept.append(part)
    if left_out:
        kept.append(f"**{left_out} parts are left out because of the size limit. The results file has all results.**\n")
    return "\n".join(kept)
