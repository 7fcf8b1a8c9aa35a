"""Measures one run of all installed implementations on the shipped cases: time and memory. Needs Linux.

=====================================================  =======
wall time of a run with an empty cache (``--cold``)    ≤ 150 s
wall time of a run with a full cache                   ≤ 150 s
time from the start to the first row of the table      ≤ 20 s
peak memory of the run and its child processes         ≤ 6 GB
=====================================================  =======

The limits on times hold for two otherwise idle processors. The first two columns are the second in which an
implementation's row was printed and the CPU time of its cases.

Memory is the sum of the proportional set sizes (PSS) of all processes: private memory plus a share of shared memory. It
is sampled four times per second. Other options are passed to ``conformance run``, such as ``-j N`` and ``-i NAME``.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import make_parser
from conformance.results.reader import read
from conformance.results.record import counts, phases
from conformance.results.summary import by_implementation

MAX_SECONDS = 150.0
"""Limit on the wall time of a run."""
MAX_FIRST_ROW_SECONDS = 20.0
"""Limit on the time until the first row is printed."""
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


def run(arguments: Sequence[str], folder: Path, cache: str | None) -> tuple[dict[str, float], PeakMemory]:
    """Runs ``conformance run``.

    Args:
        arguments: arguments of the command.
        folder: folder for the results.
        cache: folder of the cache; None for the default.

    Returns:
        The second in which a line was first printed, by the line's first word, and the memory.
    """
    command = [sys.executable, "-m", "conformance.commands.cli", "run", "--output", str(folder), *arguments]
    environment = os.environ | ({"CONFORMANCE_CACHE": cache} if cache else {})
    start = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    memory = PeakMemory(running.pid)
    memory.start()
    printed: dict[str, float] = {}
    assert running.stdout
    for line in running.stdout:
        printed.setdefault(line.partition(" ")[0].strip(), time.perf_counter() - start)
    running.wait()
    printed["end"] = time.perf_counter() - start
    memory.stop()
    return printed, memory


def main() -> None:
    """Runs all implementations and prints a table of their times, in the order in which their rows were printed."""
    parser = make_parser("matrix", __doc__)
    parser.add_argument("--output", type=Path, help="folder for the results (default: a temporary folder)")
    parser.add_argument("--cold", action="store_true", help="use an empty cache")
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.output or Path(scratch) / "report"
        printed, memory = run(rest, folder, str(Path(scratch) / "cache") if args.cold else None)
        report = read(folder / "results.jsonl")
    rows = by_implementation(report.results)
    names = sorted(rows, key=lambda name: printed.get(name, printed["end"]))
    for name in names:
        statuses = ", ".join(f"{count} {status}" for status, count in counts(rows[name]).items())
        cpu = sum(phases(rows[name]).values())
        print(f"{printed.get(name, printed['end']):8.1f} s {cpu:8.1f} s  {name:46} {statuses}")
    cpu_seconds = report.footer.seconds if report.footer else phases(report.results)
    print("CPU time: " + ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in cpu_seconds.items()))
    print(f"{len(rows)} implementations, {len(report.results)} results, CPU time {sum(cpu_seconds.values()):.0f} s")
    first = min((printed[name] for name in names if name in printed), default=printed["end"])
    print(f"first row after {first:.1f} s (limit {MAX_FIRST_ROW_SECONDS:g})")
    print(f"wall time {printed['end']:.0f} s (limit {MAX_SECONDS:g})")
    print(f"peak memory {memory.gigabytes:.2f} GB (limit {MAX_GIGABYTES:g})")


if __name__ == "__main__":
    main()
