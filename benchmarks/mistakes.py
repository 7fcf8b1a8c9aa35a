"""Measures how often mistakes that no catalogue holds are detected and explained.

A grammar draws broken LSTMs from seeds: one or two mistakes, whose true explanation is known. Each runs on the small
shipped cases. Then three explanations are compared with the truth:

- the explanations by experiments, as ``conformance run`` makes them. They are read back from their text and applied
  to the reference. They are *correct* if this reproduces every tensor of cases whose sizes no probe has, and *narrow*
  if it does so only for the failing cases, or not all of these are explained. Otherwise they are *false*.
- the causes from the catalogue, for the first and the last failing case, compared in the same way.
- the condition on options and sizes, found from half of the cases and from experiments. It is correct if it agrees with
  the outcomes of at least 98 % of the other half. It is looked for if there is one mistake, at least 6 cases fail, and
  6 and 20 % of the cases pass.

Even seeds are for tuning the engines. Report odd seeds.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from benchmarks.arguments import make_parser
from benchmarks.explanations import judge_catalogue, judge_experiments
from benchmarks.grammar.broken import Broken
from benchmarks.grammar.draw import KINDS, Drawn, draw
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import operations
from conformance.defects.experiment import condition
from conformance.defects.experiment.trial import Subject
from conformance.results import when
from conformance.run import explaining
from conformance.run.failures import Failure
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

MAX_OPERATIONS = 3_000_000
"""Operations of the largest shipped case that runs, see ``conformance.cases.size``."""
CLOSE = 0.98
"""Share of the cases with which a correct condition agrees."""
MIN_CASES = 6
"""Smallest number of passing cases, and of failing ones, with which a condition is looked for."""
MIN_PASSING_SHARE = 0.2
"""Smallest share of passing cases with which a condition is looked for."""


@dataclass
class Outcome:
    """What was found out about one broken implementation.

    Attributes:
        drawn: its mistakes.
        detected: whether a shipped case fails.
        experiment: verdict on the explanations by experiments, see ``benchmarks.explanations``.
        catalogue: verdict on the causes from the catalogue.
        condition: whether the condition is correct; None if there is none to be found.
        findings: text of the verified explanations.
        seconds: CPU seconds of the experiments.
    """

    drawn: Drawn
    detected: bool = False
    experiment: str = "none"
    catalogue: str = "none"
    condition: bool | None = None
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def explained(self) -> bool:
        """Whether an explanation is correct and none is false."""
        found = (self.experiment, self.catalogue)
        return "correct" in found and "false" not in found


def main() -> None:
    """Draws, runs and explains broken implementations, and prints the table."""
    parser = make_parser("mistakes", __doc__)
    parser.add_argument(
        "--seeds", type=_seeds, default=range(84), metavar="A:B", help="seeds A to B - 1 (default: 0:84)"
    )
    parity = parser.add_mutually_exclusive_group()
    parity.add_argument("--odd", action="store_true", help="only odd seeds, for reports")
    parity.add_argument("--even", action="store_true", help="only even seeds, for tuning")
    parser.add_argument("--no-catalogue", action="store_true", help="do not look for causes in the catalogue")
    parser.add_argument("-v", "--verbose", action="store_true", help="print each implementation and its explanation")
    args = parser.parse_args()
    seeds = [seed for seed in args.seeds if not ((args.odd and seed % 2 == 0) or (args.even and seed % 2))]
    outcomes = []
    for seed in seeds:
        outcomes.append(measure(draw(seed), not args.no_catalogue))
        if args.verbose:
            _print_outcome(seed, outcomes[-1])
        print(f"{len(outcomes)} of {len(seeds)}", file=sys.stderr, flush=True)
    print_table(outcomes)


def _seeds(text: str) -> range:
    first, _, last = text.partition(":")
    try:
        return range(int(first), int(last))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected two numbers such as 0:84, got {text!r}") from error


# --------------------------------------------------------------------------- one implementation


def measure(drawn: Drawn, with_catalogue: bool = True) -> Outcome:
    """Runs and explains a broken implementation, with or without the catalogue."""
    outcome = Outcome(drawn)
    failing: list[JudgedSolution] = []
    results: dict[str, list[Case]] = {"pass": [], "fail": []}
    adapter = Broken(drawn.mistakes)
    for problem, expectation in shipped():
        solution = adapter.solve(problem)
        conforms = judge(problem, solution, expectation).conforms
        results["pass" if conforms else "fail"].append(problem.case)
        if not conforms:
            failing.append(JudgedSolution(problem, solution, expectation, Dialect()))
    outcome.detected = bool(failing)
    # Two mistakes have two conditions. Whether one of the kind ``history`` fails depends on earlier cases.
    if len(drawn.mistakes) == 1 and drawn.kind != "history":
        outcome.condition = _condition_is_correct(Broken(drawn.mistakes), results["fail"], results["pass"])
    outcome.catalogue = judge_catalogue(drawn, [failing[0], failing[-1]] if failing and with_catalogue else [])
    failures = [Failure(judged.problem.case.key, judged) for judged in failing]
    start = time.process_time()
    found = explaining.explain(adapter, failures, Oracle(None), adapter.forget) if failures else []
    outcome.seconds = time.process_time() - start
    outcome.findings = [each.what for each in found if each.verified]
    outcome.experiment = judge_experiments(drawn, found, {case.key: case for case in results["fail"]})
    return outcome


@cache
def shipped() -> list[tuple[Problem, Expectation]]:
    """Returns the problems of the small shipped cases that the broken implementations support."""
    oracle, supported = Oracle(), Broken(()).supports
    cases = [case for case in load_all([shipped_cases()]) if operations(case) < MAX_OPERATIONS]
    problems = [make_problem(case) for case in cases if supported(case) is None]
    return [(problem, oracle.expect(problem, PROFILES[problem.case.dtype], Dialect())) for problem in problems]


def _condition_is_correct(adapter: Broken, failing: Sequence[Case], passing: Sequence[Case]) -> bool | None:
    """Finds a condition from half of the cases and compares it with the other half."""
    if min(len(failing), len(passing)) < MIN_CASES or len(passing) < MIN_PASSING_SHARE * (len(failing) + len(passing)):
        return None
    failing, passing = list(failing), list(passing)
    for cases in (failing, passing):
        random.Random(0).shuffle(cases)
    rest = [(case, True) for case in failing[1::2]] + [(case, False) for case in passing[1::2]]
    found = condition.find(failing[::2], passing[::2], condition.outcome_of(Subject(adapter, Oracle(None))))
    if found is None:
        return False
    agrees = [found.holds(when.facts_of_case(case)) == fails for case, fails in rest]
    return sum(agrees) >= CLOSE * len(agrees)


# --------------------------------------------------------------------------- the table


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Prints the table: one row for each kind, and one for all."""
    columns = ("mistakes", "detected", "single", "pair", "experiment", "catalogue", "narrow", "condition", "false")
    print(f"{'':14}" + "".join(f"{column:>12}" for column in columns))
    for kind in (*KINDS, "all"):
        if rows := [each for each in outcomes if kind in (each.drawn.kind, "all")]:
            print(f"{kind:14}" + "".join(_cells(rows)))
    print(f"{len(shipped())} shipped cases ran.")
    seconds = [each.seconds for each in outcomes]
    print(f"CPU seconds of the experiments on one: mean {np.mean(seconds):.1f}, maximum {max(seconds):.1f}")


