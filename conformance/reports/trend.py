"""Trend over several runs, for a terminal of 80 columns: one table per implementation."""

from collections.abc import Iterator

from conformance.results.reader import Report
from conformance.results.summary import format_error_ratio
from conformance.results.trend import Point, Trend

_BARS = "▁▂▃▄▅▆▇█"
_HEAD = "  run  version           conform  known  deviate largest     p99  median detects"


def lines(trend: Trend) -> Iterator[str]:
    """Yields a list of the runs, then a table for each implementation."""
    yield "runs"
    for place, report in enumerate(trend.runs, 1):
        yield f"  {place:3}  {_when(report)}  {report.path}{_warnings(report)}"
    for name, points in trend.series.items():
        yield ""
        yield name
        yield _HEAD
        previous: Point | None = None
        for point in points:
            yield _row(point, previous)
            previous = point
        yield f"  largest error ratio  {bars(points, len(trend.runs))}  (full height: error ratio 1)"


def bars(points: list[Point], runs: int) -> str:
    """Returns one character for each run: a bar for the largest error ratio, or a dot if there is no data."""
    found = {point.run: point.largest for point in points}
    shown = ""
    for run in range(runs):
        value = found.get(run)
        shown += "·" if value is None else _BARS[min(len(_BARS) - 1, int(value * len(_BARS)))]
    return shown


def _row(point: Point, previous: Point | None) -> str:
    cell = point.cell
    conform = f"{cell.passed}/{cell.supported}" if cell.supported else "no data"
    conform += f" +{cell.unsupported}" if cell.unsupported else ""
    version = next(iter(point.versions.values()), "") or point.name.partition("@")[2]
    mark = "*" if previous and previous.versions != point.versions else " "
    largest, p99, middle = map(format_error_ratio, (point.largest, point.p99, point.middle))
    detects = "-" if point.detects is None else str(point.detects)
    return (
        f"  {point.run + 1:3} {mark}{version[:10]:11}{conform:>14}{cell.known:>7}{cell.deviating:>9}"
        f"{largest:>8}{p99:>8}{middle:>8}{detects:>8}"
    )


def _when(report: Report) -> str:
    return f"{report.began:%Y-%m-%d %H:%M}" if report.began else "no date         "


def _warnings(report: Report) -> str:
    return " (INVALID)" if report.undetected_controls else "" if report.complete else " (INCOMPLETE)"
