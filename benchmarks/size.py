"""Measures the memory and CPU time of the reference and the budget, and fits the constants of their estimate.

Each case runs in its own process. The table compares the measured peak memory and CPU time with the estimate of
``conformance.cases.size``. The fitted constants have no negative value. Needs Linux.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import make_parser
from conformance.cases import size
from conformance.cases.case import Case
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

SIZES = (
    (16, 16, 12, 4),
    (128, 128, 50, 16),
    (16, 64, 500, 32),
    (512, 64, 200, 16),
    (256, 256, 100, 16),
    (512, 512, 12, 4),
    (1024, 1024, 12, 4),
)
"""Default sizes: I, H, T and B."""


def measure(case: Case) -> size.Size:
    """Computes the expectation of a case in this process. Returns its peak memory and CPU time."""
    start = time.process_time()
    Oracle(None).expect(make_problem(case), PROFILES[case.dtype], Dialect())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return size.Size(peak, time.process_time() - start)


def make_case(sizes: Sequence[int]) -> Case:
    """Returns the case of the sizes I, H, T and B."""
    input_size, hidden_size, steps, rows = sizes
    return Case(input_size=input_size, hidden_size=hidden_size, seq_len=steps, batch=rows)


def fit(rows: Sequence[Sequence[float]], measured: Sequence[float]) -> NDArray[np.float64]:
    """Returns the coefficients ≥ 0 that minimize the relative deviations from the measured values."""
    weights = 1 / np.asarray(measured)
    matrix, ones = np.asarray(rows) * weights[:, None], np.ones(len(measured))
    chosen = list(range(matrix.shape[1]))
    while True:  # Leave out the most negative coefficient until none is negative.
        found = np.linalg.lstsq(matrix[:, chosen], ones, rcond=None)[0]
        if found.min() >= 0:
            break
        chosen.pop(int((found * np.abs(matrix[:, chosen]).max(0)).argmin()))
    coefficients = np.zeros(matrix.shape[1])
    coefficients[chosen] = found
    return coefficients


def main() -> None:
    """Measures each size in its own process and prints the comparison and the fitted constants."""
    parser = make_parser("size", __doc__)
    parser.add_argument("sizes", nargs="*", metavar="I,H,T,B", help="sizes to measure (default: small to medium ones)")
    parser.add_argument("--one", metavar="I,H,T,B", help="measure one size in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        found = measure(make_case([int(number) for number in arguments.one.split(",")]))
        print(json.dumps([found.bytes, found.seconds]))
        return
    cases = [make_case([int(n) for n in text.split(",")]) for text in arguments.sizes] or list(map(make_case, SIZES))
    print(f"{'I, H, T, B':24}{'GB':>8}{'estimate':>10}{'CPU s':>10}{'estimate':>10}")
    results = []
    for case in cases:
        sizes = f"{case.input_size},{case.hidden_size},{case.seq_len},{case.rows}"
        command = [sys.executable, "-m", "benchmarks.size", "--one", sizes]
        found = size.Size(*json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
        results.append(found)
        expected = size.estimate(case)
        print(
            f"{sizes:24}{found.bytes / 1e9:8.2f}{expected.bytes / 1e9:10.2f}{found.seconds:10.2f}"
            f"{expected.seconds:10.2f}",
            flush=True,
        )
    counts = [size.count(case) for case in cases]
    memory = fit([(1, each.values, each.inputs, each.parameters) for each in counts], [r.bytes for r in results])
    seconds = fit(
        [(each.multiplications, each.values, each.parameters, each.steps) for each in counts],
        [r.seconds for r in results],
    )
    print("bytes: process {:.0f}, per value {:.0f}, per input {:.0f}, per parameter {:.0f}".format(*memory))
    print(
        "seconds: per multiplication {:.1e}, per value {:.1e}, per parameter {:.1e}, per step {:.1e}".format(*seconds)
    )


if __name__ == "__main__":
    main()
