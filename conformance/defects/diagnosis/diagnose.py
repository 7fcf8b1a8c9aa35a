"""Which defects explain a failed solution: those whose predictions meet all of its tensors within budget.

The catalogue's defects are solved on the failing problem, one by one, and in pairs where no single one explains all.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conformance.defects.defect import Arrays, Defect, solve
from conformance.defects.diagnosis.compose import compose, errs_on_the_way_back_only, unreturned
from conformance.defects.diagnosis.observation import Observation, nudged
from conformance.verdict.oracle import Expectation
from conformance.verdict.problem import Problem
from reference import Dialect

SECONDS = 1.6
"""CPU seconds after which no further defect is tried on a failing case."""
FIT = 1.0
"""The largest misfit, in tolerances, with which a defect explains a tensor."""
BETTER = 0.3
"""A defect explains something only if its misfit is at most this share of the reference's own."""
ALIKE = 0.1
"""Predictions that differ by less, in tolerances, are not told apart."""
SIMILAR = 0.9
"""The cosine between two deviations from which on a defect is tried in another size."""
_RESIZINGS = 3
_NUDGES = 2
_RIGHT = Defect(id="none", what="without a defect")


@dataclass(frozen=True)
class Cause:
    """A defect, or a pair of them, that explains a failure.

    Attributes:
        defect: the defect; a pair is one too.
        error_ratio: the largest |deviation| from what it predicts, in tolerances.
        like_best: whether its predictions are those of the best cause.
    """

    defect: Defect
    error_ratio: float
    like_best: bool


@dataclass(frozen=True)
class Diagnosis:
    """What explains a failure; nothing if it has no causes.

    Attributes:
        causes: best first.
        compared: tensors that could be compared: there, and of the right shape.
        expected: tensors that the problem expects.
        complete: whether all single defects were tried in time.
    """

    causes: tuple[Cause, ...]
    compared: int
    expected: int
    complete: bool = True

    def __str__(self) -> str:
        """In words for whoever has to find the mistake."""
        if not self.causes:
            tried = "" if self.complete else " of those tried in time"
            return f"unexplained: no known defect{tried} behaves like this"
        best = self.causes[0]
        text = f"behaves exactly like an LSTM {best.defect.what}"
        if alike := [f"one {cause.defect.what}" for cause in self.causes[1:] if cause.like_best]:
            text += f", or, which is the same here, {'; or '.join(alike)}"
        if others := [f"one {cause.defect.what}" for cause in self.causes if cause is not best and not cause.like_best]:
            text += f"; less exactly like {'; '.join(others)}"
        within = max(1, math.ceil(10 * best.error_ratio)) / 10
        return f"{text} ({self.compared} of {self.expected} tensors within {within:g} of budget)"


def diagnose(
    problem: Problem,
    solution: Mapping[str, NDArray[Any]],
    expectation: Expectation,
    dialect: Dialect,
    catalogue: Iterable[Defect],
    suspects: Sequence[Defect] = (),
    pairs: bool = True,
) -> Diagnosis | None:
    """What explains a solution; None if it conforms in every tensor that can be compared.

    Args:
        problem: the failing problem.
        solution: what the implementation answered.
        expectation: what it should have answered.
        dialect: the implementation's conventions.
        catalogue: the defects to try.
        suspects: causes of the implementation's other failures: if any fit, nothing else is tried.
        pairs: whether to try two defects at once where no single one fits; never done where a value is not finite.
    """
    seen = Observation(problem, solution, expectation)
    if not seen.deviates:
        return None
    trial = _Trial(seen, dialect, time.process_time() + SECONDS)
    singles = [defect for defect in catalogue if not defect.equivalent]
    for candidates in (suspects, singles):
        if trial.singly(candidates):
            return trial.diagnosis()
    if pairs and seen.finite:
        trial.in_pairs()
    return trial.diagnosis()


def misfits(
    problem: Problem, solution: Mapping[str, NDArray[Any]], expectation: Expectation, dialect: Dialect, defect: Defect
) -> dict[str, float]:
    """How far each tensor of a solution is from what an LSTM with a defect answers, in tolerances.

    Tensors that cannot be compared, since they are missing or shaped wrongly, are not in it.
    """
    return _Trial(Observation(problem, solution, expectation), dialect, math.inf).misfits(defect)


class _Tried(NamedTuple):
    defect: Defect
    rank: tuple[float, ...]
    """Tensors left unexplained, then how much of them."""


