"""Measures the speed of the kill matrix on a sample of the shipped cases: without a cache, with a cache, and naively.

The naive loop runs in one process. For each case and defect, it recomputes the problem, the reference and the budget,
and compares each tensor separately by the rule of ``numpy.testing.assert_allclose``.
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

from benchmarks.arguments import make_parser  # noqa: E402
from conformance.cases.casefile import load_all, shipped_cases  # noqa: E402
from conformance.defects.catalogue import CATALOGUE  # noqa: E402
from conformance.defects.defect import solve  # noqa: E402
from conformance.defects.power.kill_matrix import View, compute_matrix  # noqa: E402
from conformance.verdict.oracle import Oracle  # noqa: E402
from conformance.verdict.problem import make_problem  # noqa: E402
from reference import PROFILES, Dialect  # noqa: E402

CASE_STRIDE = 10
"""The sample consists of every tenth shipped case with less than ``MAX_PARAMETERS`` parameters."""
MAX_PARAMETERS = 50_000
NAIVE_DEFECTS = 20
"""Approximate number of defects that the naive loop computes. Its time is extrapolated to the whole catalogue."""


def main() -> None:
    """Prints the time per cell of the kill matrix, and the speed-up over the naive loop."""
    make_parser("power", __doc__).parse_args()
    cases = [case for case in load_all([shipped_cases()]) if case.model.parameter_count() < MAX_PARAMETERS]
    cases = cases[::CASE_STRIDE]
    views = [View.of(case) for case in cases]
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        cold = _seconds(lambda: compute_matrix(views, Path(folder), jobs))
        warm = _seconds(lambda: compute_matrix(views, Path(folder), jobs))
    single = _seconds(lambda: compute_matrix(views, None, 1))
    naive = _naive_seconds(views)
    cells = len(cases) * len(CATALOGUE)
    print(f"{len(cases)} cases × {len(CATALOGUE)} defects\n")
    for name, seconds in (
        (f"without a cache, {jobs} processes", cold),
        ("without a cache, one process", single),
        ("from the cache", warm),
        ("the naive loop", naive),
    ):
        print(f"{name:32}{seconds:8.2f} s{1e3 * seconds / cells:9.3f} ms per cell{naive / seconds:9.1f}x")


def _naive_seconds(views: list[View]) -> float:
    """Runs the naive loop on some defects. Returns its wall-clock seconds, extrapolated to the whole catalogue."""
    defects = CATALOGUE[:: len(CATALOGUE) // NAIVE_DEFECTS]
    start = time.perf_counter()
    for view in views:
        for defect in defects:
            if defect.requires(view.case):
                problem = make_problem(view.case)
                expected = Oracle(None).expect(problem, PROFILES[view.case.dtype], Dialect())
                with np.errstate(all="ignore"):
                    got = solve(defect, problem, Dialect())
                for name, values in expected.values.items():
                    bool((np.abs(got[name] - values) <= 2 * expected.budget[name]).all())
    return (time.perf_counter() - start) * len(CATALOGUE) / len(defects)


def _seconds(call: Callable[[], Any]) -> float:
    """Returns the wall-clock seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
