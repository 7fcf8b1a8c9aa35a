"""Measures after how many cases of a campaign each defect of the catalogue is detected.

A case detects a defect if it deviates by more than twice the budget. The cases are those of an implementation that
supports every option, in the order of a campaign.
"""

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.arguments import make_parser
from conformance.campaign.draw import Drawer
from conformance.defects.defect import Defect
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

MAX_SECONDS = 0.1
"""Estimated CPU seconds of the largest case."""


def main() -> None:
    """Prints the median, the 90th percentile and the maximum, and the defects that were not detected."""
    parser = make_parser("campaign", __doc__)
    parser.add_argument("--cases", type=int, default=1000, help="largest number of cases; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="number of campaigns; default: %(default)s")
    args = parser.parse_args()
    for seed in range(args.seeds):
        found, left = detect(seed, args.cases)
        median, p90, last = np.quantile(found, (0.5, 0.9, 1.0))
        print(
            f"seed {seed}: {len(found)} of {len(REQUIRED)} defects, median {median:.0f}, p90 {p90:.0f}, max {last:.0f}"
        )
        print("".join(f"  not detected: {defect.id}\n" for defect in left), end="", flush=True)


def detect(seed: int, cases: int) -> tuple[list[int], Sequence[Defect]]:
    """Returns after how many cases each defect was detected, and the defects that were not."""
    drawer, oracle = Drawer(seed, max_seconds=MAX_SECONDS), Oracle(None)
    left, found = list(REQUIRED), []
    for number in range(cases):
        if (case := drawer.draw(number)) is None or case.refuses:
            continue
        problem = make_problem(case)
        try:
            expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
        except RejectedCaseError:
            continue
        with np.errstate(all="ignore"):
            ratios = error_ratios(problem, expectation, Dialect(), left)
        detected = {name for name, ratio in ratios.items() if ratio > DETECTED_ABOVE}
        found += [number + 1] * len(detected)
        left = [defect for defect in left if defect.id not in detected]
        if not left:
            break
        if sys.stderr.isatty():
            print(f"\r{number + 1} cases, {len(left)} defects left ", end="", file=sys.stderr)
    return found, left


if __name__ == "__main__":
    main()
