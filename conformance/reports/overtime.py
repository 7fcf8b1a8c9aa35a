"""A trend on a terminal: a table for each implementation, in 80 columns."""

from collections.abc import Iterator

from conformance.results.reader import Report
from conformance.results.summary import number
from conformance.results.trend import Point, Trend

_BARS = "▁▂▃▄▅▆▇█"
_HEAD = "  run  version            conform  known  deviate  largest     p99  median detects"


def lines(trend: Trend) -> Iterator[str]:
    """The runs, then each implementation over them."""
    yield "runs"
    for place, report in enumerate(trend.runs, 1):
        yield f"  {place:3}  {_when(report)}  {report.path}{_flaws(report)}"
    for name, points in trend.series.items():
        yield ""
        yield name
        yield _HEAD
        previous: Point | None = None
        for point in points:
            yield _row(point, previous)
            previous = point
        yield f"  largest error ratio  {bars(points, len(trend.runs))}  (full height: 1, the budget)"


def bars(points: list[Point], runs: int) -> str:
    """The largest error ratio of each run as a bar; a dot where there is no data."""
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
    deviate = cell.supported - cell.passed - cell.known
    version = next(iter(point.versions.values()), "") or point.name.partition("@")[2]
    mark = "*" if previous and previous.versions != point.versions else " "
    values = "".join(
        f"{number(value):>{width}}" for value, width in ((point.largest, 9), (point.p99, 8), (point.middle, 8))
    )
    detects = "-" if point.detects is None else str(point.detects)
    return f"  {point.run + 1:3} {mark}{version[:11]:12}{conform:>14}{cell.known:>7}{deviate:>9}{values}{detects:>8}"


def _when(report: Report) -> str:
    return f"{report.began:%Y-%m-%d %H:%M}" if report.began else "no date         "


def _flaws(report: Report) -> str:
    return " (INVALID)" if report.undetected_controls else "" if report.complete else " (INCOMPLETE)"
