"""The comparison of two runs on a terminal of 80 columns, as Markdown, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.reports import marked
from conformance.reports.explain import wrapped
from conformance.results.compare import KIND_TITLES, KINDS, Change, Comparison, Drift, Kind
from conformance.results.reader import Report
from conformance.results.record import plain
from conformance.results.summary import format_error_ratio, incomplete_warning, invalid_warning

_SHOWN_GROUPS = 20
"""Number of groups of changes to list for each kind."""
_SHOWN_CASES = 5
_REASON_CHARACTERS = 400
_SHOWN_DRIFTS = 10
_SHOWN_DEFECTS = 12


def lines(comparison: Comparison, met: Sequence[str] = ()) -> Iterator[str]:
    """Yields the lines of a comparison for a terminal.

    Args:
        comparison: the comparison.
        met: one line for each condition of ``--fail-on`` that is met.
    """
    for which, report in (("old", comparison.old), ("new", comparison.new)):
        yield f"{which}  {_about(report)}"
    for warning in _warnings(comparison):
        yield wrapped(warning, "")
    for kind in KINDS:
        yield from _kind_lines(kind, comparison.of(kind))
    yield from _drift_lines(comparison.drifts)
    if comparison.lost_power:
        yield "\nlost power: defects that passed cases no longer detect"
        for name, ids in comparison.lost_power.items():
            yield wrapped(f"{name}: {_listed_defects(ids)}", "  ")
    if comparison.provenance:
        yield f"\nchanged provenance: {len(comparison.provenance)}"
        for fact in comparison.provenance:
            yield wrapped(f"{fact.what}: {fact.old or 'none'} → {fact.new or 'none'}", "  ")
    yield "\n" + wrapped(tally(comparison), "")
    for reason in met:
        yield wrapped(f"FAILED on {reason}", "")


def tally(comparison: Comparison) -> str:
    """Returns the number of changes of each kind, in one line."""
    found = {kind: len(comparison.of(kind)) for kind in KINDS}
    parts = [f"{amount} {KIND_TITLES[kind].partition(':')[0]}" for kind, amount in found.items() if amount]
    return ", ".join([*parts, f"{comparison.unchanged} unchanged"])


def markdown(comparison: Comparison, met: Sequence[str] = (), level: int = 1) -> Iterator[str]:
    """Yields the parts of a comparison as Markdown: headings, paragraphs and tables.

    Args:
        comparison: the comparison.
        met: one line for each condition of ``--fail-on`` that is met.
        level: level of the first heading.
    """
    head = "#" * level
    yield f"{head} What changed\n"
    for reason in met:
        yield f"**FAILED on {marked.text(reason)}.**\n"
    for warning in _warnings(comparison):
        yield f"**{marked.text(warning)}.**\n"
    yield f"{marked.text(tally(comparison))}.\n"
    for kind in KINDS:
        if changes := comparison.of(kind):
            yield f"{head}# {KIND_TITLES[kind].capitalize()}: {len(changes)}\n"
            rows = [
                [marked.code(name), str(len(cases)), statuses, marked.text(reason), _listed_cases(cases)]
                for (name, statuses, reason), cases in _grouped(changes).items()
            ]
            yield marked.table(["implementation", "cases", "status", "reason", "examples"], rows[:_SHOWN_GROUPS])
            if len(rows) > _SHOWN_GROUPS:
                yield f"and {len(rows) - _SHOWN_GROUPS} more groups.\n"
    changed = [drift for drift in comparison.drifts if drift.changed]
    if changed:
        yield f"{head}# Error ratio\n"
        counted = f"{len(changed)} of {len(comparison.drifts)} tensors"
        yield f"Cases that pass in both runs: the error ratio of {counted} changed.\n"
        rows = [[marked.code(drift.implementation), marked.code(drift.tensor), *_numbers(drift)] for drift in changed]
        names = ["implementation", "tensor", "cases", "old median", "new median", "old p99", "new p99", "p99 ratio"]
        yield marked.table(names, rows[:_SHOWN_DRIFTS])
    if comparison.lost_power:
        yield f"{head}# Lost power\n"
        rows = [[marked.code(name), ", ".join(map(marked.code, ids))] for name, ids in comparison.lost_power.items()]
        yield marked.table(["implementation", "defects that are no longer detected"], rows)
    if comparison.provenance:
        yield f"{head}# Changed provenance\n"
        rows = [
            [marked.text(fact.what), marked.text(fact.old), marked.text(fact.new)] for fact in comparison.provenance
        ]
        yield marked.table(["what", "old", "new"], rows)


def as_json(comparison: Comparison, met: Sequence[str] = ()) -> Mapping[str, Any]:
    """Returns the whole comparison as JSON values.

    Args:
        comparison: the comparison.
        met: one line for each condition of ``--fail-on`` that is met.
    """
    content = {
        "failed_on": list(met),
        "old": _run_as_json(comparison.old),
        "new": _run_as_json(comparison.new),
        "implementations": {
            "matched": dict(comparison.matched),
            "only_old": list(comparison.only_old),
            "only_new": list(comparison.only_new),
        },
        "counts": {kind: len(comparison.of(kind)) for kind in KINDS} | {"unchanged": comparison.unchanged},
        "changes": [_change(change) for change in comparison.changes],
        "error_ratio": [
            {
                "implementation": drift.implementation, "tensor": drift.tensor, "cases": drift.cases,
                "median": drift.old[:1] + drift.new[:1], "p99": drift.old[1:] + drift.new[1:],
                "p99_ratio": drift.ratio, "widest": drift.widest,
            }
            for drift in comparison.drifts
        ],
        "lost_power": dict(comparison.lost_power),
        "provenance": [{"what": fact.what, "old": fact.old, "new": fact.new} for fact in comparison.provenance],
    }  # fmt: skip
    found: Mapping[str, Any] = plain(content)
    return found


def _about(report: Report) -> str:
    when = f", {report.began:%Y-%m-%d %H:%M}" if report.began else ""
    return f"{report.path} (suite {report.header.suite}, {len(report.results)} rows{when})"


def _run_as_json(report: Report) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "suite": report.header.suite,
        "began": report.header.began,
        "rows": len(report.results),
        "complete": report.complete,
        "invalid": report.undetected_controls,
    }


def _warnings(comparison: Comparison) -> Iterator[str]:
    for which, report in (("old", comparison.old), ("new", comparison.new)):
        for warning in filter(None, (incomplete_warning(report), invalid_warning(report))):
            yield f"the {which} run: {warning}"
    for which, names in (("old", comparison.only_old), ("new", comparison.only_new)):
        for name, results in names.items():
            deviations = sum(result.deviates for result in results)
            yield f"only in the {which} run: {name} ({len(results)} rows, {deviations} deviations)"
    if not comparison.matched:
        yield "nothing to compare: no implementation is in both runs"


def _kind_lines(kind: Kind, changes: Sequence[Change]) -> Iterator[str]:
    """Yields the changes of one kind, grouped by implementation, statuses and reason."""
    if not changes:
        return
    yield f"\n{KIND_TITLES[kind]}: {len(changes)}"
    groups = list(_grouped(changes).items())
    last = ""
    for (name, statuses, reason), cases in groups[:_SHOWN_GROUPS]:
        if name != last:
            yield f"  {name}"
            last = name
        yield wrapped(f"{statuses}{': ' if reason else ''}{reason}", " " * 4)
        yield from (f"      {case}" for case in cases[:_SHOWN_CASES])
        if len(cases) > _SHOWN_CASES:
            yield f"      and {len(cases) - _SHOWN_CASES} more cases"
    if len(groups) > _SHOWN_GROUPS:
        yield f"    and {sum(len(cases) for _, cases in groups[_SHOWN_GROUPS:])} more; --json lists all"


def _grouped(changes: Sequence[Change]) -> dict[tuple[str, str, str], list[str]]:
    """Returns the ids of the changed cases by implementation, statuses and reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        key = (change.result.implementation, change.statuses, _reason(change))
        groups.setdefault(key, []).append(change.result.case)
    return groups


