"""Failures without a known cause."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.cases.size import operations
from conformance.defects.experiment.trial import Trial
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution


@dataclass(frozen=True)
class Failure:
    """A failure without a known cause.

    Attributes:
        key: key of the case.
        judged: the wrong solution, which may be that of a smaller variant.
    """

    key: str
    judged: JudgedSolution

    @property
    def trial(self) -> Trial:
        """The failure as a trial."""
        problem, solution, expectation, _ = self.judged
        return Trial(self.judged, judge(problem, solution, expectation))


def smallest_first(failures: Iterable[Failure]) -> list[Failure]:
    """Sorts failures by the operations of their cases."""
    return sorted(failures, key=lambda failure: operations(failure.judged.problem.case))


def unclaimed(failures: Sequence[Failure], claimed: Iterable[Failure]) -> list[Failure]:
    """Returns the failures that are not among others."""
    keys = {failure.key for failure in claimed}
    return [failure for failure in failures if failure.key not in keys]
