"""Comparison of a solution with the predictions of sets of divergences."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice
from typing import Any

import numpy as np

import reference
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.compose import compose
from conformance.defects.diagnosis.diagnose import misfits
from conformance.defects.forward import Forward
from conformance.defects.power.detection import DETECTED_ABOVE, FlatExpectation
from conformance.defects.solve import solve
from conformance.known.defects import make_defect
from conformance.known.divergences import Divergence
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle, RejectedCaseError, is_coarse, scale_of
from conformance.verdict.range import LARGEST_VALUE
from conformance.verdict.values import step_mask
from reference import PROFILES
from reference.network import Lift

MAX_SUBSETS = 64
"""Largest number of sets of divergences to try on one solution. Six divergences have 64 subsets."""
NEAR_MISS = 100.0
"""Misfit below which a prediction is compared again with its own budget, which takes longer to compute."""
_CORRECT = Defect(id="none", what="without a defect")

Entries = Sequence[Divergence]


class Trial:
    """Comparison of one solution with the predictions of divergences.

    An *exact* divergence has defects, which predict all tensors. A *loose* divergence only limits how its tensors
    deviate: to the budget of a less precise profile, to an error ratio, or to non-finite elements. Without such a limit
    it is *unlimited*.
    """

    def __init__(self, judged: JudgedSolution, oracle: Oracle | None = None) -> None:
        self._judged = judged
        self._oracle = oracle
        self._names = list(judged.problem.expected_shapes())

    def concerned(self, entry: Divergence) -> set[str]:
        """Returns the names of the problem's tensors that an entry concerns."""
        return {name for name in self._names if entry.concerns(name)}

    def is_finite(self, names: Iterable[str]) -> bool:
        """Returns whether some tensors of the solution contain neither NaN nor infinity."""
        found = (self._judged.solution[name] for name in names if name in self._judged.solution)
        return all(np.isfinite(tensor).all() for tensor in found)

    def error_ratio(self, defect: Defect) -> float:
        """Returns the largest error ratio of a defect on the problem."""
        return FlatExpectation(self._judged.expectation).error_ratio(self._solve(defect))

    def unpredicted(self, exact: Entries, loose: Entries) -> set[str] | None:
        """Returns the tensors that deviate from the prediction of some entries, as an unlimited entry allows.

        Returns None if the entries do not account for the solution.
        """
        ratios = self.misfits(exact, loose)
        if ratios is None:
            return None
        unlimited = [entry for entry in loose if not (entry.profile or entry.nan or entry.error_ratio)]
        found = {name for name, ratio in ratios.items() if ratio > self._limit(name, loose)}
        return found if all(any(entry.concerns(name) for entry in unlimited) for name in found) else None

    def misfits(self, exact: Entries, loose: Entries) -> dict[str, float] | None:
        """Returns the misfit of each tensor from the prediction of some entries.

        Returns None if the entries predict nothing: their defects cannot be combined, or the problem is chaotic in
        their profile.
        """
        judged, defect = self._in_profiles(loose), self.combined(exact)
        if judged is None or defect is None:
            return None
        return self._compare(judged, defect, nan=[entry for entry in loose if entry.nan])

    def detects(self, defect: Defect, exact: Entries, loose: Entries, names: set[str]) -> bool:
        """Returns whether some tensors would distinguish a further defect from the prediction of some entries."""
        judged, before = self._in_profiles(loose), self.combined(exact)
        after = before and compose_any(before, defect)
        if judged is None or before is None or after is None:
            return False
        ratios = self._compare(judged._replace(solution=self._solve(after)), before, nan=())
        return any(ratios[name] > DETECTED_ABOVE for name in names)

    def combined(self, exact: Entries) -> Defect | None:
        """Returns a defect that combines those of all entries; None if that is impossible."""
        problem, dialect = self._judged.problem, self._judged.dialect
        names = dict.fromkeys(name for entry in exact for name in entry.defects)
        combined: Defect | None = None
        for name in sorted(names):
            defect = make_defect(name, problem, dialect)
            combined = defect if combined is None else compose_any(combined, defect)
            if combined is None:
                return None
        return combined or _CORRECT

    def resembled(self, entry: Divergence) -> Iterator[Defect]:
        """Yields the defects that an entry resembles."""
        for name in entry.resembles:
            yield make_defect(name, self._judged.problem, self._judged.dialect)

    def _compare(self, judged: JudgedSolution, defect: Defect, nan: Entries) -> dict[str, float]:
        """Returns the misfit of each tensor from a defect's prediction.

        Elements without a finite prediction are not compared, and neither are the non-finite ones that some entries
        allow, or infinite ones where the prediction exceeds the range of the dtype. Gradients that follow from such an
        overflow have no value, so that all of them may be non-finite. If the input contains NaN, all elements are
        compared.
        """
        solution, largest = dict(judged.solution), LARGEST_VALUE[judged.problem.case.dtype]
        if not judged.problem.case.input_nan:
            prediction = judged.expectation.values if defect is _CORRECT else self._solve(defect)
            overflows = any((np.abs(array) > largest).any() for array in prediction.values())
            for name in self._names:
                ignored = ~np.isfinite(prediction[name])
                got = np.asarray(solution.get(name))
                if got.shape == ignored.shape and got.dtype.kind == "f":
                    ignored |= np.isinf(got) & (prediction[name] * np.sign(got) > largest)
                    if (overflows and "." in name) or any(entry.concerns(name) for entry in nan):
                        ignored |= ~np.isfinite(got)
                    solution[name] = np.where(ignored, prediction[name], got)
        judged = judged._replace(solution=solution)
        if defect is _CORRECT:
            ratios = {tensor.name: tensor.error_ratio for tensor in judge(*judged[:3]).tensors}
        else:
            with np.errstate(invalid="ignore"):
                ratios = misfits(_with_budget_of_lengths(judged, defect), defect)
                if 1 < max(ratios.values(), default=0) < NEAR_MISS and _changes_only_cells(defect):
                    ratios = misfits(_with_budget_of_cells(judged, defect), defect)
        return {**dict.fromkeys([*self._names, *solution], np.inf), **ratios}

    def _in_profiles(self, loose: Entries) -> JudgedSolution | None:
        """Returns the solution, to be judged with the dtype and the budgets of the entries' profiles.

        Returns None if the problem cannot be judged in a profile.
        """
        problem, _, expectation, dialect = self._judged
        budget, bound = dict(expectation.budget), dict(expectation.bound)
        for entry in loose:
            if entry.profile is None:
                continue
            try:
                coarse = self._oracle.expect(problem, PROFILES[entry.profile], dialect) if self._oracle else None
            except RejectedCaseError:
                coarse = None
            if coarse is None:
                return None
            for name in self.concerned(entry):
                # A row of length 0 returns its initial state, converted to the precision of the profile.
                converted = PROFILES[entry.profile].u * np.abs(expectation.values[name])
                for limits, coarser in ((budget, coarse.budget), (bound, coarse.bound)):
                    limits[name] = np.fmax.reduce([limits[name], coarser[name], converted])
        dtype = max(
            (entry.profile for entry in loose if entry.profile), key=lambda name: PROFILES[name].u, default=None
        )
        # Where the reference is exactly 0, a defect's tolerance follows from the dtype.
        case = problem.case.model_copy(update={"dtype": dtype}) if dtype else problem.case
        return self._judged._replace(
            problem=replace(problem, case=case), expectation=replace(expectation, budget=budget, bound=bound)
        )

    def _limit(self, name: str, loose: Entries) -> float:
        return max((entry.error_ratio for entry in loose if entry.error_ratio and entry.concerns(name)), default=1.0)

    def _solve(self, defect: Defect) -> dict[str, np.ndarray]:
        with np.errstate(all="ignore"):
            return solve(defect, self._judged.problem, self._judged.dialect)


