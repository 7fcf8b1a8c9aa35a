"""A move: a way in which blocks can be taken from elsewhere, with those along axes in memory and along units."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import Block, Term, UnitMap, axes, values

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
    """Yields moves that take each unit of a block from another unit of it, given the number of units."""
    every = np.eye(count)
    yield _of_units("with the units in reverse order", every[::-1])
    yield _of_units("from the unit before, around the ends", np.roll(every, 1, axis=0))
    yield _of_units("from the unit after, around the ends", np.roll(every, -1, axis=0))
    for unit in range(count):
        yield _of_units(f"from unit {unit}", np.tile(every[unit], (count, 1)))


def in_units(move: Move, units: Sequence[int]) -> Move:
    """Returns a move that changes only some units of each block."""

    def terms(block: Block, case: Case) -> Terms | None:
        found, count = move.terms(block, case), block.width(case)[0]
        if found is None or max(units) >= count:
            return None
        chosen = np.diag(np.isin(np.arange(count), units) * 1.0)
        own = (block, UnitMap(np.eye(count) - chosen))
        return (own, *((source, UnitMap(chosen * factor)) for source, factor in found if isinstance(factor, float)))

    listed = f"unit {units[0]}" if len(units) == 1 else f"units {', '.join(map(str, units))}"
    return Move(f"in {listed} {move.words}", terms)


def _of_units(words: str, matrix: np.typing.NDArray[np.float64]) -> Move:
    def terms(block: Block, case: Case) -> Terms | None:
        return ((block, UnitMap(matrix)),) if block.width(case)[0] == len(matrix) else None

    return Move(words, terms)
