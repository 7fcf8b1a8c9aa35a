"""A move: a way in which blocks can be taken from elsewhere, with those along axes in memory and along units."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import Block, Term, UnitMap, axes, values
from conformance.defects.experiment.places import MAX_VALUES

Terms = tuple[Term, ...]


@dataclass(frozen=True)
class Move:
    """A way in which blocks are taken from elsewhere. Moves with the same words are equal.

    Attributes:
        words: description that follows the name of a tensor, such as ``with the rows in reverse order``.
        terms: function that returns the terms that take the place of a block; None if the move does not apply.
        constant: coordinate for which all blocks are taken from the same place; empty if there is none.
    """

    words: str
    terms: Callable[[Block, Case], Terms | None] = field(compare=False)
    constant: str = ""


def memory_orders(kind: str) -> Iterator[Move]:
    """Yields moves that exchange two axes in memory, without exchanging them in the shape."""
    if "step" in axes(kind):
        yield Move("reshaped from (batch, time) order instead of transposed", _time_order)
    elif "row" in axes(kind):
        yield Move("reshaped from (batch, layer) order instead of transposed", _layer_order)
        yield Move("with directions before layers", _direction_order)


def _time_order(block: Block, case: Case) -> Terms:
    rows = case.rows or 1
    row, step = divmod((block.step or 0) * rows + (block.row or 0), case.seq_len)
    return ((replace(block, row=row, step=step), 1.0),)


def _layer_order(block: Block, case: Case) -> Terms:
    directions = values("direction", case)
    first = (block.layer or 0) * len(directions) + directions.index(block.direction or 0)
    row, place = divmod(first * (case.rows or 1) + (block.row or 0), case.num_layers * len(directions))
    layer, direction = divmod(place, len(directions))
    return ((replace(block, layer=layer, direction=directions[direction], row=row), 1.0),)


def _direction_order(block: Block, case: Case) -> Terms | None:
    if case.model.num_directions == 1:
        return None
    direction, layer = divmod((block.layer or 0) * 2 + (block.direction or 0), case.num_layers)
    return ((replace(block, layer=layer, direction=direction), 1.0),)


def unit_moves(count: int) -> Iterator[Move]:
    """Yields moves that take each unit of a block from another unit of it.

    Args:
        count: number of units from which all units may be taken.
    """
    yield _of_units("with the units in reverse order", lambda every: every[::-1])
    yield _of_units("from the unit before, around the ends", lambda every: np.roll(every, 1))
    yield _of_units("from the unit after, around the ends", lambda every: np.roll(every, -1))
    for unit in range(min(count, MAX_VALUES)):
        yield _of_units(f"from unit {unit}", lambda every, unit=unit: np.full_like(every, unit))  # type: ignore[misc]


def _of_units(words: str, order: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Move:
    def terms(block: Block, case: Case) -> Terms | None:
        count = block.width(case)[0]
        sources = order(np.arange(count))
        return ((block, UnitMap(np.eye(count)[sources])),) if max(sources) < count else None

    return Move(words, terms)


def in_units(block: Block, terms: Terms, chosen: NDArray[np.bool_]) -> Terms | None:
    """Returns terms that change only some units of a block; None if they are none of its units."""
    if not chosen.any():
        return None
    every = np.eye(len(chosen))
    selected = every * chosen
    own = (block, UnitMap(every - selected))
    factors = ((source, factor.matrix if isinstance(factor, UnitMap) else factor * every) for source, factor in terms)
    return (own, *((source, UnitMap(selected @ factor)) for source, factor in factors))
