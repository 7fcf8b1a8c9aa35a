"""Measures how often the options on which a failure depends are found.

Each defect of the catalogue runs on a random sample of the small shipped cases in float64. Where it does not apply, it
conforms. The condition found in these results is compared with the truth on all shipped cases, also those in other
dtypes and sizes: the cases to which the defect applies, and those that detect it.

The first table has the conditions from the sample, the second those from all shipped cases. The last line has the
conditions found for failing cases that are drawn at random (limit: 5 of 100 draws).
"""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from operator import eq
from pathlib import Path

from benchmarks.arguments import make_parser
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import operations
from conformance.defects.defect import Defect
from conformance.defects.power.bitmasks import names, shipped_masks
from conformance.defects.power.kill_matrix import REQUIRED, View
from conformance.results import when
from conformance.results.record import Result
from conformance.run.controls import Control
from conformance.run.runner import Runner, blank
from conformance.verdict.oracle import Oracle

SAMPLE = 60
"""Default number of cases in the sample."""
MAX_OPERATIONS = 500_000
"""Operations of the largest case in the sample, see ``conformance.cases.size``."""
DRAWS, DRAWN_CASES, DRAWN_FAILURES = 100, 100, 10
"""Number of random draws, of cases in each, and of failing cases among them."""
CLOSE = 0.98
"""Share of the shipped cases on which a close condition agrees with the truth."""

_COLUMNS = ("defects", "= detects", "close", "= applies", "close")


def main() -> None:
    """Prints how many defects have a condition, and how often it agrees with the truth."""
    parser = make_parser("when", __doc__)
    parser.add_argument("--cases", type=int, default=SAMPLE, help="number of cases; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample and the draws; default: %(default)s")
    args = parser.parse_args()
    shipped = load_all([shipped_cases()])
    masks = shipped_masks()
    if not masks:
        raise SystemExit("the masks of the shipped cases are out of date. Run `conformance power --write`.")
    detected = {case.key: frozenset(names(masks[View.of(case).key])) for case in shipped}
    draw = random.Random(args.seed)
    small = [case for case in shipped if case.dtype == "float64" and operations(case) < MAX_OPERATIONS]
    sample = draw.sample(small, args.cases)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Oracle(Path(folder)), diagnoses=False)
        ran = {defect.id: list(run(defect, sample, runner)) for defect in REQUIRED}
    print_table(f"{len(sample)} of {len(small)} small cases in float64", shipped, detected, ran)
    known = {
        defect.id: [blank(case, "", "fail" if defect.id in detected[case.key] else "pass") for case in shipped]
        for defect in REQUIRED
    }
    print_table(f"all {len(shipped)} shipped cases", shipped, detected, known)
    results = [blank(case, "", "pass") for case in draw.sample(shipped, DRAWN_CASES)]
    drawn = (draw.sample(results, len(results)) for _ in range(DRAWS))
    found = sum(when.find(some[:DRAWN_FAILURES], some[DRAWN_FAILURES:]) is not None for some in drawn)
    print(f"{DRAWN_FAILURES} of {DRAWN_CASES} cases fail at random: a condition in {found} of {DRAWS} draws")


def run(defect: Defect, cases: Sequence[Case], runner: Runner) -> Iterator[Result]:
    """Runs a defect. It conforms where it does not apply."""
    for case in cases:
        result = runner.check(case, Control(defect))
        yield replace(result, status="pass") if result.status == "unsupported" else result


def print_table(
    title: str,
    shipped: Sequence[Case],
    detected: Mapping[str, frozenset[str]],
    ran: Mapping[str, Sequence[Result]],
) -> None:
    """Prints the number of defects by the kind of their condition, and how many conditions agree with the truth."""
    facts = [when.facts_of(blank(case, "", "pass")) for case in shipped]
    rows: dict[str, Counter[int]] = {}
    for defect in REQUIRED:
        failing, passing = ([each for each in ran[defect.id] if each.status == status] for status in ("fail", "pass"))
        condition = when.find(failing, passing)
        row = rows.setdefault(_kind(len(failing), len(passing), condition), Counter())
        row[0] += 1
        if condition:
            holds = [condition.holds(each) for each in facts]
            detects = [defect.id in detected[case.key] for case in shipped]
            for column, truth in ((1, detects), (3, [defect.applies_to(case) for case in shipped])):
                agrees = sum(map(eq, holds, truth)) / len(shipped)
                row[column] += agrees == 1
                row[column + 1] += CLOSE <= agrees < 1
    print(f"{title:45}" + "".join(f"{column:>11}" for column in _COLUMNS))
    for kind in sorted(rows):
        print(f"  {kind:43}" + "".join(f"{rows[kind][column]:>11}" for column in range(len(_COLUMNS))))
    print(flush=True)


def _kind(failing: int, passing: int, condition: when.Condition | None) -> str:
    if failing < when.MIN_CASES:
        return f"none: fewer than {when.MIN_CASES} failing cases"
    if passing < when.MIN_CASES:
        return f"none: fewer than {when.MIN_CASES} passing cases"
    if condition is None and failing >= when.MIN_FAILING_SHARE * (failing + passing):
        return f"none: {when.MIN_FAILING_SHARE:.0%} or more of all cases fail"
    if condition is None:
        return "none: other"
    if condition.passing:
        return "in most such cases"
    return "exact, two terms" if len(condition.alternatives[0]) > 1 else "exact, one term"


if __name__ == "__main__":
    main()