class _Trial:
    """Tries defects on one observation, until the time is up."""

    def __init__(self, seen: Observation, dialect: Dialect, until: float) -> None:
        self._seen, self._dialect, self._until = seen, dialect, until
        self._fits: list[tuple[float, Defect, Arrays]] = []
        self._tried: list[_Tried] = []
        self._complete = True
        problem = seen.problem
        results = tuple(check for check in problem.case.check if check != "gradients")
        self._forward = replace(problem, case=problem.case.model_copy(update={"check": results})) if results else None
        self._results = {name: seen.values[name] for name in self._forward.expected_shapes()} if self._forward else {}

    def singly(self, defects: Iterable[Defect]) -> bool:
        """Tries each; whether any fits."""
        for defect in defects:
            if not self._in_time():
                self._complete = False
                break
            if defect.concerns(self._seen.problem.case):
                self._try(defect)
        return bool(self._fits)

    def in_pairs(self) -> None:
        """Tries the defects that left least unexplained two at a time, the likeliest first, until a pair fits."""
        likeliest = [tried.defect for tried in sorted(self._tried, key=lambda tried: tried.rank)]
        self._tried.clear()
        for pair in _pairs(likeliest):
            if self._fits or not self._in_time():
                return
            # Changes that each work alone may need shapes or numbers that the other one takes away.
            with suppress(Exception):
                self._try(pair)

    def misfits(self, defect: Defect) -> dict[str, float]:
        """How far each tensor is from a defect's; where beyond, by the tolerances of the wrong computation itself."""
        prediction = self._solve(defect, self._seen.problem)
        found = self._seen.misfits(prediction)
        if max(found.values(), default=0.0) <= FIT:
            return found
        grown = self._growth(defect, self._seen.problem, prediction)
        return {name: misfit / grown[name] for name, misfit in found.items()}

    def diagnosis(self) -> Diagnosis:
        """What came of it."""
        seen, fits = self._seen, sorted(self._fits, key=lambda fit: fit[0])
        causes = [
            Cause(defect, error_ratio, self._apart(prediction, fits[0][2]) <= ALIKE)
            for error_ratio, defect, prediction in fits
        ]
        return Diagnosis(tuple(causes), len(seen.got), len(seen.shapes), self._complete)

    def _try(self, defect: Defect, resizings: int = _RESIZINGS) -> None:
        """Solves forward first: most defects are out by then."""
        prediction: Arrays = {}
        if self._forward:
            right = errs_on_the_way_back_only(defect)
            prediction = self._results if right else self._solve(defect, self._forward)
        misfits = self._seen.misfits(prediction)
        if self._within(defect, self._forward, prediction, misfits):
            for variant in filter(None, (defect, unreturned(defect))):
                prediction = self._solve(variant, self._seen.problem)
                misfits = self._seen.misfits(prediction)
                if self._within(variant, self._seen.problem, prediction, misfits):
                    if any(variant.id == fit.id for _, fit, _ in self._fits):
                        return  # Another size of it, which fitted once it was resized.
                    self._fits.append((max(misfits.values()), variant, prediction))
                    return
        self._tried.append(_Tried(defect, self._rank(misfits)))
        resized = self._resized(defect, prediction) if resizings else None
        if resized:
            self._try(resized, resizings - 1)

    def _within(self, defect: Defect, problem: Problem | None, prediction: Arrays, misfits: dict[str, float]) -> bool:
        """Whether a prediction is met; where it misses narrowly, by the tolerances of the wrong computation itself."""
        if problem is None:
            return True
        before = [self._seen.reference[name] for name in misfits]
        worst, allowed = max(misfits.values()), max(FIT, BETTER * max(before))
        if problem is self._seen.problem and worst > BETTER * max(before):
            return False
        if worst <= FIT or worst > allowed:
            return worst <= FIT
        grown = self._growth(defect, problem, prediction)
        for name, misfit in misfits.items():
            misfits[name] = misfit / grown[name]
        return max(misfits.values()) <= FIT

    def _growth(self, defect: Defect, problem: Problem, prediction: Arrays) -> dict[str, float]:
        """By how much more than the right computation a wrong one amplifies rounding of all that it reads."""
        grown = dict.fromkeys(prediction, 1.0)
        for draw in range(_NUDGES):
            other = nudged(problem, draw)
            right, wrong = (self._solve(one, other) for one in (_RIGHT, defect))
            for name in self._seen.got.keys() & prediction.keys():
                ours = self._seen.misfit(name, wrong[name], prediction[name])
                theirs = self._seen.misfit(name, right[name], self._seen.values[name])
                if np.isfinite(ours) and theirs > 0:
                    grown[name] = max(grown[name], ours / theirs)
        return grown

    def _resized(self, defect: Defect, prediction: Arrays) -> Defect | None:
        """The defect in the size that the observation speaks for, if it deviates in the same direction."""
        if defect.sized is None or defect.size is None or not prediction:
            return None
        observed, predicted = (self._seen.deviations(answer, prediction) for answer in (self._seen.got, prediction))
        norms = float(np.linalg.norm(observed) * np.linalg.norm(predicted))
        along = float(observed @ predicted)
        if not np.isfinite(norms) or norms == 0 or along < SIMILAR * norms:
            return None
        return defect.sized(defect.size * along / float(predicted @ predicted))

    def _solve(self, defect: Defect, problem: Problem) -> Arrays:
        # What a defect reads from padding may be NaN or overflow, as in the implementation that has it.
        with np.errstate(all="ignore"):
            return solve(defect, problem, self._dialect)

    def _rank(self, misfits: Mapping[str, float]) -> tuple[float, ...]:
        before = self._seen.reference
        left = [np.log(min(misfits.get(name, worst), 1e9) + 1) for name, worst in before.items()]
        explained = sum(misfit <= FIT for misfit in misfits.values())
        return -float(explained), float(np.sum(left))

    def _apart(self, one: Arrays, other: Arrays) -> float:
        return max(self._seen.misfit(name, one[name], other[name]) for name in self._seen.got)

    def _in_time(self) -> bool:
        return time.process_time() < self._until


def _pairs(defects: Sequence[Defect]) -> Iterator[Defect]:
    """All that compose, those of the first ones first."""
    places = sorted(permutations(range(len(defects)), 2), key=lambda pair: (pair[0] + 1) * (pair[1] + 1))
    for i, j in places:
        pair = compose(defects[i], defects[j])
        if pair is not None:
            yield pair
