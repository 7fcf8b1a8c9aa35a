"""The page of many results: its size, and how soon it can be used.

python -m benchmarks.page [RESULTS …]      default: 10000 100000

=======================  =========  ==================
results                  file       usable
=======================  =========  ==================
10,000                   ≤ 1 MB     within 1 s
100,000                  ≤ 10 MB    within 3 s
=======================  =========  ==================

Usable: from asking headless Chromium for the file until the matrix is drawn and a frame is painted; its own: CPU
seconds of the page's thread up to then, which a busy machine changes little. Beside that, how long a filter, a search,
the largest list and one result take to be there. Each the median of three.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.chromium import ABSENT, PATH, browser
from benchmarks.synthetic import report
from conformance.reports.page import write as html

LIMITS = {10_000: (1.0, 1.0), 100_000: (10.0, 3.0)}
TIMES = 3
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def measure(running: Any, path: Path) -> dict[str, float]:
    """Seconds until each view is there."""
    page = running.new_context(viewport={"width": 1440, "height": 900}).new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    found = {}
    views = {
        "usable": path.as_uri(),
        "filter": "#/?dtype=float32&status=fail",
        "search": "#/?q=family3%20layers",
        "list": "#/cases/family1.layers.LSTM%5Bbackend-1%5D/",
        "result": "",
    }
    for what, where in views.items():
        if what == "result":
            where = page.eval_on_selector("th.case a", "link => link.getAttribute('href')")
        start = time.perf_counter()
        if what == "usable":
            page.goto(where, wait_until="commit")
            page.wait_for_selector("html[data-ready]")
        else:
            page.evaluate("where => { delete document.documentElement.dataset.ready; location.hash = where }", where)
            page.wait_for_selector("html[data-ready]")
        page.evaluate(_PAINTED)
        found[what] = time.perf_counter() - start
        if what == "usable":
            metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
            found["its own"] = metrics["TaskDuration"]
    page.context.close()
    return found


def main() -> int:
    """Prints a table; 1 where a limit is broken."""
    if not PATH:
        print(ABSENT, file=sys.stderr)
        return 3
    amounts = [int(each) for each in sys.argv[1:]] or list(LIMITS)
    broken = False
    with tempfile.TemporaryDirectory() as folder, browser() as running:
        for amount in amounts:
            results = report(amount)
            start = time.perf_counter()
            path = html.write(Path(folder), results)
            wrote = time.perf_counter() - start
            runs = [measure(running, path) for _ in range(TIMES)]
            median = {what: statistics.median(run[what] for run in runs) for what in runs[0]}
            size = path.stat().st_size / 1e6
            most, latest = LIMITS.get(amount, (float("inf"), float("inf")))
            fine = size <= most and median["usable"] <= latest
            broken |= not fine
            times = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in median.items())
            print(f"{amount:7} results: {size:.2f} MB, written in {wrote:.1f} s; {times}{'' if fine else '  BROKEN'}")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
