"""Measures how often rounding in 16 bits moves arguments across a kink, and what the suite makes of it.

    python -m benchmarks.kinks --seed 4

Draws cases with piecewise activations or clips. A correct LSTM that rounds every result to float16 solves each of them.
LSTMs with random defects solve the first ones in float64. None of these should conform because arguments cross a kink.
"""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.arguments import make_parser
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.solve import solve
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.kinks import judge_across_kinks
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect
from tests.reference.problems import run
from tests.reference.variants import Half

ORACLE = Oracle(None)
MAX_ROWS_WITH_DEFECTS = 20
"""Number of rows of the largest problem that LSTMs with defects solve."""
DEFECTS = 40
"""Number of defects that are tried on each problem."""


def draw_cases(amount: int, seed: int) -> Iterator[Case]:
    """Yields float16 cases with kinks."""
    chosen = random.Random(seed)
    pick = chosen.choice
    for _ in range(amount):
        gates = [pick(["hard_sigmoid", "hard_sigmoid_6", "sigmoid"]), pick(["relu", "leaky_relu", "elu", "tanh"])]
        kinked: dict[str, Any] = pick(
            [
                {"activations": [*gates, pick(["relu", "leaky_relu"])]},
                {"clip": pick([0.1, 0.5, 1.0])},
                {"cell_clip": pick([0.1, 0.5, 1.0])},
            ]
        )
        yield Case(
            input_size=pick([1, 2, 3, 5]),
            hidden_size=pick([1, 2, 4, 7]),
            num_layers=pick([1, 1, 2]),
            direction=pick(["forward", "forward", "bidirectional"]),
            seq_len=pick([1, 2, 4, 8]),
            batch=pick([1, 3, 20, 200]),
            dtype="float16",
            seed=chosen.randrange(10**9),
            **kinked,
        )


def outcome(judged: JudgedSolution) -> str:
    """Returns what the suite decides about a solution."""
    verdict = judge(*judged[:3])
    if verdict.conforms:
        return "conforms"
    crossing = judge_across_kinks(judged, verdict, PROFILES["float16"])
    return "conforms across kinks" if crossing and crossing.verdict.conforms else "deviates"


def main() -> None:
    """Prints what becomes of correct solutions and of solutions with a defect."""
    parser = make_parser("kinks", __doc__)
    parser.add_argument("--seed", type=int, default=0, help="seed of the cases; default: %(default)s")
    parser.add_argument("--cases", type=int, default=400, help="number of cases; default: %(default)s")
    args = parser.parse_args()
    correct: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    chosen = random.Random(args.seed)
    for number, case in enumerate(draw_cases(args.cases, args.seed)):
        problem, dialect = make_problem(case), Dialect()
        try:
            expectation = ORACLE.expect(problem, PROFILES["float16"], dialect)
        except RejectedCaseError:
            continue
        half = {name: tensor.close_sum().value.astype(np.float64) for name, tensor in run(problem, Half.lift).items()}
        correct[outcome(JudgedSolution(problem, half, expectation, dialect))] += 1
        if number < args.cases // 4 and case.num_rows <= MAX_ROWS_WITH_DEFECTS:
            applicable = [defect for defect in CATALOGUE if defect.applies_to(case)]
            for defect in chosen.sample(applicable, DEFECTS):
                solution = solve(defect, problem, dialect)
                wrong[outcome(JudgedSolution(problem, solution, expectation, dialect))] += 1
    print("correct in float16: " + ", ".join(f"{count:,} {what}" for what, count in correct.most_common()))
    print("with a defect:      " + ", ".join(f"{count:,} {what}" for what, count in wrong.most_common()))


if __name__ == "__main__":
    main()
