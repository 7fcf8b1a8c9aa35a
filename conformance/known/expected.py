"""Whether known divergences account for what an implementation did: nothing else that is wrong may hide behind them."""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.compose import compose
from conformance.defects.diagnosis.diagnose import misfits
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.known.divergences import Divergence
from conformance.results.record import Status
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import ChaoticCaseError, Oracle
from conformance.verdict.problem import Problem
from reference import PROFILES

DEFECTS = {defect.id: defect for defect in CATALOGUE}


class Outcome(NamedTuple):
    """What a divergence makes of a result: its status, and why."""

    status: Status
    reason: str


def for_error(expected: Sequence[Divergence], message: str) -> Outcome | None:
    """The divergence that an error is, if it is one.

    Args:
        expected: those that the case is expected to show.
        message: what was raised.
    """
    return next((_known([entry]) for entry in expected if entry.raises(message)), None)


def for_deviation(
    expected: Sequence[Divergence], failing: Collection[str], judged: JudgedSolution, oracle: Oracle
) -> Outcome | None:
    """The divergences that together are what deviates, if any are; or one that should show beside them and does not.

    Args:
        expected: those that the case is expected to show.
        failing: the tensors that do not conform.
        judged: the solution.
        oracle: gives what is expected of less precise arithmetic.
    """
    entries = [entry for entry in expected if entry.tensors]
    for chosen in _choices(entries, failing):
        if _met(chosen, judged, oracle):
            rest = [entry for entry in entries if entry not in chosen]
            return for_conformance(rest, judged) or _known(chosen)
    return None


def for_conformance(expected: Sequence[Divergence], judged: JudgedSolution) -> Outcome | None:
    """The divergence that no longer happens, if one should have shown."""
    for entry in expected:
        if entry.always and _shows(entry, judged):
            return Outcome("fixed", f"{entry.id} no longer happens: remove its entry")
    return None


def _known(entries: Sequence[Divergence]) -> Outcome:
    what = " ".join(entry.what for entry in entries)
    return Outcome("known", f"{' and '.join(entry.id for entry in entries)}: {what}")


def _choices(entries: Sequence[Divergence], failing: Collection[str]) -> Iterator[tuple[Divergence, ...]]:
    """All that can have a part in it, as many as possible at once; a case may show several."""
    for count in range(len(entries), 0, -1):
        for chosen in combinations(entries, count):
            if all(any(entry.concerns(name) for entry in chosen) for name in failing) and all(
                any(entry.concerns(name) for name in failing) for entry in chosen
            ):
                yield chosen


def _met(chosen: Sequence[Divergence], judged: JudgedSolution, oracle: Oracle) -> bool:
    """Whether the solution is what those divergences make of it, as far as they say what that is."""
    problem, solution, expectation, dialect = judged
    free = [entry for entry in chosen if not entry.predicts]
    bound = [name for name in problem.expected_shapes() if not any(entry.concerns(name) for entry in free)]
    if len(free) == len(chosen) or not bound:
        return True
    profiles = [PROFILES[entry.profile] for entry in chosen if entry.profile]
    if profiles:
        try:
            expectation = oracle.expect(problem, max(profiles, key=lambda profile: profile.u), dialect)
        except ChaoticCaseError:
            return False
    found = sorted((defect for entry in chosen for defect in _defects(entry, problem)), key=lambda defect: defect.id)
    if found:
        wrong: Defect | None = found[0]
        for other in found[1:]:
            wrong = wrong and compose(wrong, other)
        if wrong is None:
            return False
        error_ratios = misfits(JudgedSolution(problem, solution, expectation, dialect), wrong)
    else:
        error_ratios = {each.name: each.error_ratio for each in judge(problem, solution, expectation).tensors}
    most = max((entry.error_ratio for entry in chosen if entry.error_ratio), default=1.0)
    return all(error_ratios.get(name, most + 1) <= most for name in bound)


def _shows(entry: Divergence, judged: JudgedSolution) -> bool:
    """Whether a divergence that behaves like a defect would be seen in this problem; any other one always is."""
    if not entry.defects:
        return True
    defects = _defects(entry, judged.problem)
    return any(
        found > DETECTED_ABOVE
        for found in error_ratios(judged.problem, judged.expectation, judged.dialect, defects).values()
    )


def _defects(entry: Divergence, problem: Problem) -> list[Defect]:
    return [defect for name in entry.defects if (defect := DEFECTS[name]).concerns(problem.case)]
