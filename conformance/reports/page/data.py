"""A results file as the page reads it: columns instead of rows, each text once.

What the first view needs is apart from what only one result's view shows, so that a page of many results opens at once.
"""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from conformance.cases.features import FEATURES
from conformance.defects.catalogue import CATALOGUE
from conformance.known import divergences as known
from conformance.reports.causes import explained
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, NOT_RUN, STATUSES, Result, phases, plain
from conformance.results.summary import by_implementation, detection, dtypes, own_file

_OF_WORST = frozenset({"index", "where", "expected", "expected_hex", "got", "got_hex", "budget"})


class Texts:
    """Values by the order in which they first came."""

    def __init__(self) -> None:
        self.places: dict[Hashable, int] = {}

    def place(self, value: Hashable) -> int:
        """A value's number."""
        return self.places.setdefault(value, len(self.places))

    @property
    def all(self) -> list[Any]:
        """The values by their numbers."""
        return list(self.places)


def overview(report: Report) -> dict[str, Any]:
    """All but what belongs to one result: columns of cases and of rows, and what implementations are."""
    present = {feature for result in report.results for feature in result.features}
    features = [feature for feature in FEATURES if feature in present]
    features += sorted(present - set(FEATURES))
    texts = {name: Texts() for name in ("reasons", "detected", "unchecked", "tags", "features", "dtypes")}
    return {
        "suite": report.header.get("suite"),
        "machine": report.header.get("machine", {}),
        "threads": {name: value for name, value in report.header.get("threads", {}).items() if value},
        "selection": report.header.get("selection", ""),
        "complete": report.complete,
        "planned": sum(report.planned.values()),
        "invalid": report.undetected_controls,
        "absent": report.absent,
        "own_files": sorted({file for result in report.results if (file := own_file(result.case))}),
        "statuses": STATUSES,
        "deviations": sorted(DEVIATIONS),
        "not_run": sorted(NOT_RUN),
        "feature_names": features,
        "dtype_names": dtypes((result.implementation, result.dtype) for result in report.results),
        "defects": len(report.header.get("defects", ())),
        "implementations": _implementations(report),
        "causes": _causes(report),
        "divergences": _divergences(report.results),
        "cases": _cases(report.results, texts),
        "rows": _rows(report, texts),
        "texts": {name: each.all for name, each in texts.items()},
    }


def details(report: Report) -> dict[str, Any]:
    """What only the view of one result shows, by row; the options of cases, by case."""
    names, profiles = Texts(), Texts()
    places, deviating = _deviating(report.results)
    return {
        "options": [plain(result.options) for result in _first_of_each_case(report.results)],
        "names": [names.place(tuple(result.tensors)) for result in report.results],
        "error_ratios": [[_short(value) for value in result.tensors.values()] for result in report.results],
        "rows": {str(row): said for row, result in enumerate(report.results) if (said := _said(result, places[row]))},
        "deviating": deviating,
        "profile": [profiles.place(result.profile) for result in report.results],
        "tensors": names.all,
        "profiles": profiles.all,
    }


def _implementations(report: Report) -> list[dict[str, Any]]:
    power = detection(report)
    words = {defect.id: defect.what for defect in CATALOGUE}
    packages = report.header.get("packages", {})
    found = []
    for name, results in by_implementation(report.results, report.planned).items():
        detected = power.get(name)
        found.append(
            {
                "name": name,
                "spec": report.specs.get(name, name),
                "planned": report.planned.get(name),
                "versions": packages.get(name, {}),
                "description": report.implementations.get(name, {}),
                "seconds": plain(phases(results)),
                "missed": [[each, words.get(each, "")] for each in detected.missed] if detected else None,
            }
        )
    return found


def _causes(report: Report) -> list[dict[str, Any]]:
    places = {id(result): place for place, result in enumerate(report.results)}
    return [
        {
            "implementation": group.implementation,
            "what": group.what,
            "defects": group.defects,
            "rows": [places[id(result)] for result in group.results],
        }
        for group in explained(result for result in report.results if result.deviates)
    ]


