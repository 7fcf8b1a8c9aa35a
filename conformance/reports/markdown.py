"""Results as Markdown: a summary, then the deviations, then known divergences, unsupported cases and provenance."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.reports import marked
from conformance.reports.causes import group_by_cause
from conformance.reports.releases import LEGEND as LEGEND_OF_RELEASES
from conformance.reports.releases import by_release, changes, release_rows
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result, counts
from conformance.results.summary import (
    LEGEND,
    by_implementation,
    cpu_times,
    detection,
    dtypes,
    error_ratios,
    facts_of,
    format_error_ratio,
    incomplete_warning,
    invalid_warning,
    rerun_commands,
    table,
)

SHOWN_DEVIATIONS = 100
"""Number of deviations to show in detail. A report with thousands of details would be too large to open."""

_SHOWN_NAMES = 5
"""Number of cases or defects to list in a cell."""


def write(path: Path, report: Report) -> None:
    """Writes the report.

    Raises:
        UserError: the file cannot be written.
    """
    atomic.write(path, render(report))


def render(report: Report) -> str:
    """Returns the report as text."""
    return "\n".join(part for section in sections(report).values() for part in section)


def sections(report: Report) -> dict[str, list[str]]:
    """Returns the parts of each section: headings, tables, paragraphs."""
    grouped = by_implementation(report.results, report.planned)
    found = {
        "head": _head(report),
        "features": _features(grouped),
        "error_ratios": _error_ratios(report.results),
        "releases": _releases(report),
        "detects": _detection(report),
        "deviations": _deviations(report),
        "known": _reasons("Known divergences", "known", report.results),
        "unsupported": _reasons("Unsupported", "unsupported", report.results),
        "not run": _reasons("Not run", "not-run", report.results),
        "absent": _absent(report),
        "time": _time(report, grouped),
        "provenance": _provenance(report),
    }
    return {name: list(parts) for name, parts in found.items()}


def _head(report: Report) -> Iterator[str]:
    yield "# LSTM conformance\n"
    if not report.complete:
        yield f"**{incomplete_warning(report)}.**\n"
    if report.undetected_controls:
        yield f"**{marked.text(invalid_warning(report))}.**\n"
    found = counts(report.results)
    yield (", ".join(f"{amount} {status}" for status, amount in found.items()) or "Nothing ran.") + "\n"
    for name, statuses in report.counted.items():
        listed = ", ".join(f"{number:,} {status}" for status, number in statuses.items())
        yield f"{marked.code(name)}: a campaign counted {listed} without keeping their rows.\n"
    if report.header.selection:
        yield f"Selection: {marked.code(report.header.selection)}\n"


def _features(grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    yield "## Conforming cases by feature\n"
    found = table(grouped)
    cells = [
        ["feature", *map(marked.code, grouped)],
        *([feature, *map(str, row.values())] for feature, row in found.items()),
    ]
    if len(grouped) > len(found):  # Transpose, so that the table has more rows than columns.
        cells = [["implementation", *found], *map(list, list(zip(*cells, strict=True))[1:])]
    yield marked.table(cells[0], cells[1:])
    yield f"{LEGEND}.\n"


def _error_ratios(results: Sequence[Result]) -> Iterator[str]:
    largest = error_ratios(results)
    if not largest:
        return
    yield "## Largest error ratio\n"
    yield "The largest |deviation| from the reference / budget. A case conforms if its error ratio is at most 1.\n"
    columns = dtypes(largest)
    names = list(dict.fromkeys(name for name, _ in largest))
    rows = [
        [marked.code(name), *(format_error_ratio(largest.get((name, dtype))) for dtype in columns)] for name in names
    ]
    yield marked.table(["implementation", *columns], rows)


def _releases(report: Report) -> Iterator[str]:
    for name, releases in by_release(report).items():
        yield f"## Releases of {marked.code(name)}\n"
        lines = [[marked.text(feature), *cells] for feature, cells in release_rows(releases).items()]
        yield marked.table(["", *map(marked.text, releases)], lines)
        yield f"{LEGEND_OF_RELEASES}.\n"
        yield "\n".join(f"- {marked.text(change)}" for change in changes(releases)) + "\n"


def _detection(report: Report) -> Iterator[str]:
    found = detection(report)
    if not found:
        return
    yield "## Defects that the passed cases detect\n"
    yield "`conformance power` explains the suite's catalogue of defects.\n"
    rows = [[marked.code(name), str(each), _listed(each.missed)] for name, each in found.items()]
    yield marked.table(["implementation", "detects", "does not detect"], rows)


def _deviations(report: Report) -> Iterator[str]:
    specs = report.header.specs
    deviations = [result for result in report.results if result.deviates]
    if not deviations:
        return
    yield "## Deviations\n"
    yield from _causes(report)
    for result in deviations[:SHOWN_DEVIATIONS]:
        yield f"### {result.status}: {marked.code(result.id)}\n"
        yield f"{marked.text(result.reason)}\n"
        if result.diagnosis:
            yield f"Diagnosis: {marked.text(result.diagnosis)}\n"
        if result.details:
            rows = [
                [marked.code(name), format_error_ratio(result.tensors.get(name)), marked.text(_described(detail))]
                for name, detail in result.details.items()
            ]
            yield marked.table(["tensor", "error ratio", "deviation"], rows)
        if result.traceback:
            yield marked.block(result.traceback)
        commands = rerun_commands(result, specs.get(result.implementation, ""))
        yield marked.block("\n".join(commands or result.notes))
    if len(deviations) > SHOWN_DEVIATIONS:
        yield f"and {len(deviations) - SHOWN_DEVIATIONS} more, see the results file.\n"


def _causes(report: Report) -> Iterator[str]:
    groups = group_by_cause(report.results, report.explanations)
    if not groups:
        return
    yield "### Causes\n"
    rows = [
        [
            marked.code(group.implementation),
            str(len(group.results)),
            marked.text(group.what),
            marked.text(group.when),
            marked.text("; ".join(f"{title}: {text}" for title, text in group.facts.items() if title != "when")),
            ", ".join(map(marked.code, group.defects)),
        ]
        for group in groups
    ]
    yield marked.table(["implementation", "cases", "cause", "when", "established", "defects"], rows)


def _reasons(title: str, status: str, results: Sequence[Result]) -> Iterator[str]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.status == status:
            grouped.setdefault((result.implementation, result.reason), []).append(result.case)
    if not grouped:
        return
    yield f"## {title}\n"
    rows = [
        [marked.code(name), str(len(cases)), marked.text(reason), _listed(cases)]
        for (name, reason), cases in grouped.items()
    ]
    yield marked.table(["implementation", "cases", "reason", "examples"], rows)


def _absent(report: Report) -> Iterator[str]:
    if report.header.absent:
        yield "## Not installed, not run\n"
        rows = [[marked.code(name), marked.text(needs)] for name, needs in report.header.absent.items()]
        yield marked.table(["implementation", "requirement"], rows)
    if report.header.lacking:
        yield "## Workers without cases of some implementations\n"
        rows = [
            [marked.code(worker), marked.code(name), marked.text(reason)]
            for worker, reasons in report.header.lacking.items()
            for name, reason in reasons.items()
        ]
        yield marked.table(["worker", "implementation", "reason"], rows)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(map(marked.code, names[:_SHOWN_NAMES])) + more


def _time(report: Report, grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    rows = cpu_times(grouped, report.footer.seconds if report.footer else None)
    total = sum(seconds for _, seconds in rows)
    if not total:
        return
    yield f"## CPU time: {total:.1f} s\n"
    cells = [[marked.text(what), f"{spent:.2f}", f"{spent / total:.0%}"] for what, spent in rows]
    yield marked.table(["phase", "seconds", "share"], cells)


def _provenance(report: Report) -> Iterator[str]:
    yield "## Provenance\n"
    about: dict[str, Any] = {"suite": report.header.suite, **report.header.machine}
    threads = {name: value for name, value in report.header.threads.items() if value}
    yield _facts(about | threads)
    for name in report.planned:
        facts = {**report.header.packages.get(name, {}), **report.implementations.get(name, {})}
        if facts:
            yield f"### {marked.code(name)}\n"
            yield _facts(facts)


def _facts(facts: Mapping[str, Any]) -> str:
    return marked.table(["", ""], [[marked.text(key), marked.text(str(value))] for key, value in facts.items()])


def _described(detail: Mapping[str, Any]) -> str:
    """Returns a tensor's detail in one line: the reason, then the facts."""
    rest = [f"{key}: {value}" for key, value in facts_of(detail).items()]
    return "; ".join([str(detail.get("reason", "")), *rest])
