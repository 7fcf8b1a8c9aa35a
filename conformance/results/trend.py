"""Several runs in the order in which they began: how each implementation did over time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from conformance.results.compare import percentile
from conformance.results.reader import Report
from conformance.results.record import Result, counts, plain
from conformance.results.summary import Cell, by_implementation, detection


@dataclass(frozen=True)
class Point:
    """One implementation in one run.

    Attributes:
        run: the number of the run, from 0.
        name: of the implementation in that run, with the version with which it may end.
        versions: of the packages that it requires.
        cell: how many cases conform, of how many.
        counts: how many results have each status.
        largest: the largest error ratio of a case that passes; None when there is none.
        p99: the 99th percentile of them.
        middle: their median.
        detects: how many defects the passed checks would have caught; None where the run does not say.
    """

    run: int
    name: str
    versions: dict[str, str]
    cell: Cell
    counts: dict[str, int]
    largest: float | None
    p99: float | None
    middle: float | None
    detects: int | None


@dataclass(frozen=True)
class Trend:
    """Runs, and a series of points for each implementation.

    Attributes:
        runs: the results files, the earliest first.
        series: names without versions to points.
    """

    runs: Sequence[Report]
    series: dict[str, list[Point]]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values: what a chart is drawn from."""
        return {
            "runs": [
                {
                    "path": str(report.path),
                    "began": report.header.get("began"),
                    "suite": report.header.get("suite"),
                    "complete": report.complete,
                    "invalid": report.undetected_controls,
                }
                for report in self.runs
            ],
            "implementations": {name: [_as_json(point) for point in points] for name, points in self.series.items()},
        }


def trend(reports: Sequence[Report]) -> Trend:
    """The runs in their order: by when they began, and as given where a file does not say."""
    runs = list(reports)
    if all(report.began for report in runs):
        runs.sort(key=lambda report: report.began or datetime.min.replace(tzinfo=UTC))
    series: dict[str, list[Point]] = {}
    for place, report in enumerate(runs):
        grouped = by_implementation(report.results, report.planned)
        bases = [name.partition("@")[0] for name in grouped]
        for name, results in grouped.items():
            base = name.partition("@")[0]
            # Two versions in one run are two implementations.
            series.setdefault(name if bases.count(base) > 1 else base, []).append(_point(place, report, name, results))
    return Trend(runs, series)


def _point(place: int, report: Report, name: str, results: Sequence[Result]) -> Point:
    values = [result.error_ratio for result in results if result.status == "pass" and result.error_ratio is not None]
    power = detection(report).get(name)
    return Point(
        run=place,
        name=name,
        versions=dict(report.header.get("packages", {}).get(name, {})),
        cell=Cell.of(results),
        counts=counts(results),
        largest=max(values) if values else None,
        p99=percentile(values) if values else None,
        middle=median(values) if values else None,
        detects=len(power.detected) if power else None,
    )


def _as_json(point: Point) -> dict[str, Any]:
    return {
        "run": point.run,
        "name": point.name,
        "versions": point.versions,
        "passed": point.cell.passed,
        "supported": point.cell.supported,
        "counts": point.counts,
        "error_ratio": plain({"largest": point.largest, "p99": point.p99, "median": point.middle}),
        "detects": point.detects,
    }
