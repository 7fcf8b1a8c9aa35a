"""Merges results files: the shards of a run, or runs of different implementations.

Files with conflicts are not merged, unless the conflicts are allowed: duplicate rows, missing parts, and different
versions of the suite, of the cases or of a framework.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.errors import UserError
from conformance.results.explanation import Explanation
from conformance.results.footer import Footer
from conformance.results.header import Header, MergedFile
from conformance.results.reader import Report
from conformance.results.record import Result

CONFLICTS = ("duplicates", "gaps", "suite", "cases", "packages")
"""Kinds of conflicts that ``--allow`` accepts. ``conformance merge --help`` explains them."""

_SHOWN_IDS = 5


@dataclass(frozen=True)
class Conflict:
    """A conflict between results files.

    Attributes:
        kind: kind of the conflict, from ``CONFLICTS``.
        what: description of the conflict, in one line.
    """

    kind: str
    what: str


@dataclass(frozen=True)
class Merged:
    """The content of a merged results file.

    Attributes:
        header: header of the merged file.
        implementations: each implementation's description of itself.
        results: rows, by implementation.
        complete: whether the file has a footer.
        explanations: explanations of failures.
        counted: number of cases of campaigns that have no row, by implementation and status.
    """

    header: Header
    implementations: Mapping[str, Mapping[str, str]]
    results: Sequence[Result]
    complete: bool
    explanations: Sequence[Explanation] = ()
    counted: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yields the lines of the file as JSON values."""
        yield {"kind": "header", **self.header.as_json()}
        for name, description in self.implementations.items():
            yield {"kind": "implementation", "name": name, "description": dict(description)}
        for result in self.results:
            yield {"kind": "row", **result.to_row()}
        for explanation in self.explanations:
            yield {"kind": "explanation", **explanation.to_row()}
        for (name, status), cases in self.counted.items():
            yield {"kind": "counted", "implementation": name, "status": status, "cases": cases}
        if self.complete:
            yield {"kind": "footer", **Footer.of(self.results).model_dump()}

    def render(self) -> str:
        """Returns the file as text."""
        texts = (json.dumps(line, allow_nan=False, separators=(",", ":")) for line in self.lines())
        return "".join(f"{text}\n" for text in texts)


def merge(reports: Sequence[Report], allow: Collection[str] = ()) -> tuple[Merged, list[Conflict]]:
    """Merges results files.

    Of duplicate rows, the row of the last file is kept. If there is a gap, the merged file is incomplete.

    Args:
        reports: results files.
        allow: kinds of conflicts to allow.

    Returns:
        The merged file and the allowed conflicts.

    Raises:
        UserError: there are conflicts that are not allowed; the message lists all of them.
    """
    conflicts = list(_conflicts(reports))
    refused = [conflict for conflict in conflicts if conflict.kind not in allow]
    if refused:
        kinds = ",".join(kind for kind in CONFLICTS if any(conflict.kind == kind for conflict in refused))
        named = "\n".join(f"  {conflict.kind}: {conflict.what}" for conflict in refused)
        raise UserError(f"cannot merge these files:\n{named}\nUse `--allow {kinds}` to merge anyway.")
    return _merged(reports, complete=all(conflict.kind != "gaps" for conflict in conflicts)), conflicts


def _conflicts(reports: Sequence[Report]) -> Iterator[Conflict]:
    yield from _duplicates(reports)
    yield from _gaps(reports)
    suites = {str(report.path): str(report.header.suite) for report in reports}
    if len(set(suites.values())) > 1:
        yield Conflict("suite", ", ".join(f"{path} has version {suite}" for path, suite in suites.items()))
    yield from _different_runs(reports)
    yield from _different_cases(reports)
    yield from _different_packages(reports)


def _duplicates(reports: Sequence[Report]) -> Iterator[Conflict]:
    first: dict[tuple[str, str, str], Report] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for result in report.results:
            other = first.setdefault(result.identity, report)
            if other is not report:
                twice.setdefault((str(other.path), str(report.path)), []).append(result.id)
    for (one, two), ids in twice.items():
        yield Conflict("duplicates", f"{one} and {two} both contain {_listed(ids)}")


def _gaps(reports: Sequence[Report]) -> Iterator[Conflict]:
    for report in reports:
        if not report.complete:
            planned = sum(report.planned.values())
            yield Conflict("gaps", f"{report.path} is incomplete: it has {len(report.results)} of {planned} rows")
    indices: dict[int, set[int]] = {}
    for report in reports:
        if shard := report.header.shard:
            indices.setdefault(shard.of, set()).add(shard.index)
    for of, found in sorted(indices.items()):
        missing = [f"{index}/{of}" for index in range(1, of + 1) if index not in found]
        if missing:
            yield Conflict("gaps", f"missing {'shard' if len(missing) == 1 else 'shards'} {', '.join(missing)}")


