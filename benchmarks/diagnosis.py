"""Measures how often a diagnosis names the true cause of a failure.

Each defect of the catalogue is run on random problems that are not shipped cases. It computes in float32 from inputs
that are perturbed by rounding errors, and its results are rounded to float32. The diagnosis compares the results with
predictions in float64.

=====================================================================  ======
failures with the true cause among the causes                          ≥ 0.95
failures with only the true cause and indistinguishable defects        ≥ 0.90
diagnoses of solutions without a defect, with noise near the budget    0
CPU seconds for one failure                                            ≤ 2
=====================================================================  ======

``python -m benchmarks.mistakes`` measures the same for mistakes that the catalogue does not hold.
"""

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from benchmarks.arguments import make_parser
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.diagnose import diagnose
from conformance.defects.diagnosis.observation import perturbed_by_rounding
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.defects.solve import solve
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

CONFIGURATIONS = 4
"""Default number of random configurations."""
_DRAW = 1000
"""Seed of the values of a problem, see ``make_problem``, and of the perturbation of its inputs."""
_NOISE_BUDGETS = (0.5, 1.0, 1.5, 3.0)
"""Largest noise on solutions without a defect, in budgets. The smallest conforms, the largest does not."""


@dataclass
class Rates:
    """Counts of correct and false diagnoses.

    Attributes:
        failures: failing solutions of a defect.
        named: failures with the true cause among the causes.
        unique: failures with only the true cause and indistinguishable defects.
        missed: descriptions of the failures without the true cause.
        clean: solutions without a defect.
        false: diagnoses of solutions without a defect.
        seconds: CPU seconds of each diagnosis.
    """

    failures: int = 0
    named: int = 0
    unique: int = 0
    missed: list[str] = field(default_factory=list)
    clean: int = 0
    false: int = 0
    seconds: list[float] = field(default_factory=list)


def random_cases(count: int) -> Iterator[Case]:
    """Yields random configurations, the same in every run."""
    draw = random.Random(0)
    for _ in range(count):
        layers, hidden, steps, rows = draw.randint(1, 3), draw.randint(3, 7), draw.randint(3, 9), draw.randint(2, 5)
        drops = layers > 1 and draw.random() < 0.5
        yield Case.model_validate(
            {
                "input_size": draw.randint(2, 7),
                "hidden_size": hidden,
                "num_layers": layers,
                "direction": draw.choice(["forward", "reverse", "bidirectional"]),
                "batch_first": draw.random() < 0.5,
                "proj_size": draw.choice([0, 0, 2]),
                "dropout": 0.3 if drops else 0.0,
                "mode": "train" if drops else "eval",
                "seq_len": steps,
                "batch": rows,
                "lengths": draw.choice([None, "ragged"]),
                "values": draw.choice(["scale-1", "scale-2", "uniform"]),
            }
        )


def solve_in_float32(defect: Defect, problem: Problem, dialect: Dialect) -> dict[str, NDArray[Any]]:
    """Returns the solution of a float32 implementation with a defect."""
    single = defect if defect.lift is not reference.float64 else replace(defect, lift=_float32)
    with np.errstate(all="ignore"):
        solution = solve(single, perturbed_by_rounding(problem, _DRAW), dialect)
        return {name: np.asarray(array, np.float32) for name, array in solution.items()}


def _float32(array: Any) -> NDArray[np.float32]:
    return np.asarray(array, np.float32)


def measure(case: Case, rates: Rates, defects: tuple[Defect, ...] = CATALOGUE) -> None:
    """Diagnoses all detectable defects, and solutions without a defect, on one configuration. Updates the rates."""
    dialect = Dialect()
    problem = make_problem(case, _DRAW)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], dialect)
    with np.errstate(all="ignore"):
        detectable = error_ratios(
            problem, expectation, dialect, (defect for defect in defects if not defect.equivalent)
        )
    for defect in defects:
        if detectable.get(defect.id, 0.0) <= DETECTED_ABOVE:
            continue
        solution = solve_in_float32(defect, problem, dialect)
        start = time.process_time()
        diagnosis = diagnose(JudgedSolution(problem, solution, expectation, dialect), CATALOGUE)
        rates.seconds.append(time.process_time() - start)
        if diagnosis is None:
            continue  # The solution conforms: rounding hides a small deviation.
        rates.failures += 1
        names = [cause.defect.id for cause in diagnosis.causes]
        rates.named += defect.id in names
        rates.unique += defect.id in names and all(cause.like_best for cause in diagnosis.causes)
        if defect.id not in names:
            rates.missed.append(f"{defect.id} ({detectable[defect.id]:.2g}): {', '.join(names) or 'unexplained'}")
    for size in _NOISE_BUDGETS:
        rates.clean += 1
        noisy = JudgedSolution(problem, _noisy(expectation, size), expectation, dialect)
        diagnosis = diagnose(noisy, CATALOGUE)
        rates.false += diagnosis is not None and bool(diagnosis.causes)


def _noisy(expectation: Expectation, size: float) -> Mapping[str, NDArray[np.float64]]:
    """Returns the reference's tensors with uniform noise of at most ``size`` budgets."""
    draw = np.random.default_rng(0)
    return {
        name: value + size * expectation.budget[name] * draw.uniform(-1, 1, value.shape)
        for name, value in expectation.values.items()
    }


def main() -> None:
    """Measures and prints the rates of correct and false diagnoses."""
    parser = make_parser("diagnosis", __doc__)
    parser.add_argument(
        "configurations",
        nargs="?",
        type=int,
        default=CONFIGURATIONS,
        help="number of random configurations (default: %(default)s)",
    )
    count = parser.parse_args().configurations
    if count < 1:
        parser.error(f"configurations must be at least 1, got {count}")
    rates = Rates()
    for case in random_cases(count):
        measure(case, rates)
        print(f"{rates.named} of {rates.failures} named, {rates.unique} uniquely, after {case.canonical}", flush=True)
    print(f"{len(CATALOGUE)} defects, {rates.failures} failures")
    for line in rates.missed:
        print(f"  not named: {line}")
    print(f"true cause among the causes: {rates.named / rates.failures:.3f} (limit ≥ 0.95)")
    print(f"only the true cause and indistinguishable defects: {rates.unique / rates.failures:.3f} (limit ≥ 0.90)")
    print(f"diagnoses of {rates.clean} solutions without a defect: {rates.false} (limit 0)")
    print(f"CPU seconds for one failure: mean {np.mean(rates.seconds):.2f}, maximum {max(rates.seconds):.2f} (limit 2)")


if __name__ == "__main__":
    main()
