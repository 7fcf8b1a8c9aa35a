"""Several results files to one: the shards of a run, or runs of different implementations.

What speaks against putting them together is named, and refused unless it is allowed: rows that are there twice, parts
that are missing, versions of the suite or cases that are not the same.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.errors import UserError
from conformance.results.header import now
from conformance.results.reader import Report
from conformance.results.record import Result, counts, phases, plain

FAULTS = {
    "duplicates": "a case × implementation is in more than one file; allowed, that of the last file is kept",
    "gaps": "a shard, or a part of a run, is missing; allowed, the merged file is incomplete",
    "suite": "the files are from different versions of the suite",
    "cases": "the files are not from the same cases",
    "packages": "an implementation has different versions in different files",
}
"""What can be allowed, in the order in which it is named."""

_SHOWN = 5


@dataclass(frozen=True)
class Fault:
    """What speaks against merging.

    Attributes:
        kind: a key of ``FAULTS``.
        what: which files or rows, in a line.
    """

    kind: str
    what: str


@dataclass(frozen=True)
class Merged:
    """Several results files as one."""

    header: Mapping[str, Any]
    implementations: Mapping[str, Mapping[str, str]]
    results: Sequence[Result]
    complete: bool

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """The lines of the merged file; without its footer where it is not complete."""
        yield {"kind": "header", **self.header}
        for name, description in self.implementations.items():
            yield {"kind": "implementation", "name": name, "description": dict(description)}
        for result in self.results:
            yield {"kind": "row", **result.to_row()}
        if self.complete:
            yield {
                "kind": "footer",
                "counts": counts(self.results),
                "seconds": plain(phases(self.results)),
                "ended": now(),
            }

    def render(self) -> str:
        """The merged file as text."""
        texts = (json.dumps(line, allow_nan=False, separators=(",", ":")) for line in self.lines())
        return "".join(f"{text}\n" for text in texts)


def merge(reports: Sequence[Report], allow: Collection[str] = ()) -> tuple[Merged, list[Fault]]:
    """Puts results files together.

    Args:
        reports: the files.
        allow: keys of ``FAULTS`` that are no reason to refuse.

    Returns:
        The merged file, and what was allowed.

    Raises:
        UserError: something speaks against it that is not allowed; all of it is named.
    """
    faults = list(_faults(reports))
    refused = [fault for fault in faults if fault.kind not in allow]
    if refused:
        kinds = ",".join(kind for kind in FAULTS if any(fault.kind == kind for fault in refused))
        named = "\n".join(f"  {fault.kind}: {fault.what}" for fault in refused)
        raise UserError(f"these files are not merged:\n{named}\nto merge them all the same: --allow {kinds}")
    return _merged(reports, whole=not any(fault.kind == "gaps" for fault in faults)), faults


def _faults(reports: Sequence[Report]) -> Iterator[Fault]:
    yield from _duplicates(reports)
    yield from _gaps(reports)
    suites = {str(report.path): str(report.header.get("suite")) for report in reports}
    if len(set(suites.values())) > 1:
        yield Fault("suite", ", ".join(f"{path} is of {suite}" for path, suite in suites.items()))
    yield from _other_cases(reports)
    yield from _other_packages(reports)


def _duplicates(reports: Sequence[Report]) -> Iterator[Fault]:
    first: dict[tuple[str, str, str], Report] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for result in report.results:
            other = first.setdefault(_identity(result), report)
            if other is not report:
                twice.setdefault((str(other.path), str(report.path)), []).append(result.id)
    for (one, two), ids in twice.items():
        yield Fault("duplicates", f"{one} and {two} both have {_some(ids)}")


def _gaps(reports: Sequence[Report]) -> Iterator[Fault]:
    for report in reports:
        if not report.complete:
            planned = sum(report.planned.values())
            yield Fault("gaps", f"{report.path} is incomplete: {len(report.results)} of {planned} rows are there")
    for of, indices in sorted(_shards(reports).items()):
        missing = [f"{index}/{of}" for index in range(1, of + 1) if index not in indices]
        if missing:
            yield Fault("gaps", f"no file is of the shard {', '.join(missing)}")


def _other_cases(reports: Sequence[Report]) -> Iterator[Fault]:
    """Shards of different runs, and cases of the same name that are not the same."""
    runs: dict[str, list[str]] = {}
    for report in reports:
        shard = report.header.get("shard")
        if shard:
            what = f"the run {shard.get('cases')} in {shard['of']} shards"
            runs.setdefault(what if shard.get("cases") else f"{report.header.get('selection')!r}", []).append(
                str(report.path)
            )
    if len(runs) > 1:
        yield Fault("cases", "; ".join(f"{', '.join(paths)}: of {what}" for what, paths in runs.items()))
    keys: dict[str, tuple[str, Report]] = {}
    differ: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for result in report.results:
            key, other = keys.setdefault(result.case, (result.key, report))
            if key != result.key and other is not report:
                ids = differ.setdefault((str(other.path), str(report.path)), [])
                ids += [result.case] if result.case not in ids else []
    for (one, two), ids in differ.items():
        yield Fault("cases", f"{one} and {two} have different cases named {_some(ids)}")


def _other_packages(reports: Sequence[Report]) -> Iterator[Fault]:
    found: dict[str, dict[str, list[str]]] = {}
    for report in reports:
        for name, packages in report.header.get("packages", {}).items():
            versions = ", ".join(f"{package} {version}" for package, version in packages.items())
            found.setdefault(name, {}).setdefault(versions, []).append(str(report.path))
    for name, by_version in found.items():
        if len(by_version) > 1:
            said = "; ".join(f"{versions or 'none'} in {', '.join(paths)}" for versions, paths in by_version.items())
            yield Fault("packages", f"{name} has {said}")


def _merged(reports: Sequence[Report], whole: bool) -> Merged:
    defects = list(dict.fromkeys(each for report in reports for each in report.header.get("defects", ())))
    rows: dict[tuple[str, str, str], Result] = {}
    for report in reports:
        own = report.header.get("defects", [])
        for result in report.results:
            rows[_identity(result)] = result if own == defects else _seen_as(result, own, defects)
    planned = _planned(reports, rows.values())
    places = {name: place for place, name in enumerate(planned)}
    results = sorted(rows.values(), key=lambda result: places[result.implementation])
    described = {name: text for report in reports for name, text in report.implementations.items()}
    return Merged(_header(reports, planned, defects), described, results, whole)


def _planned(reports: Sequence[Report], rows: Collection[Result]) -> dict[str, int]:
    """How many rows each implementation should have: as the whole run says, or all parts together."""
    wholes = [report.header.get("shard", {}).get("planned") for report in reports]
    if all(wholes) and all(whole == wholes[0] for whole in wholes):
        return dict(wholes[0])
    sums: Counter[str] = Counter()
    for report in reports:
        absent = Counter(report.planned)
        absent.subtract(result.implementation for result in report.results)
        sums.update({name: max(0, number) for name, number in absent.items()})
    sums.update(result.implementation for result in rows)
    return dict(sums)


def _header(reports: Sequence[Report], planned: Mapping[str, int], defects: Sequence[str]) -> dict[str, Any]:
    first = dict(reports[0].header)
    for own in ("kind", "shard"):
        first.pop(own, None)
    controls: dict[str, str] = {}
    for report in reports:
        for name, status in report.header.get("controls", {}).items():
            # One that was not found out anywhere makes all of it void.
            controls[name] = status if controls.get(name, "fail") == "fail" else controls[name]
    selections = dict.fromkeys(str(report.header.get("selection") or "everything") for report in reports)
    there = {name.partition("@")[0] for name in planned}
    began = sorted(report.header["began"] for report in reports if report.began)
    return (
        first
        | {
            "planned": dict(planned),
            "packages": {
                name: found for report in reports for name, found in report.header.get("packages", {}).items()
            },
            "specs": {name: spec for report in reports for name, spec in report.specs.items()},
            "defects": list(defects),
            "controls": controls,
            "selection": "; ".join(selections) if list(selections) != ["everything"] else "",
            "absent": {name: needs for report in reports for name, needs in report.absent.items() if name not in there},
            "cases": "",
            "merged": [
                {
                    "file": report.path.name,
                    **{part: report.header.get(part) for part in ("suite", "machine", "threads", "shard", "selection")},
                }
                for report in reports
            ],
        }
        | ({"began": began[0]} if began else {})
    )


def _seen_as(result: Result, own: Sequence[str], defects: Sequence[str]) -> Result:
    """A row whose bits stand over another list of defects."""
    if result.detects is None:
        return result
    mask, bits = int(result.detected or "0", 16), 0
    for bit, defect in enumerate(own):
        bits |= (mask >> bit & 1) << defects.index(defect)
    return replace(result, detected=f"{bits:x}")


def _shards(reports: Sequence[Report]) -> dict[int, set[int]]:
    """How many shards there should be, to which of them there are."""
    found: dict[int, set[int]] = {}
    for report in reports:
        if shard := report.header.get("shard"):
            found.setdefault(shard["of"], set()).add(shard["index"])
    return found


def _identity(result: Result) -> tuple[str, str, str]:
    return result.case, result.key, result.implementation


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
