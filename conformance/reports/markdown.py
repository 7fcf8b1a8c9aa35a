"""Results as Markdown: the summary first, then what deviates, then what explains the rest."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.reports import marked
from conformance.reports.causes import explained
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result, counts
from conformance.results.summary import (
    LEGEND,
    by_implementation,
    described,
    detection,
    dtypes,
    error_ratios,
    invalid,
    number,
    rerun,
    table,
    times,
    unfinished,
)

DETAILED = 100
"""Deviations that are shown with all their details; a report with thousands could not be opened."""

_SHOWN = 5
"""Names of cases and of defects that are listed; the results file has all."""


def write(path: Path, report: Report) -> None:
    """Writes the report, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    atomic.write(path, render(report))


def render(report: Report) -> str:
    """The report as text."""
    return "\n".join(part for section in sections(report).values() for part in section)


def sections(report: Report) -> dict[str, list[str]]:
    """The report in sections, each of them in parts: a heading, a table, a paragraph."""
    grouped = by_implementation(report.results, report.planned)
    found = {
        "head": _head(report),
        "features": _features(grouped),
        "error_ratios": _error_ratios(report.results),
        "detects": _sees(report),
        "deviations": _deviations(report.results, report.specs),
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
        yield f"**{unfinished(report)}.**\n"
    if report.undetected_controls:
        yield f"**{marked.text(invalid(report))}.**\n"
    found = counts(report.results)
    yield (", ".join(f"{amount} {status}" for status, amount in found.items()) or "Nothing ran.") + "\n"
    if report.header.get("selection"):
        yield f"Selected by: {marked.code(report.header['selection'])}\n"


def _features(grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    yield "## Conforming cases by feature\n"
    found = table(grouped)
    cells = [
        ["feature", *map(marked.code, grouped)],
        *([feature, *map(str, row.values())] for feature, row in found.items()),
    ]
    if len(grouped) > len(found):  # The longer side goes down the page.
        cells = [["implementation", *found], *map(list, list(zip(*cells, strict=True))[1:])]
    yield marked.table(cells[0], cells[1:])
    yield f"{LEGEND}.\n"


def _error_ratios(results: Sequence[Result]) -> Iterator[str]:
    largest = error_ratios(results)
    if not largest:
        return
    yield "## Largest error ratio\n"
    yield "The largest deviation from the reference, in units of the rounding budget: up to 1 conforms.\n"
    columns = dtypes(largest)
    names = list(dict.fromkeys(name for name, _ in largest))
    rows = [[marked.code(name), *(number(largest.get((name, dtype))) for dtype in columns)] for name in names]
    yield marked.table(["implementation", *columns], rows)


def _sees(report: Report) -> Iterator[str]:
    found = detection(report)
    if not found:
        return
    yield "## What the passed checks would have caught\n"
    yield "Of the defects in the suite's catalogue; `conformance power` explains them.\n"
    rows = [[marked.code(name), str(each), _listed(each.missed)] for name, each in found.items()]
    yield marked.table(["implementation", "detects", "does not see"], rows)


def _deviations(results: Sequence[Result], specs: Mapping[str, str]) -> Iterator[str]:
    deviations = [result for result in results if result.deviates]
    if not deviations:
        return
    yield "## Deviations\n"
    yield from _causes(deviations)
    for result in deviations[:DETAILED]:
        yield f"### {result.status}: {marked.code(result.id)}\n"
        yield f"{marked.text(result.reason)}\n"
        if result.diagnosis:
            yield f"Diagnosis: {marked.text(result.diagnosis)}\n"
        if result.details:
            rows = [
                [marked.code(name), number(result.tensors.get(name)), marked.text(_described(detail))]
                for name, detail in result.details.items()
            ]
            yield marked.table(["tensor", "error_ratio", "what"], rows)
        if result.traceback:
            yield marked.block(result.traceback)
        yield marked.block("\n".join(rerun(result, specs.get(result.implementation, ""))))
    if len(deviations) > DETAILED:
        yield f"and {len(deviations) - DETAILED} more, in the results file.\n"


def _causes(deviations: Sequence[Result]) -> Iterator[str]:
    groups = explained(deviations)
    if not groups:
        return
    yield "### Causes\n"
    rows = [
        [
            marked.code(group.implementation),
            str(len(group.results)),
            marked.text(group.what),
            ", ".join(map(marked.code, group.defects)),
        ]
        for group in groups
    ]
    yield marked.table(["implementation", "cases", "what explains them", "defect"], rows)


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
    yield marked.table(["implementation", "cases", "reason", "which"], rows)


def _absent(report: Report) -> Iterator[str]:
    if report.absent:
        yield "## Not installed, not run\n"
        rows = [[marked.code(name), marked.text(needs)] for name, needs in report.absent.items()]
        yield marked.table(["implementation", "what it needs"], rows)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(marked.code, names[:_SHOWN])) + more


def _time(report: Report, grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    rows = times(grouped, report.footer["seconds"] if report.footer else None)
    total = sum(seconds for _, seconds in rows)
    if not total:
        return
    yield f"## CPU time: {total:.1f} s\n"
    cells = [[marked.text(what), f"{spent:.2f}", f"{spent / total:.0%}"] for what, spent in rows]
    yield marked.table(["", "s", "share"], cells)


def _provenance(report: Report) -> Iterator[str]:
    yield "## What ran\n"
    about: dict[str, Any] = {"suite": report.header.get("suite"), **report.header.get("machine", {})}
    threads = {name: value for name, value in report.header.get("threads", {}).items() if value}
    yield _facts(about | threads)
    packages = report.header.get("packages", {})
    for name in report.planned:
        described = {**packages.get(name, {}), **report.implementations.get(name, {})}
        if described:
            yield f"### {marked.code(name)}\n"
            yield _facts(described)


def _facts(facts: Mapping[str, Any]) -> str:
    return marked.table(["", ""], [[marked.text(key), marked.text(str(value))] for key, value in facts.items()])


def _described(detail: Mapping[str, Any]) -> str:
    rest = [f"{key}: {value}" for key, value in described(detail).items()]
    return "; ".join([str(detail.get("reason", "")), *rest])
