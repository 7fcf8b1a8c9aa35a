"""Measures the size and the speed of the report page for many results.

=======  ===========  ===========
results  file size    usable
=======  ===========  ===========
10,000   ≤ 1 MB       within 1 s
100,000  ≤ 10 MB      within 3 s
=======  ===========  ===========

``usable`` is the time from opening the file in headless Chromium until the matrix is drawn and painted. ``page CPU`` is
the CPU time of the page's thread up to then, which depends little on other load. ``filter``, ``search``, ``list`` (the
largest list) and ``result`` are the times until that view is painted. Each time is the median of three runs.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.arguments import make_parser
from benchmarks.chromium import CHROMIUM_PATH, CHROMIUM_REQUIRED, browser
from benchmarks.synthetic import report
from conformance.reports.page import write as html

LIMITS = {10_000: (1.0, 1.0), 100_000: (10.0, 3.0)}
"""Limits by number of results: file size in MB, and seconds until the page is usable."""
RUNS = 3
"""Number of runs for each number of results."""
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
_SHOW = "where => { delete document.documentElement.dataset.ready; location.hash = where }"


def measure(running: Any, path: Path) -> dict[str, float]:
    """Returns the seconds until each view is painted, in a new window of a running browser."""
    page = running.new_context(viewport={"width": 1440, "height": 900}).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    seconds = {}
    views = {
        "usable": path.as_uri(),
        "filter": "#/?dtype=float32&status=fail",
        "search": "#/?q=family3%20layers",
        "list": "#/cases/family1.layers.LSTM%5Bbackend-1%5D/",
        "result": "",
    }
    for view, where in views.items():
        if view == "result":
            where = page.eval_on_selector("th.case a", "link => link.getAttribute('href')")
        start = time.perf_counter()
        if view == "usable":
            page.goto(where, wait_until="commit")
        else:
            page.evaluate(_SHOW, where)
        page.wait_for_selector("html[data-ready]")
        page.evaluate(_PAINTED)
        seconds[view] = time.perf_counter() - start
        if view == "usable":
            metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
            seconds["page CPU"] = metrics["TaskDuration"]
    page.context.close()
    return seconds


def main() -> int:
    """Prints a line for each number of results. Returns 1 if a limit is exceeded, 3 if Chromium is missing."""
    parser = make_parser("page", __doc__)
    parser.add_argument("results", nargs="*", type=int, help="numbers of results (default: 10000 100000)")
    amounts = parser.parse_args().results or list(LIMITS)
    if not CHROMIUM_PATH:
        print(CHROMIUM_REQUIRED, file=sys.stderr)
        return 3
    exceeded = False
    with tempfile.TemporaryDirectory() as folder, browser() as running:
        for amount in amounts:
            results = report(amount)
            start = time.perf_counter()
            path = html.write(Path(folder), results)
            writing = time.perf_counter() - start
            runs = [measure(running, path) for _ in range(RUNS)]
            median = {view: statistics.median(run[view] for run in runs) for view in runs[0]}
            megabytes = path.stat().st_size / 1e6
            largest, latest = LIMITS.get(amount, (float("inf"), float("inf")))
            within = megabytes <= largest and median["usable"] <= latest
            exceeded |= not within
            times = ", ".join(f"{view} {seconds:.2f} s" for view, seconds in median.items())
            verdict = "" if within else "  EXCEEDS THE LIMIT"
            print(f"{amount:7} results: {megabytes:.2f} MB, written in {writing:.1f} s; {times}{verdict}")
    return int(exceeded)


if __name__ == "__main__":
    sys.exit(main())