def _divergences(results: Iterable[Result]) -> dict[str, dict[str, str]]:
    """Those that rows name, with where to read on; one that this version of the suite has not is left out."""
    told = [result.reason.split(":")[0] for result in results if result.status in ("known", "fixed")]
    named = {words.split(" ")[0] for ids in told for words in ids.split(" and ")}
    return {
        entry.id: {"what": entry.what, "reason": entry.reason, "upstream": entry.upstream, "versions": entry.versions}
        for entry in known.shipped()
        if entry.id in named
    }


def _first_of_each_case(results: Iterable[Result]) -> list[Result]:
    return list({(result.case, result.key): result for result in reversed(list(results))}.values())[::-1]


def _cases(results: Sequence[Result], texts: Mapping[str, Texts]) -> dict[str, list[Any]]:
    cases = _first_of_each_case(results)
    return {
        "id": [case.case for case in cases],
        "key": [case.key for case in cases],
        "line": [case.line for case in cases],
        "dtype": [texts["dtypes"].place(case.dtype) for case in cases],
        "tags": [texts["tags"].place(case.tags) for case in cases],
        "features": [texts["features"].place(case.features) for case in cases],
    }


def _rows(report: Report, texts: Mapping[str, Texts]) -> dict[str, list[Any]]:
    results = report.results
    cases = {(case.case, case.key): place for place, case in enumerate(_first_of_each_case(results))}
    names = {name: place for place, name in enumerate(by_implementation(results, report.planned))}
    return {
        "case": [cases[result.case, result.key] for result in results],
        "implementation": [names[result.implementation] for result in results],
        "status": [STATUSES.index(result.status) for result in results],
        "error_ratio": [_short(result.error_ratio) for result in results],
        "reason": [texts["reasons"].place(result.reason) for result in results],
        "detected": [
            texts["detected"].place(result.detected if result.detects is not None else None) for result in results
        ],
        "unchecked": [texts["unchecked"].place(tuple(result.unchecked)) for result in results],
    }


def _said(result: Result, places: Mapping[str, int]) -> dict[str, Any]:
    said = {
        "details": places,
        "diagnosis": result.diagnosis,
        "causes": plain(result.causes),
        "notes": list(result.notes),
        "traceback": result.traceback,
        "unchecked": plain(result.unchecked),
    }
    return {name: value for name, value in said.items() if value}


def _deviating(results: Sequence[Result]) -> tuple[list[dict[str, int]], Any]:
    """What is said of tensors that deviate: for each row its places in columns, by the tensor's name.

    Implementations often err alike: what is said twice is there once, and in the order of cases, so that like stands
    by like, which compression needs.
    """
    said = Texts()
    places: list[dict[str, int]] = [{} for _ in results]
    for row in sorted(range(len(results)), key=lambda row: results[row].case):
        details = plain(results[row].details)
        places[row] = {name: said.place(json.dumps(_shown(detail))) for name, detail in details.items()}
    return places, _columns([json.loads(text) for text in said.all])


def _shown(detail: dict[str, Any]) -> dict[str, Any]:
    """Without the worst element, where that is among those of the evidence."""
    if not detail.get("evidence"):
        return detail
    return {name: value for name, value in detail.items() if name not in _OF_WORST}


def _columns(values: list[Any]) -> Any:
    """Records as columns, None where one lacks a value; anything else as it is."""
    if not any(values) or not all(value is None or isinstance(value, dict) for value in values):
        return values
    names = dict.fromkeys(name for value in values if value for name in value)
    return {name: _columns([(value or {}).get(name) for value in values]) for name in names}


def _short(error_ratio: float | None) -> float | str | None:
    """Three digits, as they are shown; never rounded onto the budget from beyond it."""
    if error_ratio is None:
        return None
    if not math.isfinite(error_ratio):
        return str(error_ratio)
    short = float(f"{error_ratio:.3g}")
    return 1.01 if short == 1 and error_ratio > 1 else short
