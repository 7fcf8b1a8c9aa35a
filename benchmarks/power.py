"""Measures the share of power in runs of new cases on ``torch.nn.LSTM``, and the speed of the kill matrix.

==============================================  ======
share of power in a run of 500 new small cases  ≤ 0.25
share of power in a run of one large case       ≤ 0.25
==============================================  ======

``--runs`` measures only these shares. The kill matrix is measured on a sample of the shipped cases: without a cache,
with a cache, and naively. The naive loop runs in one process. For each case and defect, it recomputes the problem, the
reference and the budget, and compares each tensor separately by the rule of ``numpy.testing.assert_allclose``.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import make_parser
from benchmarks.drawn import as_yaml, draw_cases
from benchmarks.suite import cpu_seconds
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.power.kill_matrix import View, compute_matrix
from conformance.defects.solve import solve
from conformance.results.reader import read
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

CASE_STRIDE = 10
"""The sample consists of every tenth shipped case with less than ``MAX_PARAMETERS`` parameters."""
MAX_PARAMETERS = 50_000
NAIVE_DEFECTS = 20
"""Approximate number of defects that the naive loop computes. Its time is extrapolated to the whole catalogue."""

SMALL_CASES = 500
"""Number of new small cases."""
LARGE = {"input_size": 256, "hidden_size": 256, "seq_len": 100, "batch": 16}
"""Options of the large case."""
SHARE_LIMIT = 0.25


def main() -> None:
    """Prints the shares of power, the time per cell of the kill matrix, and its speed-up over the naive loop."""
    parser = make_parser("power", __doc__)
    parser.add_argument("--runs", action="store_true", help="measure only the shares of power in runs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the small cases; default: %(default)s")
    args = parser.parse_args()
    _print_share(f"{SMALL_CASES} new small cases", as_yaml(draw_cases(SMALL_CASES, args.seed)))
    _print_share("one large case", as_yaml([LARGE]))
    if not args.runs:
        _print_kill_matrix()


def _print_share(what: str, cases: str) -> None:
    """Runs new cases without a cache. Prints the CPU time and the share of power."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "new.yaml")
        path.write_text(cases)
        command = [sys.executable, "-m", "conformance", "run", str(path), "-i", "torch.nn.LSTM", "--no-cache", "--json"]
        seconds = cpu_seconds([*command, "--output", folder], Path(folder))
        footer = read(Path(folder, "results.jsonl")).footer
    assert footer is not None, "the run is incomplete"
    share = footer.seconds.get("power", 0.0) / seconds
    print(f"{what}: {seconds:.1f} s of CPU time, share of power {share:.2f} (limit {SHARE_LIMIT})")


def _print_kill_matrix() -> None:
    """Prints the time per cell of the kill matrix, and the speed-up over the naive loop."""
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
