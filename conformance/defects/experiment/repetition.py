"""Finds out whether a failure repeats: in the same process, in another one, and with another number of threads."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from conformance.cases.case import Case
from conformance.defects.experiment.trial import Arrays, Subject, Trial

RUNS = 10
"""Number of times that a problem is solved if its failure does not repeat."""
_RUNS_PER_PROCESS = 5
"""Number of times that each of two processes solves a problem to find out whether its failure repeats."""
_MAX_CPU_SECONDS = 1.0
"""CPU time of a process after its first solution, after which no other run starts."""
_THREADS = (1, 4)
"""Numbers of threads with which a failure that does not repeat is counted, each in a new process."""


class Repetition(Enum):
    """Repeatability of a problem's failures in new processes that solve nothing else."""

    REPEATS = "every run fails alike"
    DEPENDS = "the same runs of each process fail, or none"
    COMES_AND_GOES = "other runs of each process fail"


def repetition(subject: Subject, trial: Trial) -> Repetition:
    """Solves the problem of a failure several times in a new process and, unless all runs fail alike, in a second one.

    What an implementation keeps of earlier calls has the same effect in each new process. Whatever else lets runs pass
    and fail, such as a race of threads or memory that is not initialized, differs from process to process. Without a
    process of its own, an implementation may keep something.
    """
    if subject.restart is None:
        return Repetition.DEPENDS
    first = _fresh_runs(subject, trial)
    if not any(trial.accepts(solution) or differing(trial, solution) for solution in first):
        return Repetition.REPEATS
    pairs = zip(first, _fresh_runs(subject, trial), strict=False)
    alike = all(trial.accepts(one) == trial.accepts(other) for one, other in pairs)
    return Repetition.DEPENDS if alike else Repetition.COMES_AND_GOES


def _fresh_runs(subject: Subject, trial: Trial) -> Sequence[Arrays]:
    """Returns the solutions of several runs in a new process, fewer if these are expensive."""
    assert subject.restart
    subject.restart()
    solutions = [subject.solve(trial.problem)]
    deadline = subject.clock() + _MAX_CPU_SECONDS
    while len(solutions) < _RUNS_PER_PROCESS and subject.clock() < deadline:
        solutions.append(subject.solve(trial.problem))
    return solutions


def sometimes_conforms(subject: Subject, trial: Trial) -> bool:
    """Returns whether any of ``RUNS`` runs of a failing problem conforms."""
    return any(trial.accepts(subject.solve(trial.problem)) for _ in range(RUNS))


def count_failures(subject: Subject, trial: Trial) -> str:
    """Describes how many runs of the same problem fail, with 1 and with 4 threads if the implementation supports it.

    An implementation may seed its dropout masks with the case, so that these would differ with the number of threads.
    """
    counts = []
    for threads in _THREADS:
        case = trial.case.model_copy(update={"threads": threads})
        if subject.restart is None or case.drops or not isinstance(subject.supported(case), Case):
            return f"fails in {_failing(subject, trial)} of {RUNS} runs of the same problem"
        changed = replace(trial, judged=trial.judged._replace(problem=replace(trial.problem, case=case)))
        counts.append(_failing(subject, changed))
    few, many = (f"{count} of {RUNS}" for count in counts)
    return f"fails in {few} runs of the same problem with {_THREADS[0]} thread, in {many} with {_THREADS[1]} threads"


def _failing(subject: Subject, trial: Trial) -> int:
    return sum(not trial.accepts(subject.solve(trial.problem)) for _ in range(RUNS))


def differing(trial: Trial, solution: Arrays) -> list[str]:
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
