"""Converts a results file to the JSON that the page contains: columns instead of rows, and each text once.

``overview`` is the data of the matrix and the lists. ``details`` is the data that only the view of a single result
shows. The page decodes it when such a view is first opened, so that a page with many results opens quickly.
"""

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from conformance.cases.features import FEATURES
from conformance.defects.catalogue import CATALOGUE
from conformance.known import divergences as known
from conformance.reports.causes import group_by_cause
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, NOT_RUN, STATUSES, Result, phases, plain
from conformance.results.summary import by_implementation, detection, dtypes, user_file

_WORST_ELEMENT = frozenset({"index", "where", "expected", "expected_hex", "got", "got_hex", "budget"})
"""Fields of a tensor's detail that describe its worst element."""


class Values:
    """Distinct values, numbered in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        """Returns the number of a value. Adds the value if it is new."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def all(self) -> list[Any]:
        """All values, sorted by number."""
        return list(self._numbers)


def overview(report: Report) -> dict[str, Any]:
    """Returns facts about the run and its implementations, and the columns of cases and rows, as JSON values."""
    present = {feature for result in report.results for feature in result.features}
    features = [feature for feature in FEATURES if feature in present]
    features += sorted(present - set(FEATURES))
    texts = {name: Values() for name in ("reasons", "detected", "unchecked", "tags", "features", "dtypes")}
    return {
        "suite": report.header.suite,
        "machine": report.header.machine,
        "threads": {name: value for name, value in report.header.threads.items() if value},
        "selection": report.header.selection,
        "complete": report.complete,
        "planned": sum(report.planned.values()),
        "invalid": report.undetected_controls,
        "absent": report.header.absent,
        "own_files": sorted({file for case in {result.case for result in report.results} if (file := user_file(case))}),
        "statuses": STATUSES,
        "deviations": sorted(DEVIATIONS),
        "not_run": sorted(NOT_RUN),
        "feature_names": features,
        "dtype_names": dtypes((result.implementation, result.dtype) for result in report.results),
        "defects": len(report.header.defects),
        "implementations": _implementations(report),
        "causes": _causes(report),
        "divergences": _divergences(report.results),
        "cases": _cases(report.results, texts),
        "rows": _rows(report, texts),
        "texts": {name: each.all for name, each in texts.items()},
    }


def details(report: Report) -> dict[str, Any]:
    """Returns the data of the views of single results as JSON values: columns of the rows, and options of the cases."""
    names, profiles = Values(), Values()
    places, deviating = _deviating(report.results)
    return {
        "options": [plain(result.options) for result in _first_of_each_case(report.results)],
        "names": [names.number(tuple(result.tensors)) for result in report.results],
        "error_ratios": [[_short(value) for value in result.tensors.values()] for result in report.results],
        "rows": {
            str(row): shown for row, result in enumerate(report.results) if (shown := _row_details(result, places[row]))
        },
        "deviating": deviating,
        "profile": [profiles.number(result.profile) for result in report.results],
        "tensors": names.all,
        "profiles": profiles.all,
    }


def _implementations(report: Report) -> list[dict[str, Any]]:
    power = detection(report)
    descriptions = {defect.id: defect.what for defect in CATALOGUE}
    found = []
    for name, results in by_implementation(report.results, report.planned).items():
        detected = power.get(name)
        found.append(
            {
                "name": name,
                "spec": report.header.specs.get(name, name),
                "planned": report.planned.get(name),
                "versions": report.header.packages.get(name, {}),
                "description": report.implementations.get(name, {}),
                "counted": report.counted.get(name, {}),
                "seconds": plain(phases(results)),
                "measured": detected.how if detected else "",
                "missed": [[each, descriptions.get(each, "")] for each in detected.missed] if detected else None,
            }
        )
    return found


def _causes(report: Report) -> list[dict[str, Any]]:
    places = {id(result): place for place, result in enumerate(report.results)}
    return [
        {
            "implementation": group.implementation,
            "what": group.what,
            "facts": group.facts,
            "responses": group.explanation and group.explanation.to_row().get("responses"),
            "defects": group.defects,
            "rows": [places[id(result)] for result in group.results],
        }
        for group in group_by_cause(report.results, report.explanations)
    ]


