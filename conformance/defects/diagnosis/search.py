"""Search for defects that reproduce an observed solution."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import permutations
from typing import NamedTuple

import numpy as np

from conformance.cases.uses import RESULTS
from conformance.defects.defect import Arrays, Defect
from conformance.defects.diagnosis.compose import changes_only_gradients, compose, with_gradients_as_read
from conformance.defects.diagnosis.observation import Observation, perturbed_by_rounding
from conformance.defects.solve import solve
from conformance.verdict.problem import Problem

MAX_MISFIT = 1.0
"""Largest misfit, in tolerances, at which a defect explains a tensor."""
MAX_UNEXPLAINED_SHARE = 0.3
"""Largest share of the deviation that a cause may leave unexplained: its misfit divided by the reference's misfit."""
SAME_BELOW = 0.1
"""Largest difference, in tolerances, between two predictions that count as equal."""
MIN_RESIZE_COSINE = 0.9
"""Smallest cosine between predicted and observed deviations for which a defect is tried with another size."""
_MAX_RESIZES = 3
_PERTURBATIONS = 2
"""Number of perturbed problems that measure how much a defect amplifies rounding."""
_RIGHT = Defect(id="none", what="without a defect")


@dataclass(frozen=True)
class Cause:
    """A defect that explains a failure.

    Attributes:
        defect: the defect, possibly composed of two.
        misfit: largest |deviation| from the defect's prediction, in tolerances.
        like_best: whether the defect's prediction equals that of the best cause.
    """

    defect: Defect
    misfit: float
    like_best: bool


class _Fit(NamedTuple):
    misfit: float
    defect: Defect
    prediction: Arrays


class _Miss(NamedTuple):
    """A defect that does not fit, with a sort key: the lower the rank, the more the defect explains."""

    defect: Defect
    rank: tuple[float, float]


