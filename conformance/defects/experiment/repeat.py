"""Checks whether solutions repeat."""

from collections.abc import Mapping

import numpy as np

from conformance.defects.experiment.findings import Finding
from conformance.defects.experiment.trial import Arrays, Subject, Trial


def unrepeatable(subject: Subject, trials: Mapping[str, Trial]) -> list[Finding]:
    """Solves each problem twice, and again after others. Returns what does not repeat."""
    found: dict[str, list[str]] = {}
    before = None
    for name, trial in trials.items():
        again = {
            "again after others": subject.solve(trial.problem),
            "twice in a row": subject.solve(trial.problem),
        }
        subject.solve(subject.problem(trial.case, 1))
        again["again after another one of the same shape"] = subject.solve(trial.problem)
        if before is not None:
            subject.solve(before)
            again["again after one of another shape"] = subject.solve(trial.problem)
        before = trial.problem
        for when, solution in again.items():
            if differing := _differing(trial, solution):
                what = f"does not repeat: {', '.join(differing)} changes when the same problem is solved {when}"
                found.setdefault(what, []).append(name)
                break
    return [Finding(what, tuple(names)) for what, names in found.items()]


def _differing(trial: Trial, solution: Arrays) -> list[str]:
    """Returns the names of the tensors that differ by more than rounding from those of the first solution."""
    names = []
    for name, first in trial.judged.solution.items():
        other = solution.get(name, np.nan)
        if np.shape(other) != np.shape(first):
            names.append(name)
            continue
        budget = trial.judged.expectation.budget.get(name)
        if budget is None or np.shape(budget) != np.shape(first) or first.dtype.kind != "f":
            continue  # The verdict on the probe reports this.
        open_elements = np.isinf(budget)
        first, other = np.asarray(first, np.float64), np.asarray(other, np.float64)
        near = np.isclose(first, other, rtol=0.0, atol=2 * trial.tolerance(name), equal_nan=True)
        if not (near | open_elements).all():
            names.append(name)
    return names
