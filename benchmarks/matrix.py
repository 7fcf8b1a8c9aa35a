"""Measures time and memory of one run of all installed implementations on the shipped cases. Needs Linux.

==============================================  ======
peak memory of the run and its child processes  ≤ 6 GB
==============================================  ======

Memory is the sum of the proportional set sizes (PSS) of all processes: private memory plus a share of shared memory. It
is sampled four times per second. Options other than --output are passed to ``conformance run``, such as ``-j N`` and
``-i NAME``.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from benchmarks.arguments import make_parser
from conformance.results.reader import read

MAX_GIGABYTES = 6.0
"""Limit on peak memory, in GB."""
SAMPLING_SECONDS = 0.25
"""Time between two samples of the memory."""


def process_tree(root: int) -> list[int]:
    """Returns the ids of a process and its descendants."""
    found, pending = [], [root]
    while pending:
        process = pending.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                pending += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def gigabytes(processes: list[int]) -> float:
    """Returns the total PSS of processes in GB."""
    kilobytes = 0
    for process in processes:
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # The process has ended.
            continue
        kilobytes += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return kilobytes / 1e6


class PeakMemory(threading.Thread):
    """A thread that samples the memory of a process and its descendants until ``stop``.

    Attributes:
        gigabytes: peak memory in GB.
    """

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.gigabytes = 0.0
        self._root, self._stopped = root, threading.Event()

    def run(self) -> None:
        """Samples the memory."""
        while not self._stopped.wait(SAMPLING_SECONDS):
            self.gigabytes = max(self.gigabytes, gigabytes(process_tree(self._root)))

    def stop(self) -> None:
        """Ends the thread."""
        self._stopped.set()
        self.join()


def main() -> None:
    """Runs all implementations and prints a table of their times."""
    parser = make_parser("matrix", __doc__)
    parser.add_argument("--output", type=Path, help="folder for the results (default: a temporary folder)")
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch)
        command = [sys.executable, "-m", "conformance.commands.cli", "run", "--output", str(folder), *rest]
        start = time.perf_counter()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        memory = PeakMemory(running.pid)
        memory.start()
        code = running.wait()
        wall = time.perf_counter() - start
        memory.stop()
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
    print(f"peak memory {memory.gigabytes:.2f} GB (limit {MAX_GIGABYTES:g})")


if __name__ == "__main__":
    main()
