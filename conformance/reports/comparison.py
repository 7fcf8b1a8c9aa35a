"""What changed between two runs: in words of 80 columns, as Markdown, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.reports import marked
from conformance.reports.explain import wrapped
from conformance.results.compare import KINDS, WORDS, Change, Comparison, Drift, Kind
from conformance.results.reader import Report
from conformance.results.record import plain
from conformance.results.summary import invalid, number, unfinished

_ROWS = 20
"""Changes of one kind that are told; how many there are is always said."""
_CASES = 5
_REASON = 400
_DRIFTS = 10


def lines(comparison: Comparison, met: Sequence[str] = ()) -> Iterator[str]:
    """The comparison for a terminal.

    Args:
        comparison: the two runs.
        met: why it is failed.
    """
    for which, report in (("old", comparison.old), ("new", comparison.new)):
        yield f"{which}  {_about(report)}"
    for warning in _warnings(comparison):
        yield wrapped(warning, "")
    for kind in KINDS:
        yield from _kind_lines(kind, comparison.of(kind))
    yield from _drift_lines(comparison.drifts)
    if comparison.lost_power:
        yield "\nlost power: defects that passed checks saw before, and see no longer"
        for name, ids in comparison.lost_power.items():
            yield wrapped(f"{name}: {_some(ids)}", "  ")
    if comparison.provenance:
        yield f"\nchanged provenance: {len(comparison.provenance)}"
        for fact in comparison.provenance:
            yield wrapped(f"{fact.what}: {_shown(fact.old)} → {_shown(fact.new)}", "  ")
    yield "\n" + wrapped(tally(comparison), "")
    for reason in met:
        yield wrapped(f"FAILED on {reason}", "")


def tally(comparison: Comparison) -> str:
    """How many rows became what."""
    found = {kind: len(comparison.of(kind)) for kind in KINDS}
    parts = [f"{amount} {WORDS[kind].partition(':')[0]}" for kind, amount in found.items() if amount]
    return ", ".join([*parts, f"{comparison.same} unchanged"])


def markdown(comparison: Comparison, met: Sequence[str] = (), level: int = 1) -> Iterator[str]:
    """The same as Markdown, in parts that stand alone.

    Args:
        comparison: the two runs.
        met: why it is failed.
        level: of the first heading.
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
            yield f"{head}# {WORDS[kind].capitalize()}: {len(changes)}\n"
            rows = [
                [marked.code(name), str(len(cases)), statuses, marked.text(reason), _few(cases)]
                for (name, statuses, reason), cases in _grouped(changes).items()
            ]
            yield marked.table(["implementation", "cases", "status", "why", "which"], rows[:_ROWS])
            if len(rows) > _ROWS:
                yield f"and {len(rows) - _ROWS} more such groups.\n"
    moved = [drift for drift in comparison.drifts if drift.moved]
    if moved:
        yield f"{head}# Error ratio\n"
        yield f"Of cases that pass in both runs; {len(moved)} of {len(comparison.drifts)} tensors moved.\n"
        rows = [[marked.code(drift.implementation), marked.code(drift.tensor), *_numbers(drift)] for drift in moved]
        names = ["implementation", "tensor", "cases", "median, old", "new", "p99, old", "new", "p99 grew"]
        yield marked.table(names, rows[:_DRIFTS])
    if comparison.lost_power:
        yield f"{head}# Lost power\n"
        rows = [[marked.code(name), ", ".join(map(marked.code, ids))] for name, ids in comparison.lost_power.items()]
        yield marked.table(["implementation", "defects no longer detected"], rows)
    if comparison.provenance:
        yield f"{head}# Changed provenance\n"
        rows = [
            [marked.text(fact.what), marked.text(fact.old), marked.text(fact.new)] for fact in comparison.provenance
        ]
        yield marked.table(["what", "old", "new"], rows)