class Search:
    """Tries defects on one observation until a time limit.

    Attributes:
        complete: whether every single defect was tried within the time limit.
    """

    def __init__(self, observation: Observation, max_cpu_seconds: float = math.inf) -> None:
        self.complete = True
        self._observation = observation
        self._deadline = time.process_time() + max_cpu_seconds
        self._fits: list[_Fit] = []
        self._misses: list[_Miss] = []
        problem = observation.problem
        outputs = tuple(check for check in problem.case.check if check in RESULTS)
        self._forward = replace(problem, case=problem.case.model_copy(update={"check": outputs})) if outputs else None

    def try_each(self, defects: Iterable[Defect]) -> bool:
        """Tries defects one at a time. Returns whether any fits."""
        for defect in defects:
            if self._is_late():
                self.complete = False
                break
            if defect.applies_to(self._observation.problem.case):
                self._try(defect)
        return bool(self._fits)

    def try_pairs(self) -> None:
        """Tries pairs of the defects that were tried so far, the most promising first, until a pair fits."""
        promising = [miss.defect for miss in sorted(self._misses, key=lambda miss: miss.rank)]
        self._misses.clear()
        for pair in _composed_pairs(promising):
            if self._fits or self._is_late():
                return
            # One defect may need shapes or values that the other one removes.
            with suppress(Exception):
                self._try(pair)

    def causes(self) -> list[Cause]:
        """Returns the defects that fit, best first."""
        fits = sorted(self._fits, key=lambda fit: fit.misfit)
        return [
            Cause(fit.defect, fit.misfit, self._difference(fit.prediction, fits[0].prediction) <= SAME_BELOW)
            for fit in fits
        ]

    def misfits(self, defect: Defect) -> dict[str, float]:
        """Returns the misfit of each tensor to a defect's prediction.

        If a misfit exceeds ``MAX_MISFIT``, all misfits are divided by the defect's amplification of rounding.
        """
        problem = self._observation.problem
        prediction = self._solve(defect, problem)
        misfits = self._observation.misfits(prediction)
        if max(misfits.values(), default=0.0) <= MAX_MISFIT:
            return misfits
        amplification = self._amplification(defect, problem, prediction)
        return {name: misfit / amplification[name] for name, misfit in misfits.items()}

    def _try(self, defect: Defect, resizes: int = _MAX_RESIZES) -> None:
        """Tries a defect, then the same defect with other sizes.

        The forward pass comes first and rules out most defects.
        """
        prediction: Arrays = {}
        misfits: dict[str, float] = {}
        if self._forward:
            prediction = self._predict_forward(defect, self._forward)
            misfits = self._refined_misfits(defect, self._forward, prediction)
        if max(misfits.values(), default=0.0) <= MAX_MISFIT:
            for variant in filter(None, (defect, with_gradients_as_read(defect))):
                prediction = self._solve(variant, self._observation.problem)
                misfits = self._refined_misfits(variant, self._observation.problem, prediction)
                if max(misfits.values()) <= MAX_MISFIT and self._explains_most(misfits):
                    if all(variant.id != fit.defect.id for fit in self._fits):  # Two sizes can converge to one.
                        self._fits.append(_Fit(max(misfits.values()), variant, prediction))
                    return
        self._misses.append(_Miss(defect, self._rank(misfits)))
        resized = self._resized(defect, prediction) if resizes else None
        if resized:
            self._try(resized, resizes - 1)

    def _predict_forward(self, defect: Defect, forward: Problem) -> Arrays:
        if changes_only_gradients(defect):
            return {name: self._observation.values[name] for name in forward.expected_shapes()}
        return self._solve(defect, forward)

    def _refined_misfits(self, defect: Defect, problem: Problem, prediction: Arrays) -> dict[str, float]:
        """Returns the misfits of a prediction.

        After a narrow miss, the misfits are divided by the defect's amplification of rounding.
        """
        misfits = self._observation.misfits(prediction)
        if max(misfits.values(), default=0.0) <= MAX_MISFIT or not self._explains_most(misfits):
            return misfits
        amplification = self._amplification(defect, problem, prediction)
        return {name: misfit / amplification[name] for name, misfit in misfits.items()}

    def _explains_most(self, misfits: Mapping[str, float]) -> bool:
        """Returns whether the misfits are small compared with those of the reference."""
        deviation = max(self._observation.reference_misfits[name] for name in misfits)
        return max(misfits.values()) <= MAX_UNEXPLAINED_SHARE * deviation

    def _amplification(self, defect: Defect, problem: Problem, prediction: Arrays) -> dict[str, float]:
        """Returns by which factor, at least 1, a defect amplifies rounding more than the reference, for each tensor."""
        observation = self._observation
        factors = dict.fromkeys(prediction, 1.0)
        for draw in range(_PERTURBATIONS):
            perturbed = perturbed_by_rounding(problem, draw)
            right, wrong = self._solve(_RIGHT, perturbed), self._solve(defect, perturbed)
            for name in observation.got.keys() & prediction.keys():
                defect_change = observation.misfit(name, wrong[name], prediction[name])
                reference_change = observation.misfit(name, right[name], observation.values[name])
                if np.isfinite(defect_change) and reference_change > 0:
                    factors[name] = max(factors[name], defect_change / reference_change)
        return factors

    def _resized(self, defect: Defect, prediction: Arrays) -> Defect | None:
        """Returns a defect with the size that fits the observation best; None if no size can fit."""
        if defect.with_size is None or defect.size is None or not prediction:
            return None
        observed = self._observation.scaled_deviations(self._observation.got, prediction)
        predicted = self._observation.scaled_deviations(prediction, prediction)
        norms = float(np.linalg.norm(observed) * np.linalg.norm(predicted))
        product = float(observed @ predicted)
        if not np.isfinite(norms) or norms == 0 or product < MIN_RESIZE_COSINE * norms:
            return None
        return defect.with_size(defect.size * product / float(predicted @ predicted))

    def _solve(self, defect: Defect, problem: Problem) -> Arrays:
        # A defect may overflow or read NaN from padding, like the implementation.
        with np.errstate(all="ignore"):
            return solve(defect, problem, self._observation.dialect)

    def _rank(self, misfits: Mapping[str, float]) -> tuple[float, float]:
        """Returns a sort key of a defect that does not fit: explained tensors first, then remaining misfits."""
        before = self._observation.reference_misfits
        remaining = [np.log(min(misfits.get(name, misfit), 1e9) + 1) for name, misfit in before.items()]
        explained = sum(misfit <= MAX_MISFIT for misfit in misfits.values())
        return -float(explained), float(np.sum(remaining))

    def _difference(self, one: Arrays, other: Arrays) -> float:
        return max(self._observation.misfit(name, one[name], other[name]) for name in self._observation.got)

    def _is_late(self) -> bool:
        return time.process_time() >= self._deadline


def _composed_pairs(defects: Sequence[Defect]) -> Iterator[Defect]:
    """Yields the composition of each pair of defects that can be combined, pairs of the first defects first."""
    for i, j in sorted(permutations(range(len(defects)), 2), key=lambda pair: (pair[0] + 1) * (pair[1] + 1)):
        pair = compose(defects[i], defects[j])
        if pair is not None:
            yield pair
