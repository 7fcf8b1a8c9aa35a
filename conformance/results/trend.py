"""Trend: the results of each implementation over several runs."""

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
    """Results of one implementation in one run. Error ratios are those of the passed cases; None if no case passes.

    Attributes:
        run: number of the run, from 0.
        name: name of the implementation in that run, which may end with a version.
        versions: versions of the packages that the implementation requires.
        cell: counts of conforming and other cases.
        counts: number of results by status.
        largest: largest error ratio.
        p99: 99th percentile of the error ratios.
        middle: median of the error ratios.
        detects: number of defects that the passed cases detect; None if unknown.
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
        runs: results files, the earliest first.
        series: points by the implementation's name without its version.
    """

    runs: Sequence[Report]
    series: dict[str, list[Point]]

    def as_json(self) -> dict[str, Any]:
        """Returns the trend as JSON values."""
        return {
            "runs": [
                {
                    "path": str(report.path),
                    "began": report.header.began,
                    "suite": report.header.suite,
                    "complete": report.complete,
                    "invalid": report.undetected_controls,
                }
                for report in self.runs
            ],
            "implementations": {name: [_as_json(point) for point in points] for name, points in self.series.items()},
        }


def trend(reports: Sequence[Report]) -> Trend:
    """Returns the trend over several runs. They are sorted by start time, unless a start time is unknown."""
    runs = list(reports)
    if all(report.began for report in runs):
        runs.sort(key=lambda report: report.began or datetime.min.replace(tzinfo=UTC))
    series: dict[str, list[Point]] = {}
    for place, report in enumerate(runs):
        grouped = by_implementation(report.results, report.planned)
        bases = [name.partition("@")[0] for name in grouped]
        for name, results in grouped.items():
            base = name.partition("@")[0]
            # Two versions of an implementation in one run get separate series.
            series.setdefault(name if bases.count(base) > 1 else base, []).append(_point(place, report, name, results))
    return Trend(runs, series)


def _point(place: int, report: Report, name: str, results: Sequence[Result]) -> Point:
    values = [result.error_ratio for result in results if result.status == "pass" and result.error_ratio is not None]
    power = detection(report).get(name)
    return Point(
        run=place,
        name=name,
        versions=dict(report.header.packages.get(name, {})),
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
