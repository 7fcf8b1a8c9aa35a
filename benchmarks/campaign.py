"""Measures after how many cases of a campaign mistakes are detected.

- Defects of the catalogue: a case detects a defect that deviates by more than twice the budget. The cases are those of
  an implementation that supports every option.
- Mistakes from the grammar of ``benchmarks.mistakes``, from odd seeds: a case detects a mistake if it fails. The cases
  are those of a plain LSTM. The shipped cases are tried first, so that mistakes that only a campaign detects are
  listed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from benchmarks.arguments import make_parser
from benchmarks.grammar.broken import Broken
from benchmarks.grammar.draw import draw
from benchmarks.mistakes import shipped
from conformance import threads
from conformance.campaign.draw import Drawer
from conformance.defects.defect import Defect
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Expectation, Oracle, RejectedCaseError
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

MAX_SECONDS = 0.1
"""Estimated CPU seconds of the largest case."""

_T = TypeVar("_T")
_Detects = Callable[[Problem, Expectation, Sequence[_T]], list[_T]]
"""Function that returns those of some mistakes that a problem detects."""


def main() -> None:
    """Prints the median, the 90th percentile and the maximum, and what was not detected."""
    threads.pin()
    parser = make_parser("campaign", __doc__)
    parser.add_argument("--cases", type=int, default=1000, help="largest number of cases; default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="number of campaigns; default: %(default)s")
    parser.add_argument("--mistakes", type=int, default=0, help="number of mistakes from the grammar, not defects")
    args = parser.parse_args()
    missed: list[Broken] = []
    if args.mistakes:
        mistakes = [Broken(draw(seed).mistakes) for seed in range(1, 2 * args.mistakes, 2)]
        missed = list(missed_by_shipped(mistakes))
        print(f"the shipped cases detect {len(mistakes) - len(missed)} of {args.mistakes} mistakes", flush=True)
    for seed in range(args.seeds):
        drawer = Drawer(seed, max_seconds=MAX_SECONDS)
        if not args.mistakes:
            _report(seed, *detect(drawer, REQUIRED, defects_detected, args.cases), lambda defect: defect.id)
            continue
        drawer.accepts = lambda case: Broken(()).supports(case) is None
        found, left = detect(drawer, mistakes, mistakes_detected, args.cases)
        _report(seed, found, left, lambda broken: "; ".join(map(str, broken.mistakes)))
        print(
            f"  of those that the shipped cases miss: {sorted(found[broken] for broken in missed if broken in found)}"
        )


def detect(
    drawer: Drawer, mistakes: Sequence[_T], detected: _Detects[_T], cases: int
) -> tuple[dict[_T, int], Sequence[_T]]:
    """Returns after how many cases each mistake was detected, and the mistakes that were not."""
    oracle, left, found = Oracle(None), list(mistakes), dict[_T, int]()
    for number in range(cases):
        if not left or (case := drawer.draw(number)) is None:
            continue
        problem = make_problem(case)
        try:
            expectation = oracle.expect(problem, PROFILES[case.dtype], Dialect())
        except RejectedCaseError:
            continue
        with np.errstate(all="ignore"):
            found |= dict.fromkeys(detected(problem, expectation, left), number + 1)
        left = [mistake for mistake in left if mistake not in found]
    return found, left


def defects_detected(problem: Problem, expectation: Expectation, defects: Sequence[Defect]) -> list[Defect]:
    """Returns the defects that a problem detects."""
    ratios = error_ratios(problem, expectation, Dialect(), defects)
    return [defect for defect in defects if ratios.get(defect.id, 0.0) > DETECTED_ABOVE]


def mistakes_detected(problem: Problem, expectation: Expectation, mistakes: Sequence[Broken]) -> list[Broken]:
    """Returns the mistakes with which a problem fails."""
    return [broken for broken in mistakes if not judge(problem, broken.solve(problem), expectation).conforms]


def missed_by_shipped(mistakes: Sequence[Broken]) -> Iterator[Broken]:
    """Yields the mistakes that no small shipped case detects."""
    for broken in mistakes:
        if not any(mistakes_detected(problem, expectation, [broken]) for problem, expectation in shipped()):
            yield broken


def _report(seed: int, found: dict[_T, int], left: Sequence[_T], describe: Callable[[_T], str]) -> None:
    median, p90, last = np.quantile(list(found.values()), (0.5, 0.9, 1.0))
    counts = f"{len(found)} of {len(found) + len(left)} detected"
    print(f"seed {seed}: {counts}, median {median:.0f}, p90 {p90:.0f}, max {last:.0f}")
    print("".join(f"  not detected: {describe(mistake)}\n" for mistake in left), end="", flush=True)


if __name__ == "__main__":
    main()
