"""Measures the cost of running an implementation in its own process: per case, and at the start.

==================================================================================  =======
median additional time per case with less than 64 kB of tensors, compared with the  ≤ 1 ms
same call in this process
additional start time, compared with importing the framework in a new interpreter   ≤ 0.3 s
==================================================================================  =======
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.arguments import make_parser
from conformance.adapters import Adapter, registry
from conformance.cases.casefile import load_all, shipped_cases
from conformance.verdict.problem import Problem, make_problem
from conformance.worker.protocol import to_tensors
from conformance.worker.start import isolate

MAX_TENSOR_BYTES = 64_000
"""Only cases with tensors of fewer bytes in total are measured."""
ROUNDS = 5
"""Number of calls per measurement. The fastest counts."""


def best_seconds(call: Callable[[], object]) -> float:
    """Returns the seconds of the fastest of ``ROUNDS`` calls."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def run_case(adapter: Adapter, problem: Problem) -> None:
    """Makes the calls that the runner makes for one case."""
    adapter.supports(problem.case)
    adapter.solve(problem)
    adapter.profile(problem.case)
    adapter.dialect(problem.case)


def import_seconds(adapter: Adapter) -> float:
    """Returns the seconds that a new interpreter needs to import the adapter's framework without the suite."""
    code = f"import {', '.join(adapter.requires) or 'sys'}"
    return best_seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def main() -> None:
    """Prints the additional time per case and at the start."""
    parser = make_parser("worker", __doc__)
    parser.add_argument(
        "implementation", nargs="?", default="torch.nn.LSTM", help="registered name (default: %(default)s)"
    )
    name = parser.parse_args().implementation
    adapter = registry.load(name)
    worker = isolate(adapter, name)

    def restart() -> None:
        worker.close()
        worker.describe()

    problems = [make_problem(case) for case in load_all([shipped_cases()]) if adapter.supports(case) is None]
    small = [each for each in problems if sum(array.nbytes for array in to_tensors(each).values()) < MAX_TENSOR_BYTES]
    extra = []
    for problem in small:
        # Each round gets a copy of the case, because the client reuses its last answer about the same case.
        rounds = [problem.case.model_copy() for _ in range(ROUNDS)]
        here = best_seconds(lambda p=problem: run_case(adapter, p))  # type: ignore[misc]
        there = best_seconds(lambda p=problem, r=rounds: run_case(worker, Problem(**{**vars(p), "case": r.pop()})))  # type: ignore[misc]
        extra.append(there - here)
    percentiles = statistics.quantiles(extra, n=20)
    print(f"{name}: {len(small)} cases with less than 64 kB of tensors")
    print(
        f"additional time per case: median {1e3 * statistics.median(extra):.2f} ms (limit 1), "
        f"95th percentile {1e3 * percentiles[-1]:.2f} ms"
    )
    start, imports = best_seconds(restart), import_seconds(adapter)
    worker.close()
    print(f"start: {start:.2f} s, {start - imports:+.2f} s compared with importing the framework (limit +0.30)")


if __name__ == "__main__":
    main()
