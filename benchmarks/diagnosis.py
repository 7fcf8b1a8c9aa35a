"""How often a failure's cause is named: every defect of the catalogue, played back in float32 on problems of its own.

python -m benchmarks.diagnosis [CONFIGURATIONS]

The problems are drawn for this alone: none is a shipped case. What is observed is the defect's computation in float32,
on inputs that are off by a rounding, rounded once more at its end; what it is explained by are predictions in float64.

===============================================================  ======
the true cause is among those named                              ≥ 0.95
it alone is, with what cannot be told from it                    ≥ 0.90
diagnoses of solutions without a defect, around the budget       0
CPU seconds a failing case, at most                              ≤ 2
===============================================================  ======
"""

import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect, solve
from conformance.defects.diagnosis.diagnose import diagnose
from conformance.defects.diagnosis.observation import perturbed_by_rounding
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

CONFIGURATIONS = 4
"""Random configurations that are diagnosed."""
_DRAW = 1000
_HALF = 0.5
_NOISE = (0.5, 1.0, 1.5, 3.0)
"""Sizes of the noise on solutions without a defect, in budgets: from one that conforms to one that cannot be."""


@dataclass
class Rates:
    """What came of it."""

    tried: int = 0
    named: int = 0
    alone: int = 0
    false: int = 0
    clean: int = 0
    missed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def configurations(count: int) -> Iterator[Case]:
    """Random configurations, the same in every run."""
    draw = random.Random(0)
    for _ in range(count):
        layers, hidden, steps, rows = draw.randint(1, 3), draw.randint(3, 7), draw.randint(3, 9), draw.randint(2, 5)
        drops = layers > 1 and draw.random() < _HALF
        yield Case.model_validate(
            {
                "input_size": draw.randint(2, 7),
                "hidden_size": hidden,
                "num_layers": layers,
                "direction": draw.choice(["forward", "reverse", "bidirectional"]),
                "batch_first": draw.random() < _HALF,
                "proj_size": draw.choice([0, 0, 2]),
                "dropout": 0.3 if drops else 0.0,
                "mode": "train" if drops else "eval",
                "seq_len": steps,
                "batch": rows,
                "lengths": draw.choice([None, "ragged"]),
                "values": draw.choice(["scale-1", "scale-2", "uniform"]),
            }
        )


def observed(defect: Defect, problem: Problem, dialect: Dialect) -> dict[str, NDArray[Any]]:
    """What an implementation with a defect would answer in float32."""
    own = defect if defect.lift is not reference.float64 else replace(defect, lift=_single)
    with np.errstate(all="ignore"):
        answer = solve(own, perturbed_by_rounding(problem, _DRAW), dialect)
        return {name: np.asarray(array, np.float32) for name, array in answer.items()}


def _single(array: Any) -> NDArray[np.float32]:
    return np.asarray(array, np.float32)


def measure(case: Case, rates: Rates, defects: tuple[Defect, ...] = CATALOGUE) -> None:
    """Adds what comes of one configuration."""
    dialect = Dialect()
    problem = make_problem(case, _DRAW)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], dialect)
    with np.errstate(all="ignore"):
        visible = error_ratios(problem, expectation, dialect, (defect for defect in defects if not defect.equivalent))
    for defect in defects:
        if visible.get(defect.id, 0.0) <= DETECTED_ABOVE:
            continue
        solution = observed(defect, problem, dialect)
        start = time.process_time()
        diagnosis = diagnose(JudgedSolution(problem, solution, expectation, dialect), CATALOGUE)
        rates.seconds.append(time.process_time() - start)
        if diagnosis is None:
            continue  # It conforms here: rounding hides what little there was to see.
        rates.tried += 1
        names = [cause.defect.id for cause in diagnosis.causes]
        rates.named += defect.id in names
        rates.alone += defect.id in names and all(cause.like_best for cause in diagnosis.causes)
        if defect.id not in names:
            rates.missed.append(f"{defect.id} ({visible[defect.id]:.2g}): {', '.join(names) or 'unexplained'}")
    for size in _NOISE:
        rates.clean += 1
        noisy = JudgedSolution(problem, _noisy(expectation, size), expectation, dialect)
        diagnosis = diagnose(noisy, CATALOGUE)
        rates.false += diagnosis is not None and bool(diagnosis.causes)


def _noisy(expectation: Expectation, size: float) -> Mapping[str, NDArray[np.float64]]:
    draw = np.random.default_rng(0)
    return {
        name: value + size * expectation.budget[name] * draw.uniform(-1, 1, value.shape)
        for name, value in expectation.values.items()
    }


def main() -> None:
    """Diagnoses every defect that is seen, on every configuration."""
    rates = Rates()
    for case in configurations(int(sys.argv[1]) if len(sys.argv) > 1 else CONFIGURATIONS):
        measure(case, rates)
        print(f"{rates.named} of {rates.tried} named, {rates.alone} alone, after {case.canonical}", flush=True)
    print(f"{len(CATALOGUE)} defects, {rates.tried} failures")
    for line in rates.missed:
        print(f"  not named: {line}")
    print(f"the true cause is among those named: {rates.named / rates.tried:.3f} (at least 0.95)")
    print(f"it alone is, with what cannot be told from it: {rates.alone / rates.tried:.3f} (at least 0.90)")
    print(f"diagnoses of {rates.clean} solutions without a defect: {rates.false} (0)")
    print(f"CPU seconds a failing case: {np.mean(rates.seconds):.2f}, at most {max(rates.seconds):.2f} (2)")


if __name__ == "__main__":
    main()
