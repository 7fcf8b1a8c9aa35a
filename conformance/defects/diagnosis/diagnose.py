"""Diagnosis of a failed solution with the catalogue of defects.

The failing problem is solved with each defect. A defect explains the failure if it predicts every tensor within the
budget. If no single defect does, pairs of defects are tried.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.defects.defect import Defect
from conformance.defects.diagnosis.observation import Observation
from conformance.defects.diagnosis.search import Cause, Search
from conformance.defects.diagnosis.shrink import is_large
from conformance.verdict.judged import JudgedSolution
from reference import PROFILES, Profile

MAX_CPU_SECONDS = 1.6
"""CPU time per failing case after which no further defect is tried."""
MAX_CPU_SECONDS_OF_LARGE_CASES = 5.0
"""The same for large cases, such as a variant of the smallest failing width."""
EXACTLY_LIKE, LIKE = "behaves exactly like", "behaves within its declared rounding like"
"""Claims about a cause: that of an implementation that rounds as the dtype, and that of one with a wider profile."""


@dataclass(frozen=True)
class Diagnosis:
    """Explanation of a failure. A failure without causes is unexplained.

    Attributes:
        causes: causes, best first.
        compared: number of tensors that were present with the right shape, and therefore compared.
        expected: number of tensors that the problem expects.
        complete: whether all single defects were tried within the time limit.
        exact: whether the implementation declares no rounding beyond that of the dtype.
    """

    causes: tuple[Cause, ...]
    compared: int
    expected: int
    complete: bool = True
    exact: bool = True

    def __str__(self) -> str:
        if not self.causes:
            tried = "" if self.complete else " that was tried in time"
            return f"unexplained: no known defect{tried} behaves like this"
        best, *others = self.causes
        like = EXACTLY_LIKE if self.exact else LIKE
        text = f"{like} an LSTM {best.defect.what}"
        if same := [f"one {cause.defect.what}" for cause in others if cause.like_best]:
            text += f", or, with the same results here, {'; or '.join(same)}"
        if worse := [f"one {cause.defect.what}" for cause in others if not cause.like_best]:
            text += f"; less exactly like {'; '.join(worse)}"
        within = max(1, math.ceil(10 * best.misfit)) / 10
        return f"{text} ({self.compared} of {self.expected} tensors within {within:g} of budget)"


def rounds_only_as(profile: Profile, dtype: str) -> bool:
    """Returns whether a profile declares no rounding beyond that of a dtype.

    Within a wider budget, several defects can fit that have nothing to do with the failure.
    """
    return profile.unit <= PROFILES[dtype].u


def diagnose(
    judged: JudgedSolution,
    catalogue: Iterable[Defect],
    suspects: Sequence[Defect] = (),
    pairs: bool = True,
    exact: bool = True,
) -> Diagnosis | None:
    """Diagnoses a solution; returns None if no comparable tensor deviates.

    Args:
        judged: the failed solution.
        catalogue: defects to try.
        suspects: causes of the implementation's other failures. If one fits, no other defect is tried.
        pairs: whether to try pairs if no single defect fits. Never tried on a large case, or on a solution with NaN or
            infinity, and without ``exact``.
        exact: whether the implementation declares no rounding beyond that of the dtype, see ``rounds_only_as``.
    """
    observation = Observation(judged)
    if not observation.deviates:
        return None
    large = is_large(judged.problem.case)
    search = Search(observation, MAX_CPU_SECONDS_OF_LARGE_CASES if large else MAX_CPU_SECONDS)
    singles = [defect for defect in catalogue if not defect.equivalent]
    if (
        not (search.try_each(suspects) or search.try_each(singles))
        and pairs
        and exact
        and not large
        and observation.finite
    ):
        search.try_pairs()
    return Diagnosis(tuple(search.causes()), len(observation.got), len(observation.shapes), search.complete, exact)


def misfits(judged: JudgedSolution, defect: Defect) -> dict[str, float]:
    """Returns the largest |deviation| of each tensor from a defect's prediction, in tolerances.

    The result omits tensors that are missing or have a wrong shape.
    """
    return Search(Observation(judged)).misfits(defect)
