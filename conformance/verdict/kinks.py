"""Judges a deviation with arguments on the other side of a kink, where rounding can move them.

A correct solution has each argument near a kink on one of its two sides, see ``reference.kinks``. A search finds these
sides, and the solution is judged with the reference's results for them.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.cases.case import Case
from conformance.verdict.comparison import Comparison
from conformance.verdict.judge import TensorVerdict, Verdict, axes_of, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, is_coarse, scale_of, solve_compared
from conformance.verdict.problem import normalize_dialect
from reference import Profile
from reference.activations import ACTIVATIONS
from reference.kinks import NearKink
from reference.network import Lift

_MAX_TRIES = 8
"""Largest number of arguments that are moved across a kink within a row, and then in all rows together."""
_LARGEST_RATIO = 100.0
"""Error ratios are capped at this number, so that one element does not hide that others improve."""
_ROWS_IN_NOTE = 5


class Crossing(NamedTuple):
    """A verdict with some arguments on the other side of a kink.

    Attributes:
        verdict: the verdict, with fewer tensors that deviate.
        judged: the solution, with the expectation for these sides.
        note: the arguments and the tensors that conform because of them, in words.
    """

    verdict: Verdict
    judged: JudgedSolution
    note: str


def judge_across_kinks(judged: JudgedSolution, verdict: Verdict, profile: Profile) -> Crossing | None:
    """Judges a deviation for other sides of the kinks near which arguments are.

    Args:
        judged: solution that deviates, with the expectation in which every argument is on its own side.
        verdict: verdict with this expectation.
        profile: how the implementation rounds.

    Returns:
        None if no further tensor conforms. Also None if all deviations are proven wrong, if a tensor has a wrong shape
        or is not finite, and for a case with a coarse analysis, see ``reference.budget``.
    """
    case, failing = judged.problem.case, _failing(verdict)
    if all(tensor.proven for tensor in failing) or not all("budget" in tensor.detail for tensor in failing):
        return None
    if is_coarse(case) or not _is_piecewise(case):
        return None
    search = _Search(judged, profile)
    search.cross_in_rows()
    if not search.sides:
        return None
    search.cross_in_turn()
    found = judge(judged.problem, judged.solution, search.expectation)
    settled = {tensor.name for tensor in failing} - {tensor.name for tensor in _failing(found)}
    if not settled:
        return None
    note = _note(search.crossed, [tensor for tensor in failing if tensor.name in settled])
    return Crossing(found, judged._replace(expectation=search.expectation), note)


class _Deviation(NamedTuple):
    """Size of the deviations of a solution: sums of error ratios above 1.

    Attributes:
        rows: of each row, in the tensors with an axis of rows (B,). A single row has all tensors.
        others: in all other tensors, the gradients of the parameters.
    """

    rows: NDArray[np.float64]
    others: float


class _Search:
    """A search for the sides of the kinks on which a solution has the arguments near them.

    Attributes:
        sides: these arguments, closest first, each on the side found so far.
        expectation: expectation for these sides.
    """

    def __init__(self, judged: JudgedSolution, profile: Profile) -> None:
        self._judged, self._profile = judged, profile
        self._dialect = normalize_dialect(judged.problem.case, judged.dialect)
        self._near = sorted(reference.choose_sides(self._evaluate, profile)[1], key=lambda near: near.distance)
        self.sides, self.expectation = list(self._near), judged.expectation
        self._deviation = self._measure(self.expectation)

    @property
    def crossed(self) -> list[NearKink]:
        """Arguments that are on the other side than in the reference."""
        return [side for side, own in zip(self.sides, self._near, strict=True) if side.above != own.above]

    def cross_in_rows(self) -> None:
        """Crosses arguments of each row that deviates, the last one first, and keeps those that make it deviate less.

        Rows do not affect each other, so that one argument of each row crosses at a time. Each of them is tried twice,
        because it may help only after another one has crossed.
        """
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, argument in enumerate(self._near):
            if len(places[argument.position[0]]) < _MAX_TRIES:
                places[argument.position[0]].append(place)
        queues = {row: 2 * sorted(found, key=self._near.__getitem__, reverse=True) for row, found in places.items()}
        rows = self._deviation.rows
        while trial := {row: queue.pop(0) for row, queue in queues.items() if queue and rows[row]}:
            tried = self._measure(self._expect(self._cross(trial.values())))
            better = [row for row in trial if tried.rows[row] < rows[row]]
            rows[better] = tried.rows[better]
            self.sides = self._cross([trial[row] for row in better])

    def cross_in_turn(self) -> None:
        """Crosses arguments one by one and keeps those that make the gradients of the parameters deviate less."""
        self.expectation = self._expect(self.sides)
        self._deviation = self._measure(self.expectation)
        for place in range(min(_MAX_TRIES, len(self.sides))):
            if not self._deviation.others:
                return
            sides = self._cross([place])
            expectation = self._expect(sides)
            tried = self._measure(expectation)
            if tried.others < self._deviation.others and tried.rows.sum() <= self._deviation.rows.sum():
                self.sides, self.expectation, self._deviation = sides, expectation, tried

    def _cross(self, places: Collection[int]) -> list[NearKink]:
        """Returns the sides, with those at some places changed."""
        sides = list(self.sides)
        for place in places:
            sides[place] = sides[place]._replace(above=not sides[place].above)
        return sides

    def _expect(self, sides: Collection[NearKink]) -> Expectation:
        """Returns the expectation for arguments on given sides of their kinks."""
        own = self._judged.expectation
        values, _ = reference.choose_sides(self._evaluate, self._profile, sides)
        found = reference.budget(self._evaluate, values, self._profile, sides=sides)
        # R bounds deviations from values on their own side.
        bound = {name: own.bound[name] + np.abs(value - own.values[name]) for name, value in values.items()}
        budget = {
            name: np.where(
                np.isinf(own.budget[name]), np.inf, np.minimum(scale_of(self._profile) * allowed, bound[name])
            )
            for name, allowed in found.budget.items()
        }
        return replace(own, values=values, budget=budget, bound=bound)

    def _evaluate(self, lift: Lift) -> dict[str, Any]:
        return solve_compared(self._judged.problem, self._dialect, lift)

    def _measure(self, expectation: Expectation) -> _Deviation:
        case = self._judged.problem.case
        rows, others = np.zeros(case.num_rows), 0.0
        for name, expected in expectation.values.items():
            got = np.asarray(self._judged.solution[name], np.float64)
            ratios = Comparison(got, expected, expectation.budget[name], expectation.bound[name]).error_ratios
            excess = np.where(ratios > 1, np.minimum(ratios, _LARGEST_RATIO), 0.0)
            names = axes_of(case, name)
            if len(rows) == 1:
                rows += excess.sum()
            elif "row" in names:
                rows += np.moveaxis(excess, names.index("row"), 0).reshape(len(rows), -1).sum(1)
            else:
                others += float(excess.sum())
        return _Deviation(rows, others)


def _is_piecewise(case: Case) -> bool:
    """Returns whether a case has kinks. A case with NaN is left out: it is not compared element by element."""
    kinked = any(ACTIVATIONS[name].kinks for name in case.activations)
    return (kinked or case.clip is not None or case.cell_clip is not None) and not case.input_nan


def _failing(verdict: Verdict) -> list[TensorVerdict]:
    return [tensor for tensor in verdict.tensors if not tensor.conforms]


def _note(crossed: Collection[NearKink], settled: Collection[TensorVerdict]) -> str:
    """Describes the arguments that crossed a kink, and the tensors that conform because of it."""
    functions = ", ".join(sorted({argument.function for argument in crossed}))
    rows = sorted({argument.position[0] for argument in crossed})
    shown = ", ".join(map(str, rows[:_ROWS_IN_NOTE])) + (", …" if len(rows) > _ROWS_IN_NOTE else "")
    return (
        f"rounding can move {len(crossed)} argument{'s' if len(crossed) > 1 else ''} of {functions} across a kink "
        f"(row {shown}); without that, the error ratio of {', '.join(tensor.name for tensor in settled)} "
        f"would be {max(tensor.error_ratio for tensor in settled):.3g}"
    )
