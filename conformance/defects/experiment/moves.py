"""Moves: the ways in which a block can be taken from elsewhere."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import permutations

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import (
    DIRECTIONS,
    GATES,
    PARAMETERS,
    RESULTS,
    Block,
    axes,
    bare_kind,
    values,
)
from conformance.defects.experiment.move import Move, Terms, memory_orders
from conformance.defects.experiment.places import MAX_VALUES

ZEROS = "as zeros"
_LETTERS = "ifgo"
_SAME_FACTOR = 1e-6
"""Relative difference below which two factors are the same."""
_STATE_PAIRS = {"h_0": "c_0", "c_0": "h_0", "h_n": "c_n", "c_n": "h_n"}


def moves(kind: str, case: Case) -> Iterator[Move]:
    """Yields the moves of the blocks of a kind, the simplest ones first."""
    yield Move(ZEROS, lambda *_: ())
    for axis in axes(kind):
        if axis != "gate" and len(values(axis, case)) > 1:
            yield from _MOVES_OF_AXIS[axis](case)
    if "gate" in axes(kind):
        yield from _gates(is_read=kind == bare_kind(kind))
    yield from _kinds(kind)
    yield from memory_orders(kind)
    yield from _factors()


def _to(axis: str, words: str, place: Callable[[int, Case], int | None]) -> Move:
    """Returns a move that changes one coordinate."""

    def terms(block: Block, case: Case) -> Terms | None:
        found = place(getattr(block, axis), case)
        if found is None or found not in values(axis, case):
            return None
        return ((replace(block, **{axis: found}), 1.0),)  # type: ignore[arg-type]

    return Move(words, terms)


def _constant(place: int) -> Callable[[Case], int]:
    return lambda _: place


def _from(axis: str, words: str, place: Callable[[Case], int]) -> Move:
    """Returns a move that takes all blocks from the same place of one coordinate."""
    return replace(_to(axis, f"from {words}", lambda _, case: place(case)), constant=axis)


def _ordered(axis: str, order: tuple[int, ...]) -> Callable[[int, Case], int | None]:
    return lambda i, case: order[i] if len(values(axis, case)) == len(order) else None


def _rows(case: Case) -> Iterator[Move]:
    yield _to("row", "with the rows in reverse order", lambda row, case: (case.rows or 1) - 1 - row)
    for row in values("row", case)[:MAX_VALUES]:
        yield _from("row", f"row {row}", _constant(row))
    for shift, words in ((-1, "the row before"), (1, "the row after")):
        yield _to("row", f"from {words}, around the ends", lambda row, case, by=shift: (row + by) % (case.rows or 1))  # type: ignore[misc]
    count = len(values("row", case))
    for order in permutations(range(count)) if count <= 4 else ():
        if list(order) not in (sorted(order), sorted(order, reverse=True)):
            yield _to("row", f"with the rows in the order {', '.join(map(str, order))}", _ordered("row", order))


def _steps(case: Case) -> Iterator[Move]:
    del case
    yield _to("step", "with the steps in reverse order", lambda step, case: case.seq_len - 1 - step)
    yield _from("step", "the last step", lambda case: case.seq_len - 1)
    yield _from("step", "the first step", lambda _: 0)
    for shift, words in ((-1, "the step before"), (1, "the step after")):
        yield _to("step", f"from {words}, around the ends", lambda step, case, by=shift: (step + by) % case.seq_len)  # type: ignore[misc]
        yield _shifted(shift, words)


def _shifted(shift: int, words: str) -> Move:
    def terms(block: Block, case: Case) -> Terms:
        step = (block.step or 0) + shift
        return ((replace(block, step=step), 1.0),) if 0 <= step < case.seq_len else ()

    return Move(f"from {words}, zeros at the end", terms)


def _layers(case: Case) -> Iterator[Move]:
    yield _to("layer", "with the layers in reverse order", lambda layer, case: case.num_layers - 1 - layer)
    for layer in values("layer", case):
        yield _from("layer", f"layer {layer}", _constant(layer))


def _directions(case: Case) -> Iterator[Move]:
    del case
    yield _to("direction", "with the directions exchanged", lambda direction, _: 1 - direction)
    for number, name in enumerate(DIRECTIONS):
        yield _from("direction", f"the {name} direction", _constant(number))

    def both(block: Block, case: Case) -> Terms | None:
        if case.model.num_directions == 1:
            return None
        return tuple((replace(block, direction=direction), 1.0) for direction in (0, 1))

    yield Move("from the sum of both directions", both)


def _gates(is_read: bool) -> Iterator[Move]:
    for gate, name in enumerate(GATES):
        yield _from("gate", f"the {name} gate", _constant(gate))
    for order in permutations(range(4)):
        if order != (0, 1, 2, 3):
            # Who takes gate k from block order[k] expects the gates in the inverse order.
            shown = sorted(range(4), key=order.__getitem__) if is_read else order
            letters = ", ".join(_LETTERS[gate] for gate in shown)
            words = (
                f"as if the gates were in the order {letters}" if is_read else f"with the gates in the order {letters}"
            )
            yield _to("gate", words, _ordered("gate", order))


_MOVES_OF_AXIS: dict[str, Callable[[Case], Iterator[Move]]] = {
    "row": _rows,
    "step": _steps,
    "layer": _layers,
    "direction": _directions,
}


def _kinds(kind: str) -> Iterator[Move]:
    """Yields moves from blocks of another kind."""
    bare = bare_kind(kind)
    prefix = kind.removesuffix(bare)
    family = PARAMETERS if bare in PARAMETERS else [_STATE_PAIRS[bare]] if bare in _STATE_PAIRS else []
    for other in family:
        if other != bare:
            yield Move(f"from {prefix}{other}", _of_kind({kind: prefix + other}))
    if bare in _STATE_PAIRS:
        pairs = {prefix + one: prefix + other for one, other in _STATE_PAIRS.items()}
        yield Move("exchanged", _of_kind(pairs))
    if kind in RESULTS[1:]:
        yield Move("from the last step of output", lambda block, case: _from_output(block, case, case.seq_len - 1))
        yield Move("from the first step of output", lambda block, case: _from_output(block, case, 0))


def _of_kind(kinds: Mapping[str, str]) -> Callable[[Block, Case], Terms | None]:
    """Returns the terms of a move from the same place of another kind."""
    return lambda block, _: ((replace(block, kind=kinds[block.kind]), 1.0),) if block.kind in kinds else None


def _from_output(block: Block, case: Case, step: int) -> Terms | None:
    if block.layer != case.num_layers - 1:
        return None
    return ((Block("output", direction=block.direction, row=block.row, step=step), 1.0),)


_FACTORS: dict[str, Callable[[Case], float]] = {
    "-1": lambda _: -1.0,
    "2": lambda _: 2.0,
    "1/2": lambda _: 0.5,
    "1/B": lambda case: 1 / (case.rows or 1),
    "1/T": lambda case: 1 / case.seq_len,
    "1/(T·B)": lambda case: 1 / (case.seq_len * (case.rows or 1)),
    "B": lambda case: float(case.rows or 1),
    "T": lambda case: float(case.seq_len),
}


def _factors() -> Iterator[Move]:
    for name, factor in _FACTORS.items():
        yield _multiplication(name, factor)


def multiplication(value: float, case: Case) -> Move:
    """Returns the move that multiplies by a fitted value, which is given to six digits if it has no simple name."""
    if abs(value) < _SAME_FACTOR:
        return Move(ZEROS, lambda *_: ())
    for name, factor in _FACTORS.items():
        if abs(factor(case) - value) <= _SAME_FACTOR * abs(value):
            return _multiplication(name, factor)
    rounded = float(f"{value:.6g}")
    return _multiplication(f"{rounded:.6g}", lambda _: rounded)


def _multiplication(name: str, factor: Callable[[Case], float]) -> Move:
    return Move(f"multiplied by {name}", lambda block, case: ((block, factor(case)),))
