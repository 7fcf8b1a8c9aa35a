"""Failures that come and go are counted, and distinguished from those that depend on earlier calls."""

import pytest

from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.probes import probe
from conformance.defects.experiment.repetition import Repetition, count_failures, repetition
from conformance.defects.experiment.trial import Subject, Trial
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered, Stateful


class ComesAndGoes(Altered):
    """Adds 1 to h_n in 3 of 10 runs, and with more than one thread in 8 of 10: in others in each process."""

    def __init__(self) -> None:
        super().__init__("comes and goes")
        self._process = self._run = 0

    def restart(self) -> None:
        self._process += 1
        self._run = 0

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        self._run += 1
        # 7 and 10 have no common divisor, so that any ten runs in a row get each of ten numbers.
        number = (7 * self._run + 3 * self._process) % 10
        fails = number < (8 if (problem.case.threads or 1) > 1 else 3)
        return found | ({"h_n": found["h_n"] + 1} if fails else {})


def failing(subject: Subject, case: Case | None = None) -> Trial:
    """Solves a problem until it fails."""
    problem = subject.problem(case or probe("one layer", "float64"))
    trials = (subject.try_problem(problem) for _ in range(10))
    return next(trial for trial in trials if not trial.verdict.conforms)


def test_runs_that_fail_are_counted_with_one_and_with_more_threads() -> None:
    adapter = ComesAndGoes()
    subject = Subject(adapter, restart=adapter.restart)
    trial = failing(subject)
    assert repetition(subject, trial) is Repetition.COMES_AND_GOES
    counted = "fails in 3 of 10 runs of the same problem with 1 thread, in 8 of 10 with 4 threads"
    assert count_failures(subject, trial) == counted


def test_threads_are_not_varied_if_the_implementation_does_not_support_it() -> None:
    class OneThread(ComesAndGoes):
        def supports(self, case: Case) -> str | None:
            return "it has one thread" if case.threads else None

    adapter = OneThread()
    subject = Subject(adapter, restart=adapter.restart)
    assert count_failures(subject, failing(subject)) == "fails in 3 of 10 runs of the same problem"


def forget(adapter: Altered) -> None:
    """Makes an implementation forget the call before."""
    if isinstance(adapter, Stateful):
        adapter.restart()


def test_threads_are_not_varied_if_dropout_masks_would_be_others() -> None:
    adapter = ComesAndGoes()
    subject = Subject(adapter, restart=adapter.restart)
    case = probe("one layer", "float64").model_copy(update={"mode": "train", "input_dropout": 0.5})
    assert count_failures(subject, failing(subject, case)) == "fails in 3 of 10 runs of the same problem"


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (Altered("wrong", after=lambda found, _: found | {"h_n": -found["h_n"]}), Repetition.REPEATS),
        (Stateful(), Repetition.DEPENDS),
    ],
    ids=["wrong", "stateful"],
)
def test_other_failures_do_not_come_and_go(adapter: Altered, expected: Repetition) -> None:
    subject = Subject(adapter, restart=lambda: forget(adapter))
    assert repetition(subject, failing(subject)) is expected


def test_dissect_does_not_claim_that_chance_depends_on_earlier_calls() -> None:
    adapter = ComesAndGoes()
    result = dissect(Subject(adapter, restart=adapter.restart), ("one layer",))
    assert not result.repeats
    does_not_repeat, counted = (finding.what for finding in result.findings)
    assert does_not_repeat.startswith("does not repeat: h_n changes")
    assert counted == "fails in 3 of 10 runs of the same problem with 1 thread, in 8 of 10 with 4 threads"