def _with_budget_of_lengths(judged: JudgedSolution, defect: Defect) -> JudgedSolution:
    """Returns the solution with the larger of two budgets: with the case's lengths, and with those of a defect.

    The reference has no rounding errors in a row of length 0. A defect that computes such a row has some.
    """
    problem, _, expectation, dialect = judged
    if defect.lengths is None or problem.lengths is None:
        return judged
    lengths = defect.lengths(problem.lengths, problem.case)
    case = problem.case.model_copy(update={"lengths": tuple(map(int, lengths))})
    read = np.nan_to_num(problem.input)
    computed = replace(problem, case=case, lengths=lengths, mask=step_mask(case), input=read)
    try:
        # Not cached: the changed case would draw other values.
        other = Oracle(None).expect(computed, PROFILES[case.dtype], dialect)
    except RejectedCaseError:
        return judged
    budget = {name: np.maximum(array, other.budget[name]) for name, array in expectation.budget.items()}
    return judged._replace(expectation=replace(expectation, budget=budget))


def _changes_only_cells(defect: Defect) -> bool:
    """Returns whether a defect computes like the reference with other cells."""
    correct = replace(_CORRECT, id=defect.id, what=defect.what, represents=defect.represents, cells=defect.cells)
    return defect.cells is not None and replace(defect, requires=correct.requires) == correct


def _with_budget_of_cells(judged: JudgedSolution, defect: Defect) -> JudgedSolution:
    """Returns the solution with the larger of two budgets: of the reference's cells, and of those of a defect.

    Where a clip makes the reference exact, an LSTM that does not clip there has rounding errors.
    """
    problem, _, expectation, dialect = judged

    def evaluate(lift: Lift) -> dict[str, Any]:
        trace = Forward.run(replace(defect, lift=lift), problem, dialect).trace
        gradients = "gradients" in problem.case.check
        tensors = trace.outputs | (reference.backward(trace, problem.cotangents) if gradients else {})
        return {name: tensors[name] for name in problem.expected_shapes()}

    values = {name: np.asarray(array) for name, array in evaluate(reference.float64).items()}
    profile = PROFILES[problem.case.dtype]
    own = reference.budget(evaluate, values, profile, is_coarse(problem.case)).budget
    budget = {name: np.maximum(array, scale_of(profile) * own[name]) for name, array in expectation.budget.items()}
    return judged._replace(expectation=replace(expectation, budget=budget))


def subsets(entries: Entries) -> Iterator[tuple[Divergence, ...]]:
    """Yields subsets, largest first, at most ``MAX_SUBSETS``."""
    every = (chosen for count in range(len(entries), -1, -1) for chosen in combinations(entries, count))
    return islice(every, MAX_SUBSETS)


def compose_any(one: Defect, other: Defect) -> Defect | None:
    """Returns a defect that combines two others in either order."""
    return compose(one, other) or compose(other, one)