def _divergences(results: Iterable[Result]) -> dict[str, dict[str, str]]:
    """Returns the known divergences that the rows refer to and that this version of the suite has, by id."""
    reasons = [result.reason.split(":")[0] for result in results if result.status in ("known", "fixed")]
    named = {words.split(" ")[0] for ids in reasons for words in ids.split(" and ")}
    return {
        entry.id: {"what": entry.what, "reason": entry.reason, "upstream": entry.upstream, "versions": entry.versions}
        for entry in known.shipped()
        if entry.id in named
    }


def _first_of_each_case(results: Iterable[Result]) -> list[Result]:
    return list({(result.case, result.key): result for result in reversed(list(results))}.values())[::-1]


def _cases(results: Sequence[Result], texts: Mapping[str, Values]) -> dict[str, list[Any]]:
    cases = _first_of_each_case(results)
    return {
        "id": [case.case for case in cases],
        "key": [case.key for case in cases],
        "line": [case.line for case in cases],
        "dtype": [texts["dtypes"].number(case.dtype) for case in cases],
        "tags": [texts["tags"].number(case.tags) for case in cases],
        "features": [texts["features"].number(case.features) for case in cases],
    }


def _rows(report: Report, texts: Mapping[str, Values]) -> dict[str, list[Any]]:
    results = report.results
    cases = {(case.case, case.key): place for place, case in enumerate(_first_of_each_case(results))}
    names = {name: place for place, name in enumerate(by_implementation(results, report.planned))}
    return {
        "case": [cases[result.case, result.key] for result in results],
        "implementation": [names[result.implementation] for result in results],
        "status": [STATUSES.index(result.status) for result in results],
        "error_ratio": [_short(result.error_ratio) for result in results],
        "reason": [texts["reasons"].number(result.reason) for result in results],
        "detected": [
            texts["detected"].number(result.detected if result.detects is not None else None) for result in results
        ],
        "unchecked": [texts["unchecked"].number(tuple(result.unchecked)) for result in results],
    }


def _row_details(result: Result, places: Mapping[str, int]) -> dict[str, Any]:
    values = {
        "details": places,
        "diagnosis": result.diagnosis,
        "causes": plain(result.causes),
        "notes": list(result.notes),
        "traceback": result.traceback,
        "unchecked": plain(result.unchecked),
    }
    return {name: value for name, value in values.items() if value}


def _deviating(results: Sequence[Result]) -> tuple[list[dict[str, int]], Any]:
    """Collects the details of deviating tensors.

    Implementations often deviate in the same way, so equal details are stored once. They are sorted by case, because
    similar neighbours compress better.

    Returns:
        The numbers of the details of each row by tensor, and the distinct details as columns, indexed by number.
    """
    distinct = Values()
    places: list[dict[str, int]] = [{} for _ in results]
    for row in sorted(range(len(results)), key=lambda row: results[row].case):
        details = plain(results[row].details)
        places[row] = {name: distinct.number(json.dumps(_shown(detail))) for name, detail in details.items()}
    return places, _columns([json.loads(text) for text in distinct.all])


def _shown(detail: dict[str, Any]) -> dict[str, Any]:
    """Returns a tensor's detail without the fields of its worst element, if the evidence contains them too."""
    if not detail.get("evidence"):
        return detail
    return {name: value for name, value in detail.items() if name not in _WORST_ELEMENT}


def _columns(values: list[Any]) -> Any:
    """Converts a list of records to columns, with None for missing values. Other lists are returned unchanged."""
    if not any(values) or not all(value is None or isinstance(value, dict) for value in values):
        return values
    names = dict.fromkeys(name for value in values if value for name in value)
    return {name: _columns([(value or {}).get(name) for value in values]) for name in names}


def _short(error_ratio: float | None) -> float | str | None:
    """Rounds an error ratio to three digits. A ratio above 1 is never rounded to 1."""
    if error_ratio is None:
        return None
    if not math.isfinite(error_ratio):
        return str(error_ratio)
    short = float(f"{error_ratio:.3g}")
    return 1.01 if short == 1 and error_ratio > 1 else short
