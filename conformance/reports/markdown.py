"""Results as Markdown: the summary first, then what deviates, then what explains the rest."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.errors import MISSING, UserError
from conformance.reports.causes import explained
from conformance.reports.summary import (
    LEGEND,
    by_implementation,
    dtypes,
    headrooms,
    number,
    rerun,
    sees,
    table,
    times,
    void,
)
from conformance.results import Report, Result, counts

DETAILED = 100
"""Deviations that are shown with all their details; a report with thousands could not be opened."""

_SHOWN_CASES = 5


def write(path: Path, report: Report, specs: Mapping[str, str] | None = None) -> None:
    """Writes the report, whole or not at all.

    Args:
        path: where to.
        report: the results.
        specs: how implementations are named on the command line, where that is not their name.

    Raises:
        UserError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(render(report, specs), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING) from error


def render(report: Report, specs: Mapping[str, str] | None = None) -> str:
    """The report as text."""
    grouped = by_implementation(report.results, report.planned)
    return "\n".join(
        [
            *_head(report),
            *_features(grouped),
            *_headrooms(report.results),
            *_sees(report),
            *_deviations(report.results, specs or {}),
            *_reasons("Known divergences", "known", report.results),
            *_reasons("Unsupported", "unsupported", report.results),
            *_reasons("Not run", "not-run", report.results),
            *_time(report, grouped),
            *_provenance(report),
        ]
    )


def _head(report: Report) -> Iterator[str]:
    yield "# LSTM conformance\n"
    ran, planned = len(report.results), sum(report.planned.values())
    if not report.complete:
        yield f"**INCOMPLETE: the run was cut short; {ran} of {planned} results are there.**\n"
    if report.void:
        yield f"**{_text(void(report))}.**\n"
    found = counts(report.results)
    yield (", ".join(f"{amount} {status}" for status, amount in found.items()) or "Nothing ran.") + "\n"
    if report.header.get("selection"):
        yield f"Selected by: {_code(report.header['selection'])}\n"


def _features(grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    yield "## Conforming cases by feature\n"
    rows = [[name, *map(str, cells.values())] for name, cells in table(grouped).items()]
    yield _table(["feature", *map(_code, grouped)], rows)
    yield f"{LEGEND}.\n"


def _headrooms(results: Sequence[Result]) -> Iterator[str]:
    largest = headrooms(results)
    if not largest:
        return
    yield "## Largest headroom\n"
    yield "The largest deviation from the reference, in units of the rounding budget: up to 1 conforms.\n"
    columns = dtypes(largest)
    names = list(dict.fromkeys(name for name, _ in largest))
    rows = [[_code(name), *(number(largest.get((name, dtype))) for dtype in columns)] for name in names]
    yield _table(["implementation", *columns], rows)


def _sees(report: Report) -> Iterator[str]:
    found = sees(report)
    if not found:
        return
    yield "## What the passed checks would have caught\n"
    yield "Of the defects in the suite's catalogue; `conformance power` explains them.\n"
    rows = [[_code(name), str(each), ", ".join(map(_code, each.missed))] for name, each in found.items()]
    yield _table(["implementation", "sees", "does not see"], rows)


def _deviations(results: Sequence[Result], specs: Mapping[str, str]) -> Iterator[str]:
    deviations = [result for result in results if result.deviates]
    if not deviations:
        return
    yield "## Deviations\n"
    yield from _causes(deviations)
    for result in deviations[:DETAILED]:
        yield f"### {result.status}: {_code(result.id)}\n"
        yield f"{_text(result.reason)}\n"
        if result.diagnosis:
            yield f"Diagnosis: {_text(result.diagnosis)}\n"
        if result.details:
            rows = [
                [_code(name), number(result.tensors.get(name)), _text(_described(detail))]
                for name, detail in result.details.items()
            ]
            yield _table(["tensor", "headroom", "what"], rows)
        if result.traceback:
            yield _block(result.traceback)
        yield _block("\n".join(rerun(result, specs.get(result.implementation, ""))))
    if len(deviations) > DETAILED:
        yield f"and {len(deviations) - DETAILED} more, in the results file.\n"


def _causes(deviations: Sequence[Result]) -> Iterator[str]:
    groups = explained(deviations)
    if not groups:
        return
    yield "### Causes\n"
    rows = [
        [_code(group.implementation), str(len(group.results)), _text(group.what), ", ".join(map(_code, group.defects))]
        for group in groups
    ]
    yield _table(["implementation", "cases", "what explains them", "defect"], rows)


def _reasons(title: str, status: str, results: Sequence[Result]) -> Iterator[str]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.status == status:
            grouped.setdefault((result.implementation, result.reason), []).append(result.case)
    if not grouped:
        return
    yield f"## {title}\n"
    rows = []
    for (name, reason), cases in grouped.items():
        more = f" and {len(cases) - _SHOWN_CASES} more" if len(cases) > _SHOWN_CASES else ""
        rows.append([_code(name), str(len(cases)), _text(reason), ", ".join(map(_code, cases[:_SHOWN_CASES])) + more])
    yield _table(["implementation", "cases", "reason", "which"], rows)


def _time(report: Report, grouped: Mapping[str, Sequence[Result]]) -> Iterator[str]:
    rows = times(grouped, report.footer["seconds"] if report.footer else None)
    total = sum(seconds for _, seconds in rows)
    if not total:
        return
    yield f"## CPU time: {total:.1f} s\n"
    yield _table(["", "s", "share"], [[what, f"{spent:.2f}", f"{spent / total:.0%}"] for what, spent in rows])


def _provenance(report: Report) -> Iterator[str]:
    yield "## What ran\n"
    about: dict[str, Any] = {"suite": report.header.get("suite"), **report.header.get("machine", {})}
    threads = {name: value for name, value in report.header.get("threads", {}).items() if value}
    yield _table(["", ""], [[key, _text(str(value))] for key, value in (about | threads).items()])
    packages = report.header.get("packages", {})
    for name in report.planned:
        described = {**packages.get(name, {}), **report.implementations.get(name, {})}
        if described:
            yield f"### {_code(name)}\n"
            yield _table(["", ""], [[key, _text(str(value))] for key, value in described.items()])


def _described(detail: Mapping[str, Any]) -> str:
    rest = [f"{key}: {value}" for key, value in detail.items() if key != "reason"]
    return "; ".join([str(detail.get("reason", "")), *rest])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _code(text: str) -> str:
    """Between back quotes; whatever it holds stays within one cell of a table."""
    return f"`{' '.join(text.split()).replace('|', chr(92) + '|').replace('`', chr(39))}`"


def _text(text: str) -> str:
    """Plain words: no HTML, no table cells, no links out of what an implementation said."""
    flat = " ".join(text.split())
    for character in "\\`*_[]<>|#":
        flat = flat.replace(character, "\\" + character)
    return flat


def _block(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"
