"""Compares the budgets of all shipped cases with those of another version of the code.

``--write FILE`` stores the budgets, under the generic profile of each case's dtype. ``--compare FILE`` divides today's
budgets by stored ones, element by element, and exits with 1 if one differs by more than 5 %.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks.arguments import make_parser
from conformance.cases.casefile import load_all, shipped_cases
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

TOLERANCE = 0.05
"""Largest relative difference between two versions' budgets."""
SHOWN = 10
"""Number of tensors to print, the largest differences first."""


def compute() -> dict[str, np.ndarray]:
    """Returns the budget of each tensor of each shipped case."""
    oracle = Oracle(None)
    return {
        f"{case.id} {name}": budget
        for case in load_all([shipped_cases()])
        for name, budget in oracle.expect(make_problem(case), PROFILES[case.dtype], Dialect()).budget.items()
    }


def differences(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> dict[str, float]:
    """Returns the largest relative difference of each tensor that both versions contain; infinite for a wrong 0."""
    found = {}
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.where(old == new, 0.0, np.abs(new / old - 1))
        found[name] = float(change.max(initial=0.0))
    return found


def main() -> None:
    """Writes or compares budgets."""
    parser = make_parser("budgets", __doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", type=Path, metavar="FILE", help="store the budgets in an .npz file")
    action.add_argument("--compare", type=Path, metavar="FILE", help="compare with the budgets in an .npz file")
    args = parser.parse_args()
    budgets = compute()
    if args.write:
        np.savez_compressed(args.write, allow_pickle=False, **budgets)
        return
    with np.load(args.compare) as stored:
        found = differences(dict(stored), budgets)
    for name in sorted(found, key=found.__getitem__, reverse=True)[:SHOWN]:
        print(f"{found[name]:8.2%}  {name}")
    excessive = sum(each > TOLERANCE for each in found.values())
    print(f"{excessive} of {len(found)} tensors differ by more than {TOLERANCE:.0%}")
    sys.exit(excessive > 0)


if __name__ == "__main__":
    main()
