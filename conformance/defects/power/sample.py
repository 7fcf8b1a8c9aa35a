"""The sample of an implementation's cases on which a run measures power.

A few cases detect almost everything that hundreds of similar ones detect. The sample depends only on the planned cases
and on what the implementation supports, not on the order or the outcome of the run.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from conformance.cases.case import Case
from conformance.cases.size import operations
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.defects.power.sizes import reduce

TRIES = 2
"""Number of cases of the sample on which each defect is tried, in each dtype and for each set of compared results."""
FREE_COST = 2**20
"""Cost of the measured cases, each solved once, that any run may spend."""
MAX_SHARE = 1 / 24
"""Further cost of the measured cases, as a share of the cost of all cases. It keeps power below a quarter of a run's
time: measuring a small case takes about four times as long as running it."""

_Pair = tuple[str, tuple[str, ...], int]
"""Dtype, compared results, and the number of a condition."""

_CONDITIONS = tuple(dict.fromkeys((defect.requires, defect.cell is None) for defect in REQUIRED))
"""Distinct conditions under which defects apply: ``requires``, and whether cases that are not plain are included."""


def choose(cases: Sequence[Case], supports: Callable[[Case], bool]) -> frozenset[str]:
    """Returns the keys of the cases to measure, chosen greedily by the number of defects that are not tried yet.

    Args:
        cases: the planned cases of one implementation.
        supports: whether the implementation runs a case. Asked only for cases that are about to be chosen.
    """
    by_key = {case.key: case for case in cases}
    cases = [by_key[key] for key in sorted(by_key)]
    pairs = [_pairs(case) for case in cases]
    costs = [operations(reduce(case)) for case in cases]
    budget = FREE_COST + MAX_SHARE * sum(map(operations, cases))
    tries: Counter[_Pair] = Counter()
    left = set(range(len(cases)))
    chosen: list[str] = []
    for wanted in range(1, TRIES + 1):
        missing = {pair for place in left for pair in pairs[place] if tries[pair] < wanted}
        for place in _by_gain(left, pairs, costs, missing):
            left.remove(place)
            if not supports(cases[place]):
                continue
            budget -= costs[place]
            if budget < 0 and chosen:
                return frozenset(chosen)
            chosen.append(cases[place].key)
            tries.update(pairs[place])
            missing -= {pair for pair in pairs[place] if tries[pair] >= wanted}
    return frozenset(chosen)


def _pairs(case: Case) -> frozenset[_Pair]:
    """Returns the conditions that a case meets, with its dtype and compared results."""
    plain = case.is_plain
    met = (number for number, (requires, any_cell) in enumerate(_CONDITIONS) if (any_cell or plain) and requires(case))
    return frozenset((case.dtype, case.check, number) for number in met)


def _by_gain(
    left: Iterable[int], pairs: Sequence[frozenset[_Pair]], costs: Sequence[int], missing: set[_Pair]
) -> Iterator[int]:  # fmt: skip
    """Yields the case that has the most missing pairs, or the cheapest of these, until no case has a missing pair.

    The caller removes pairs from ``missing`` between two cases. A gain only shrinks, so it is computed again only for
    the case that was best before.
    """
    heap = [(-len(pairs[place]), costs[place], place) for place in left]
    heapq.heapify(heap)
    while heap:
        gain, price, place = heapq.heappop(heap)
        current = -len(pairs[place] & missing)
        if current == gain < 0:
            yield place
        elif current < 0:
            heapq.heappush(heap, (current, price, place))
