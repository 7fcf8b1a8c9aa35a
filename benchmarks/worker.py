"""What a process of its own costs an implementation: time per case, and time to start.

python -m benchmarks.worker [NAME]

====================================================================  =======
median per case with less than 64 kB of tensors, beside the same call  ≤ 1 ms
in this process
start, beside a fresh interpreter that imports the framework            + 0.3 s
====================================================================  =======
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from conformance.adapters import Adapter, registry
from conformance.cases.casefile import load_all, shipped_cases
from conformance.verdict.problem import Problem, make_problem
from conformance.worker.client import isolated
from conformance.worker.protocol import to_tensors

SMALL = 64_000
ROUNDS = 5


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def check(adapter: Adapter, problem: Problem) -> None:
    """What the runner asks of an adapter for one case."""
    adapter.supports(problem.case)
    adapter.solve(problem)
    adapter.profile(problem.case)
    adapter.dialect(problem.case)


def start_bare(adapter: Adapter) -> float:
    """Seconds that a fresh interpreter takes to import the framework, and nothing of the suite."""
    code = f"import {', '.join(adapter.requires) or 'sys'}"
    return best(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def main() -> None:
    """Prints both."""
    name = sys.argv[1] if len(sys.argv) > 1 else "torch.nn.LSTM"
    adapter = registry.load(name)
    worker = isolated(adapter, name)

    def start() -> None:
        worker.close()
        worker.describe()

    problems = [make_problem(case) for case in load_all([shipped_cases()]) if adapter.supports(case) is None]
    small = [each for each in problems if sum(array.nbytes for array in to_tensors(each).values()) < SMALL]
    extra = []
    for problem in small:
        # A copy of the case, so that each round asks for it anew.
        rounds = [problem.case.model_copy() for _ in range(ROUNDS)]
        here = best(lambda p=problem: check(adapter, p))  # type: ignore[misc]
        there = best(lambda p=problem, r=rounds: check(worker, Problem(**{**vars(p), "case": r.pop()})))  # type: ignore[misc]
        extra.append(there - here)
    cuts = statistics.quantiles(extra, n=20)
    print(f"{name}: {len(small)} cases with less than 64 kB of tensors")
    print(f"per case {1e3 * statistics.median(extra):.2f} ms more (at most 1); 19 in 20 under {1e3 * cuts[-1]:.2f} ms")
    served, own = best(start), start_bare(adapter)
    worker.close()
    print(f"start {served:.2f} s, {served - own:+.2f} s beside importing it in a fresh interpreter (at most +0.30)")


if __name__ == "__main__":
    main()