def _different_runs(reports: Sequence[Report]) -> Iterator[Conflict]:
    """Yields a conflict if the files are shards of different runs."""
    runs: dict[str, list[str]] = {}
    for report in reports:
        if shard := report.header.shard:
            run = f"run {shard.cases} in {shard.of} shards" if shard.cases else f"{report.header.selection!r}"
            runs.setdefault(run, []).append(str(report.path))
    if len(runs) > 1:
        shown = "; ".join(f"{', '.join(paths)}: {run}" for run, paths in runs.items())
        yield Conflict("cases", f"shards of different runs: {shown}")


def _different_cases(reports: Sequence[Report]) -> Iterator[Conflict]:
    """Yields a conflict for each two files that have different cases of the same name."""
    keys: dict[str, tuple[str, Report]] = {}
    differ: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for result in report.results:
            key, other = keys.setdefault(result.case, (result.key, report))
            if key != result.key and other is not report:
                ids = differ.setdefault((str(other.path), str(report.path)), [])
                ids += [result.case] if result.case not in ids else []
    for (one, two), ids in differ.items():
        yield Conflict("cases", f"{one} and {two} have different cases named {_listed(ids)}")


def _different_packages(reports: Sequence[Report]) -> Iterator[Conflict]:
    found: dict[str, dict[str, list[str]]] = {}
    for report in reports:
        for name, packages in report.header.packages.items():
            versions = ", ".join(f"{package} {version}" for package, version in packages.items())
            found.setdefault(name, {}).setdefault(versions, []).append(str(report.path))
    for name, by_version in found.items():
        if len(by_version) > 1:
            shown = "; ".join(f"{versions or 'none'} in {', '.join(paths)}" for versions, paths in by_version.items())
            yield Conflict("packages", f"{name} has {shown}")


def _merged(reports: Sequence[Report], complete: bool) -> Merged:
    defects = tuple(dict.fromkeys(each for report in reports for each in report.header.defects))
    rows: dict[tuple[str, str, str], Result] = {}
    for report in reports:
        own = report.header.defects
        for result in report.results:
            rows[result.identity] = result if own == defects else _convert_detected(result, own, defects)
    planned = _planned(reports, rows.values())
    places = {name: place for place, name in enumerate(planned)}
    results = sorted(rows.values(), key=lambda result: places[result.implementation])
    described = {name: text for report in reports for name, text in report.implementations.items()}
    explanations = [explanation for report in reports for explanation in report.explanations]
    counted: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for name, statuses in report.counted.items():
            counted.update({(name, status): cases for status, cases in statuses.items()})
    return Merged(_header(reports, planned, defects), described, results, complete, explanations, counted)


def _planned(reports: Sequence[Report], rows: Collection[Result]) -> dict[str, int]:
    """Returns the number of planned rows by implementation: of the whole run if known, else summed over the files."""
    wholes = [report.header.shard.planned if report.header.shard else {} for report in reports]
    if all(wholes) and all(whole == wholes[0] for whole in wholes):
        return dict(wholes[0])
    sums: Counter[str] = Counter()
    for report in reports:
        absent = Counter(report.planned)
        absent.subtract(result.implementation for result in report.results)
        sums.update({name: max(0, number) for name, number in absent.items()})
    sums.update(result.implementation for result in rows)
    return dict(sums)


def _header(reports: Sequence[Report], planned: Mapping[str, int], defects: tuple[str, ...]) -> Header:
    headers = [report.header for report in reports]
    controls: dict[str, str] = {}
    for header in headers:
        for name, status in header.controls.items():
            # A control that one of the runs did not detect makes the merged run invalid.
            controls[name] = status if controls.get(name, "fail") == "fail" else controls[name]
    selections = dict.fromkeys(header.selection or "everything" for header in headers)
    present = {name.partition("@")[0] for name in planned}
    merged = (
        MergedFile(file=report.path.name, **_fields(report.header, "suite", "machine", "threads", "shard", "selection"))
        for report in reports
    )
    return Header(
        planned=planned,
        **_fields(headers[0], "suite", "machine", "threads"),
        began=min(filter(None, (header.began for header in headers)), default=None),
        packages={name: versions for header in headers for name, versions in header.packages.items()},
        specs={name: spec for header in headers for name, spec in header.specs.items()},
        defects=defects,
        controls=controls,
        selection="; ".join(selections) if list(selections) != ["everything"] else "",
        lacking={worker: reasons for header in headers for worker, reasons in header.lacking.items()},
        absent={name: needs for header in headers for name, needs in header.absent.items() if name not in present},
        merged=tuple(merged),
    )


def _fields(header: Header, *names: str) -> dict[str, Any]:
    return {name: getattr(header, name) for name in names}


def _convert_detected(result: Result, own: Sequence[str], defects: Sequence[str]) -> Result:
    """Converts a row's bits of detected defects from the list of its own file to the list ``defects``."""
    if result.detects is None:
        return result
    mask, bits = int(result.detected or "0", 16), 0
    for bit, defect in enumerate(own):
        bits |= (mask >> bit & 1) << defects.index(defect)
    return replace(result, detected=f"{bits:x}")


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(ids[:_SHOWN_IDS]) + more