def _cells(rows: Sequence[Outcome]) -> Iterator[str]:
    detected = [each for each in rows if each.detected]
    conditions = [each.condition for each in rows if each.condition is not None]

    def share(some: Sequence[Any], of: Sequence[Any]) -> str:
        return f"{f'{len(some)}/{len(of)}':>12}"

    yield f"{len(rows):>12}"
    yield share(detected, rows)
    for count in (1, 2):
        of = [each for each in detected if len(each.drawn.mistakes) == count]
        yield share([each for each in of if each.explained], of)
    for source in ("experiment", "catalogue"):
        yield share([each for each in detected if getattr(each, source) == "correct"], detected)
    narrow = [each for each in detected if "narrow" in (each.experiment, each.catalogue) and not each.explained]
    yield share(narrow, detected)
    yield share([each for each in conditions if each], conditions)
    yield f"{sum('false' in (each.experiment, each.catalogue) for each in rows):>12}"


def _print_outcome(seed: int, outcome: Outcome) -> None:
    detected = "" if outcome.detected else "NOT DETECTED "
    print(f"{seed} {outcome.drawn.kind}: {outcome.drawn}")
    print(
        f"    {detected}experiment {outcome.experiment}, catalogue {outcome.catalogue}, condition {outcome.condition}, "
        f"{outcome.seconds:.1f} s"
    )
    for what in outcome.findings:
        print(f"    {what}", flush=True)


if __name__ == "__main__":
    main()
