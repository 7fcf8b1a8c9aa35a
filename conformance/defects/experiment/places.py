"""Places: conditions on one coordinate of blocks, or on the units within them, at any size of a case."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import DIRECTIONS, GATES, Block, axes, values
from conformance.verdict.values import valid_steps

UNIT = "unit"
"""Axis of the units within a block."""
MAX_VALUES = 16
"""Number of values of a coordinate up to which each is tried on its own."""
_TAILS = (4, 8, 16, 32, 64, 128)
_Rule = Literal["is", "last", "from", "up to", "odd", "even", "all but the last", "tail", "end", "padding", "among"]


@dataclass(frozen=True)
class Place:
    """A condition on one coordinate.

    Attributes:
        axis: the coordinate, or ``UNIT``.
        rule: ``is`` a value, ``from`` a value on, ``up to`` a value, ``among`` some, ``last``, ``all but the last``,
            ``odd`` or ``even`` of its axis, in the ``tail`` after the last multiple of a value, at the ``end`` of each
            row, or in its ``padding``.
        value: the value, or the values.
    """

    axis: str
    rule: _Rule
    value: Any = 0

    def __str__(self) -> str:
        if self.axis == "direction":
            return f"the {DIRECTIONS[self.value]} direction"
        if self.axis == "gate":
            return f"the {GATES[self.value]} gate"
        plural = f"{self.axis}s"
        return {
            "is": f"{self.axis} {self.value}",
            "last": f"the last {self.axis}",
            "from": f"{plural} from {self.value} on",
            "up to": f"{plural} up to {self.value}",
            "odd": f"odd {plural}",
            "even": f"even {plural}",
            "all but the last": f"all {plural} but the last",
            "tail": f"{plural} after the last multiple of {self.value}",
            "end": "the last valid step of each row",
            "padding": "the padding",
            "among": f"{plural} {', '.join(map(str, self.value)) if isinstance(self.value, tuple) else ''}",
        }[self.rule]

    def holds(self, block: Block, case: Case) -> bool:
        """Returns whether a block is in this place."""
        if self.rule in ("end", "padding"):
            lengths = valid_steps(case)
            end = case.seq_len if lengths is None else lengths[block.row or 0]
            step = block.step or 0
            return bool(step == end - 1 if self.rule == "end" else step >= end)
        every = values(self.axis, case)
        return bool(self.among(max(every) + 1)[getattr(block, self.axis)])

    def among(self, count: int) -> NDArray[np.bool_]:
        """Returns which of a number of values of the coordinate meet the condition."""
        return _among(self, count)


@lru_cache(maxsize=1024)
def _among(place: Place, count: int) -> NDArray[np.bool_]:
    every, value = np.arange(count), place.value
    if place.rule == "among":
        return np.isin(every, value)
    if place.rule == "tail":
        return np.asarray(every >= count // value * value)
    met: dict[_Rule, NDArray[np.bool_]] = {
        "is": every == value,
        "last": every == count - 1,
        "from": every >= value,
        "up to": every <= value,
        "odd": every % 2 == 1,
        "even": every % 2 == 0,
        "all but the last": every < count - 1,
    }
    return met[place.rule]


Scope = tuple[Place, ...]
"""Places in which the elements that a rule changes are. No places mean everywhere."""


def place_of_values(axis: str, found: Collection[int], count: int) -> Place | None:
    """Returns the simplest place that holds for some values of a coordinate; None if it holds for all."""
    return None if len(set(found)) == count else next(places_of_values(axis, found, count))


def places_of_values(axis: str, found: Collection[int], count: int) -> Iterator[Place]:
    """Yields the places that hold for some values of a coordinate and for no others, the simplest ones first.

    Args:
        axis: the coordinate.
        found: the values.
        count: number of values that the coordinate has.
    """
    some = sorted(set(found))
    first, last = some[0], some[-1]
    candidates = [Place(axis, "is", first), Place(axis, "last"), Place(axis, "from", first), Place(axis, "up to", last)]
    candidates += [Place(axis, "odd"), Place(axis, "even"), Place(axis, "all but the last")]
    candidates += [Place(axis, "tail", size) for size in _TAILS]
    wanted = np.isin(np.arange(count), some)
    yield from (place for place in candidates if np.array_equal(place.among(count), wanted))
    yield Place(axis, "among", tuple(some))


def scopes_of(found: Iterable[Block], case: Case) -> Iterator[Scope]:
    """Yields the scopes that contain some blocks, the widest first."""
    found = list(found)
    if not found:
        return
    places = []
    shared = [axis for axis in axes(found[0].kind) if all(axis in axes(block.kind) for block in found)]
    for axis in shared:
        every = values(axis, case)
        own = {getattr(block, axis) for block in found}
        if len(own) == 1 or axis not in ("direction", "gate"):
            places.append(place_of_values(axis, own, max(every) + 1) if len(own) < len(every) else None)
    if "step" in shared and case.lengths is not None:
        moments = [Place("step", "end"), Place("step", "padding")]
        places += [place for place in moments if all(place.holds(block, case) for block in found)]
    narrowing = [place for place in places if place]
    for size in range(len(narrowing) + 1):
        yield from combinations(narrowing, size)


def simple_scopes(names: Iterable[str], case: Case) -> Iterator[Scope]:
    """Yields the scope of all blocks, and those of one value, if there are not many, of one of some coordinates."""
    yield ()
    for axis in names:
        every = values(axis, case)
        if 1 < len(every) <= MAX_VALUES:
            yield from ((Place(axis, "is", value),) for value in every)


def describe_scope(scope: Scope, every: str = "") -> str:
    """Describes places, such as `` of layer 1, the reverse direction in unit 2``.

    Args:
        scope: the places.
        every: text between the places of blocks and those of units.
    """
    blocks = ", ".join(str(place) for place in scope if place.axis != UNIT)
    units = "".join(f" in {place}" for place in scope if place.axis == UNIT)
    return (f" of {blocks}" if blocks else "") + every + units
