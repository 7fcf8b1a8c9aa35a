"""Draws random valid cases for an implementation, so that all pairs of levels of different options occur evenly."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from conformance.campaign.levels import Level, all_levels, draw_sizes
from conformance.cases import schema
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.cases.size import estimate

MAX_SECONDS = 1.0
"""Default limit of the estimated CPU seconds of a case."""
RATES = (0.1, 0.25, 0.5)
"""Probabilities of an option to have a random value instead of its default, one of them for all options of a case."""
UNIFORM = ("dtype",)
"""Options that have a random value in every case."""
TRIES = 60
"""Number of times to draw the other options of a pair, until they make a valid case."""
MAX_REFUSALS = 20
"""Number of valid cases to offer to an implementation for a pair, until it accepts one."""
MAX_CALLS = 1000
"""Largest number of calls of an implementation for a case, which the estimate of CPU time does not count."""
MAX_SEED = 10**9
"""Upper limit of the seed of a case's values."""

Pair = tuple[Level, Level]
Levels = Mapping[str, Sequence[Level]]
"""Levels by option, in the order in which options are drawn."""


@dataclass
class Drawer:
    """Draws the cases of one implementation.

    Each case contains the next pair of levels. The other options are random. A case depends only on the seed, its
    number and the attributes below.

    Attributes:
        seed: seed of all cases.
        features: features that the implementation supports; None if unknown.
        max_seconds: limit of the estimated CPU seconds of a case.
        options: options that have other values than their defaults; None for all.
        accepts: function that returns whether the implementation supports a case.
        seen: pairs that have occurred.
        refused: pairs for which no accepted case was found.
    """

    seed: int
    features: Set[str] | None = None
    max_seconds: float = MAX_SECONDS
    options: Set[str] | None = None
    accepts: Callable[[Case], bool] = lambda _: True
    seen: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        limits = [frozenset(some) if some is not None else None for some in (self.features, self.options)]
        self.pairs = _feasible_pairs(*limits)
        self._places = {pair: place for place, pair in enumerate(self.pairs)}
        self._levels = _of_pairs(self.pairs)
        order = list(range(len(self.pairs)))
        random.Random(f"{self.seed} pairs").shuffle(order)
        self._order = order

    def draw(self, number: int) -> Case | None:
        """Returns the case with a number, and counts its pairs; None if no case with its pair was found.

        The name of the case is ``random-`` and its key, so that different cases have different names.

        Args:
            number: number of the case, from 0.
        """
        source = random.Random(f"{self.seed} {number}")
        wanted = self._order[number % len(self._order)]
        rate, refusals = source.choice(RATES), 0
        for _ in range(TRIES):
            chosen = _choose(self._levels, self.pairs[wanted], source, rate)
            options = {**_draw(chosen, source), "seed": source.randrange(MAX_SEED)}
            case = _validated(options, self.features)
            if case is None or estimate(case).seconds > self.max_seconds or _calls(case) > MAX_CALLS:
                continue
            case = case.model_copy(update={"name": f"random-{case.key}"})
            if self.accepts(case):
                self._count(chosen)
                return case
            refusals += 1
            if refusals == MAX_REFUSALS:
                break
        if wanted not in self.seen:
            self.refused.add(wanted)
        return None

    def merge(self, seen: Set[int], refused: Set[int]) -> None:
        """Adds the pairs that occurred, or did not, in cases that another drawer has drawn."""
        self.seen |= seen
        self.refused = (self.refused | refused) - self.seen

    @property
    def feasible(self) -> int:
        """Number of pairs that can occur, as far as is known."""
        return len(self.pairs) - len(self.refused)

    def _count(self, chosen: Sequence[Level]) -> None:
        occurred = {place for pair in combinations(chosen, 2) if (place := self._places.get(pair)) is not None}
        self.seen |= occurred
        self.refused -= occurred


@cache
def _feasible_pairs(supported: frozenset[str] | None, options: frozenset[str] | None) -> tuple[Pair, ...]:
    """Returns the pairs of levels of different options that some valid case with the supported features contains.

    Args:
        supported: supported features; None for all.
        options: options that have other levels than their defaults; None for all.
    """
    source = random.Random("feasible pairs")
    levels: Levels = all_levels()
    if options is not None:
        levels = {name: own if name in options else own[:1] for name, own in levels.items()}
    if supported is not None:
        levels = _supported_levels(levels, supported)

    def is_feasible(*wanted: Level) -> bool:
        """Returns whether a case with some levels was found. Most options have their defaults in half of the tries."""
        for attempt in range(TRIES):
            rate = (0.0, *RATES)[attempt % 4]
            if _validated(_draw(_choose(levels, wanted, source, rate), source), supported):
                return True
        return False

    levels = {name: tuple(level for level in own if is_feasible(level)) for name, own in levels.items()}
    return tuple(
        pair for one, other in combinations(levels.values(), 2) for pair in _product(one, other) if is_feasible(*pair)
    )


def options_of(cases: Iterable[Case]) -> frozenset[str]:
    """Returns the options that some of the cases set to other values than their defaults."""
    names = set(schema.options())
    return frozenset(name for case in cases for name in case.model_dump(exclude_defaults=True, include=names))


def _supported_levels(levels: Levels, supported: Set[str]) -> Levels:
    """Returns the levels without those that need an unsupported feature in a case that is otherwise default."""
    source = random.Random("supported levels")
    kept = dict(levels)
    # Values depend on options that are drawn before, so the defaults of later options must be supported.
    for name in reversed(list(levels)):
        own = levels[name]
        cases = {level: _validated(_draw(_choose(kept, [level], source, rate=0.0), source), None) for level in own}
        found = {level: set(features(case)) for level, case in cases.items() if case}
        common = set.intersection(*found.values())
        kept[name] = tuple(level for level in own if found.get(level, common) - common <= supported)
    return kept


def _product(one: Sequence[Level], other: Sequence[Level]) -> Iterator[Pair]:
    return ((first, second) for first in one for second in other)


def _of_pairs(pairs: Sequence[Pair]) -> Levels:
    """Returns the levels that occur in some pairs."""
    found = {level for pair in pairs for level in pair}
    kept = {name: tuple(level for level in own if level in found) for name, own in all_levels().items()}
    return {name: own for name, own in kept.items() if own}


def _choose(levels: Levels, wanted: Sequence[Level], source: random.Random, rate: float) -> list[Level]:
    """Chooses a level of each option: the wanted one, else with some probability any, else the first (the default)."""
    fixed = {level.option: level for level in wanted}
    chosen = []
    for name, own in levels.items():
        is_random = source.random() < rate or (rate and name in UNIFORM)
        chosen.append(fixed.get(name) or (source.choice(own) if is_random else own[0]))
    return chosen


def _draw(chosen: Sequence[Level], source: random.Random) -> dict[str, Any]:
    """Draws the options of a case from a level of each option."""
    drawn: dict[str, Any] = {f"size {name}": size for name, size in draw_sizes(source).items()}
    for level in chosen:
        drawn[level.option] = level.draw(source, drawn)
    return {level.option: drawn[level.option] for level in chosen}


def _calls(case: Case) -> int:
    """Returns the number of calls whose results are joined."""
    return case.num_rows if case.batching == "alone" else max(1, len(case.chunks))


def _validated(options: Mapping[str, Any], supported: Set[str] | None) -> Case | None:
    """Returns a case; None if options contradict each other or need features that are not supported."""
    try:
        case = Case.model_validate(options)
    except ValidationError:
        return None
    return case if supported is None or set(features(case)) <= supported else None