def as_json(comparison: Comparison, met: Sequence[str] = ()) -> Mapping[str, Any]:
    """The same as JSON values, with nothing left out."""
    content = {
        "failed_on": list(met),
        "old": _header(comparison.old),
        "new": _header(comparison.new),
        "implementations": {
            "matched": dict(comparison.matched), "only_old": list(comparison.gone), "only_new": list(comparison.came)
        },
        "counts": {kind: len(comparison.of(kind)) for kind in KINDS} | {"unchanged": comparison.same},
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
    return f"{report.path} (suite {report.header.get('suite')}, {len(report.results)} rows{when})"


def _header(report: Report) -> dict[str, Any]:
    return {
        "path": str(report.path),
        "suite": report.header.get("suite"),
        "began": report.header.get("began"),
        "rows": len(report.results),
        "complete": report.complete,
        "invalid": report.undetected_controls,
    }


def _warnings(comparison: Comparison) -> Iterator[str]:
    for which, report in (("old", comparison.old), ("new", comparison.new)):
        for warning in filter(None, (unfinished(report), invalid(report))):
            yield f"the {which} run: {warning}"
    for which, names in (("old", comparison.gone), ("new", comparison.came)):
        for name, results in names.items():
            deviations = sum(result.deviates for result in results)
            yield f"only in the {which} run: {name}, {len(results)} rows, {deviations} of them deviate"
    if not comparison.matched:
        yield "no implementation is in both runs: nothing can be compared"


def _kind_lines(kind: Kind, changes: Sequence[Change]) -> Iterator[str]:
    """The changes of one kind, those together that have the same reason."""
    if not changes:
        return
    yield f"\n{WORDS[kind]}: {len(changes)}"
    groups = list(_grouped(changes).items())
    last = ""
    for (name, statuses, reason), cases in groups[:_ROWS]:
        if name != last:
            yield f"  {name}"
            last = name
        yield wrapped(f"{statuses}{': ' if reason else ''}{reason}", " " * 4)
        yield from (f"      {case}" for case in cases[:_CASES])
        if len(cases) > _CASES:
            yield f"      and {len(cases) - _CASES} more cases"
    if len(groups) > _ROWS:
        yield f"    and {sum(len(cases) for _, cases in groups[_ROWS:])} more; --json names all"


def _grouped(changes: Sequence[Change]) -> dict[tuple[str, str, str], list[str]]:
    """Implementation, statuses and reason to cases."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for change in changes:
        key = (change.result.implementation, change.statuses, _why(change))
        groups.setdefault(key, []).append(change.result.case)
    return groups


def _why(change: Change) -> str:
    """The reason of the new result; of a row that is mended, that of the old one."""
    mended = change.kind == "fixed" and change.new and change.new.status == "pass"
    of = change.old if mended else change.new
    reason = of.reason if of else ""
    if len(reason) > _REASON:
        reason = reason[:_REASON].rstrip() + " …"
    return f"it was: {reason}" if mended and reason else reason


def _few(cases: Sequence[str]) -> str:
    more = f" and {len(cases) - _CASES} more" if len(cases) > _CASES else ""
    return ", ".join(map(marked.code, cases[:_CASES])) + more


def _drift_lines(drifts: Sequence[Drift]) -> Iterator[str]:
    moved = [drift for drift in drifts if drift.moved]
    if not moved:
        yield f"\nerror ratio: the same in all {len(drifts)} tensors" if drifts else "\nerror ratio: no data"
        return
    yield f"\nerror ratio of cases that pass in both runs: {len(moved)} of {len(drifts)} tensors moved"
    yield f"  {'':28}{'cases':>5}{'median':>17}{'p99':>17}"
    name = ""
    for drift in moved[:_DRIFTS]:
        if drift.implementation != name:
            name = drift.implementation
            yield f"  {name}"
        cases, *values, ratio = _numbers(drift)
        spans = "".join(f"{old:>8} →{new:>7}" for old, new in (values[:2], values[2:]))
        yield f"    {drift.tensor:<26}{cases:>5}{spans}  {ratio}"
    if len(moved) > _DRIFTS:
        yield f"    and {len(moved) - _DRIFTS} more that grew less; --json names all"


def _numbers(drift: Drift) -> list[str]:
    values = (drift.old[0], drift.new[0], drift.old[1], drift.new[1])
    return [
        str(drift.cases),
        *map(number, values),
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


def _some(ids: Sequence[str], shown: int = 12) -> str:
    more = f" and {len(ids) - shown} more" if len(ids) > shown else ""
    return ", ".join(ids[:shown]) + more


def _shown(value: str) -> str:
    return value or "none"
