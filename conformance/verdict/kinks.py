"""Judges a deviation with arguments on the other side of a kink, where rounding can move them.

A correct solution has each argument near a kink on one of its two sides, see ``reference.kinks``. A search finds these
sides, and the solution is judged with the reference's results for them.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np

import reference
from conformance.cases.case import Case
from conformance.cases.size import count
from conformance.verdict.comparison import Comparison, Floats
from conformance.verdict.judge import TensorVerdict, Verdict, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, is_coarse, scale_of, solve_compared
from conformance.verdict.problem import axes_of, normalize_dialect
from reference import Profile
from reference.activations import ACTIVATIONS
from reference.kinks import NearKink
from reference.network import Lift
from reference.rounding import Sided

MAX_MULTIPLICATIONS = 1 << 26
"""Size above which a search would take minutes."""
_MAX_TRIES, _MAX_TRIES_IN_TURN = 8, 32
"""Largest numbers of arguments to try: in each row, and afterwards one by one, in any row."""
_MAX_PAIRED = 4
"""Largest number of arguments of a row of which to try all pairs."""
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
    """Judges a deviation once more, with arguments near a kink on its other side.

    Args:
        judged: the solution, with the expectation in which every argument is on its own side.
        verdict: verdict with this expectation.
        profile: how the implementation rounds.

    Returns:
        None if no further tensor conforms. Also None if all deviations are proven wrong, if a tensor has a wrong shape
        or is not finite, and for a case with more than ``MAX_MULTIPLICATIONS`` in the forward pass.
    """
    case, failing = judged.problem.case, _failing(verdict)
    if all(tensor.proven for tensor in failing) or not all("budget" in tensor.detail for tensor in failing):
        return None
    if count(case).multiplications > MAX_MULTIPLICATIONS or not _is_piecewise(case):
        return None
    search = _Search(judged, profile)
    if not search.sides:
        return None
    search.cross_in_rows()
    search.cross_in_turn()
    if not search.crossed:
        return None
    expectation = search.expectation()
    found = judge(judged.problem, judged.solution, expectation)
    settled = {tensor.name for tensor in failing} - {tensor.name for tensor in _failing(found)}
    if not settled:
        return None
    note = _note(search.crossed, [tensor for tensor in failing if tensor.name in settled])
    return Crossing(found, judged._replace(expectation=expectation), note)


class _Deviation(NamedTuple):
    """Size of the deviations of a solution: sums of error ratios above 1.

    Attributes:
        rows: of each row, in the tensors with an axis of rows (B,). A single row has all tensors.
        others: in all other tensors, the gradients of the parameters.
    """

    rows: Floats
    others: float


class _Search:
    """A search for the sides of the kinks on which a solution has the arguments near them.

    Attributes:
        sides: these arguments, closest first, each on the side found so far.
    """

    def __init__(self, judged: JudgedSolution, profile: Profile) -> None:
        self._judged, self._profile = judged, profile
        self._dialect = normalize_dialect(judged.problem.case, judged.dialect)
        own = self._choose_sides(())
        self._near = sorted(own.near, key=lambda near: near.distance)
        self.sides = list(self._near)
        self._deviation = self._measure(own)

    @property
    def crossed(self) -> list[NearKink]:
        """Arguments that are on the other side than in the reference."""
        return [side for side, own in zip(self.sides, self._near, strict=True) if side.above != own.above]

    def cross_in_rows(self) -> None:
        """Crosses arguments of each row that deviates, and keeps those that make it deviate less.

        Single arguments come first, from the last one on, then pairs. Rows do not affect each other, so that one
        argument or pair of each row crosses at a time. If one has helped, all of its row are tried again, because
        another one may help only now.
        """
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, argument in enumerate(self._near):
            places[argument.position[0]].append(place)
        queues = {row: self._steps(found) for row, found in places.items()}
        rows = self._deviation.rows
        while queues := {row: queue for row, queue in queues.items() if rows[row]}:
            improved = set()
            for turn in range(max(map(len, queues.values()))):
                trial = {row: queue[turn] for row, queue in queues.items() if turn < len(queue) and rows[row]}
                if not trial:
                    break
                tried = self._try([*chain(*trial.values())]).rows
                better = [row for row in trial if tried[row] < rows[row]]
                rows[better] = tried[better]
                self.sides = self._cross([*chain(*(trial[row] for row in better))])
                improved.update(better)
            queues = {row: queues[row] for row in improved}

    def _steps(self, places: Sequence[int]) -> list[tuple[int, ...]]:
        """Returns the arguments and pairs of arguments of a row to cross, from its places, closest first."""
        last_first = sorted(places[:_MAX_TRIES], key=self._near.__getitem__, reverse=True)
        return [*combinations(last_first, 1), *combinations(places[:_MAX_PAIRED], 2)]

    def cross_in_turn(self) -> None:
        """Crosses arguments one by one and keeps those that make the gradients of the parameters deviate less."""
        self._deviation = self._try(())
        for place in range(min(_MAX_TRIES_IN_TURN, len(self.sides))):
            if not self._deviation.others:
                return
            tried = self._try([place])
            if tried.others < self._deviation.others and tried.rows.sum() <= self._deviation.rows.sum():
                self.sides, self._deviation = self._cross([place]), tried

    def expectation(self) -> Expectation:
        """Returns the expectation for the sides found."""
        own = self._judged.expectation
        values = self._choose_sides(self.sides).values
        coarse = is_coarse(self._judged.problem.case)
        found = reference.budget(self._evaluate, values, self._profile, coarse, sides=self.sides)
        # R bounds deviations from values on their own side.
        bound = {name: own.bound[name] + np.abs(value - own.values[name]) for name, value in values.items()}
        budget = {
            name: np.where(
                np.isinf(own.budget[name]), np.inf, np.minimum(scale_of(self._profile) * allowed, bound[name])
            )
            for name, allowed in found.budget.items()
        }
        return replace(own, values=values, budget=budget, bound=bound)

    def _cross(self, places: Collection[int]) -> list[NearKink]:
        """Returns the sides, with those at some places changed."""
        sides = list(self.sides)
        for place in places:
            sides[place] = sides[place]._replace(above=not sides[place].above)
        return sides

    def _try(self, places: Collection[int]) -> _Deviation:
        """Returns how much the solution deviates if arguments at some places change sides."""
        return self._measure(self._choose_sides(self._cross(places)))

    def _measure(self, sided: Sided) -> _Deviation:
        """Returns how much the solution deviates from a run of the reference.

        To save time, the budgets are those of the reference, except for elements that are exact in one of the two runs.
        """
        case, own = self._judged.problem.case, self._judged.expectation
        rows, others = np.zeros(case.num_rows), 0.0
        for name, expected in sided.values.items():
            exact = (own.budget[name] == 0) | ((sided.reach[name] == 0) & np.isfinite(own.budget[name]))
            budget = np.where(exact, sided.reach[name], own.budget[name])
            got = np.asarray(self._judged.solution[name], np.float64)
            ratios = Comparison(got, expected, budget, own.bound[name]).error_ratios
            excess = np.where(ratios > 1, np.minimum(ratios, _LARGEST_RATIO), 0.0)
            names = axes_of(case, name)
            if len(rows) == 1:
                rows += excess.sum()
            elif "row" in names:
                rows += np.moveaxis(excess, names.index("row"), 0).reshape(len(rows), -1).sum(1)
            else:
                others += float(excess.sum())
        return _Deviation(rows, others)

    def _choose_sides(self, sides: Collection[NearKink]) -> Sided:
        return reference.choose_sides(self._evaluate, self._profile, sides)

    def _evaluate(self, lift: Lift) -> dict[str, Any]:
        return solve_compared(self._judged.problem, self._dialect, lift)


def _is_piecewise(case: Case) -> bool:
    """Returns whether a case has a clip or an activation with kinks."""
    clips = case.clip is not None or case.cell_clip is not None
    return clips or any(ACTIVATIONS[name].kinks for name in case.activations)


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
