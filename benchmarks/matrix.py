"""Every implementation that is installed over the shipped cases, in one run: time, shares and memory.

python -m benchmarks.matrix [--output DIR] [-j N] [-i NAME …]      what else there is, `conformance run` gets

===========================================  ========
memory of the run and all of its processes    ≤ 6 GB
===========================================  ========

Memory is the sum of what each process has to itself and its part of what they share, read four times a second.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from conformance.results.reader import read

LIMIT = 6.0
INTERVAL = 0.25


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    found, todo = [], [root]
    while todo:
        process = todo.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                todo += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def gigabytes(processes: list[int]) -> float:
    """Their memory together."""
    total = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # It has ended.
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1e6


class Peak(threading.Thread):
    """Reads the memory of a process and its descendants until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.peak, self.over = root, 0.0, threading.Event()

    def run(self) -> None:
        """Keeps the largest sum."""
        while not self.over.wait(INTERVAL):
            self.peak = max(self.peak, gigabytes(tree(self.root)))


def main() -> None:
    """Runs, and prints a table."""
    parser = argparse.ArgumentParser(description="Every implementation that is installed, in one run.")
    parser.add_argument("--output", type=Path, help="where to keep the results; without it, they are not kept")
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch)
        command = [sys.executable, "-m", "conformance.commands.cli", "run", "--output", str(folder), *rest]
        start = time.perf_counter()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        watch = Peak(running.pid)
        watch.start()
        code = running.wait()
        wall = time.perf_counter() - start
        watch.over.set()
        watch.join()
        report = read(folder / "results.jsonl")
    seconds: dict[str, float] = defaultdict(float)
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    for result in report.results:
        seconds[result.implementation] += sum(result.seconds.values())
        statuses[result.implementation][result.status] += 1
    total = sum(seconds.values())
    for name, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        counts = ", ".join(f"{count} {status}" for status, count in statuses[name].most_common())
        print(f"{spent:8.1f} s {spent / total:5.1%}  {name:44} {counts}")
    rows = sum(map(Counter.total, statuses.values()))
    print(f"{len(statuses)} implementations, {rows} results, exit code {code}, {wall:.0f} s of wall time")
    print(f"peak memory {watch.peak:.2f} GB (at most {LIMIT:g})")


if __name__ == "__main__":
    main()
