"""The kill matrix's speed: without a cache, with one, and against the naive loop; on a sample of the shipped cases.

    python -m benchmarks.power

The naive loop is the obvious one: for each case × defect the problem, the reference and its budget anew, and every
tensor compared by ``numpy.testing.assert_allclose``'s rule on its own, in one process.
"""

from conformance import threads

threads.pin()

import os  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from conformance.cases.casefile import load_all, shipped_cases  # noqa: E402
from conformance.defects.catalogue import CATALOGUE  # noqa: E402
from conformance.defects.defect import solve  # noqa: E402
from conformance.defects.power.kill_matrix import View, compute_matrix  # noqa: E402
from conformance.verdict.oracle import Oracle  # noqa: E402
from conformance.verdict.problem import make_problem  # noqa: E402
from reference import PROFILES, Dialect  # noqa: E402

STRIDE = 10
"""Every so many of the shipped cases."""
DEFECTS = 20
"""Defects that the naive loop is timed on; its time for all of them is in proportion."""


def main() -> None:
    cases = [case for case in load_all([shipped_cases()]) if case.model.parameter_count() < 50_000][::STRIDE]
    views = [View.of(case) for case in cases]
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        cold = _seconds(lambda: compute_matrix(views, Path(folder), jobs))
        warm = _seconds(lambda: compute_matrix(views, Path(folder), jobs))
    single = _seconds(lambda: compute_matrix(views, None, 1))
    naive = _seconds(lambda: _naive(views))
    cells = len(cases) * len(CATALOGUE)
    print(f"{len(cases)} cases × {len(CATALOGUE)} defects\n")
    for name, seconds in (
        (f"without a cache, {jobs} processes", cold),
        ("without a cache, one process", single),
        ("from the cache", warm),
        ("the naive loop", naive),
    ):
        print(f"{name:32}{seconds:8.2f} s{1e3 * seconds / cells:9.3f} ms a cell{naive / seconds:9.1f}x")


def _naive(views: list[View]) -> float:
    """Seconds are in proportion to the defects: all of them would take minutes."""
    defects = CATALOGUE[:: len(CATALOGUE) // DEFECTS]
    start = time.perf_counter()
    for view in views:
        for defect in defects:
            if defect.applies(view.case):
                problem = make_problem(view.case)
                expected = Oracle(None).expect(problem, PROFILES[view.case.dtype], Dialect())
                with np.errstate(all="ignore"):
                    got = solve(defect, problem, Dialect())
                for name, values in expected.values.items():
                    bool((np.abs(got[name] - values) <= 2 * expected.budget[name]).all())
    return (time.perf_counter() - start) * len(CATALOGUE) / len(defects)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    found = call()
    return found if isinstance(found, float) else time.perf_counter() - start


if __name__ == "__main__":
    main()