def _reason(change: Change) -> str:
    """Returns the reason of the new result, or of the old result for a case that now passes."""
    now_passes = change.kind == "fixed" and change.new and change.new.status == "pass"
    shown = change.old if now_passes else change.new
    reason = shown.reason if shown else ""
    if len(reason) > _REASON_CHARACTERS:
        reason = reason[:_REASON_CHARACTERS].rstrip() + " …"
    return f"before: {reason}" if now_passes and reason else reason


def _listed_cases(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - _SHOWN_CASES} more" if len(cases) > _SHOWN_CASES else ""
    return ", ".join(map(marked.code, cases[:_SHOWN_CASES])) + more


def _drift_lines(drifts: Sequence[Drift]) -> Iterator[str]:
    changed = [drift for drift in drifts if drift.changed]
    if not changed:
        yield f"\nerror ratio: unchanged in all {len(drifts)} tensors" if drifts else "\nerror ratio: no data"
        return
    yield f"\nerror ratio of cases that pass in both runs: {len(changed)} of {len(drifts)} tensors changed"
    yield f"  {'':28}{'cases':>5}{'median':>17}{'p99':>17}"
    name = ""
    for drift in changed[:_SHOWN_DRIFTS]:
        if drift.implementation != name:
            name = drift.implementation
            yield f"  {name}"
        cases, *values, ratio = _numbers(drift)
        spans = "".join(f"{old:>8} →{new:>7}" for old, new in (values[:2], values[2:]))
        yield f"    {drift.tensor:<26}{cases:>5}{spans}  {ratio}"
    if len(changed) > _SHOWN_DRIFTS:
        yield f"    and {len(changed) - _SHOWN_DRIFTS} more with less growth; --json lists all"


def _numbers(drift: Drift) -> list[str]:
    values = (drift.old[0], drift.new[0], drift.old[1], drift.new[1])
    return [
        str(drift.cases),
        *map(format_error_ratio, values),
        f"{drift.ratio:.2f}x" if drift.ratio < 100 else f"{drift.ratio:.3g}x",
    ]


def _change(change: Change) -> dict[str, Any]:
    old, new = change.old, change.new
    return {
        "kind": change.kind,
        "implementation": change.result.implementation,
        "case": change.result.case,
        "key": change.result.key,
        "old": old and {"case": old.case, "status": old.status, "reason": old.reason, "error_ratio": old.error_ratio},
        "new": new and {"case": new.case, "status": new.status, "reason": new.reason, "error_ratio": new.error_ratio},
        "diagnosis": new.diagnosis if new else "",
    }


def _listed_defects(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN_DEFECTS} more" if len(ids) > _SHOWN_DEFECTS else ""
    return ", ".join(ids[:_SHOWN_DEFECTS]) + more
