"""Rows of a batch that are mixed up."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    States,
    every,
    given,
    needing,
    of_states,
    of_steps,
    padded,
    row_lengths,
    several_rows,
    several_steps,
    takes_steps,
)
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire

_any_given = given("h_0", "c_0")


def _in_rows(layers: States, rows: list[int]) -> States:
    return [layer[:, rows] for layer in layers]


def _first(layers: States, case: Case) -> States:
    return _in_rows(layers, [0] * (case.rows or 1))


def _rolled(layers: States, case: Case) -> States:
    return _in_rows(layers, [row - 1 for row in range(case.rows or 1)])


def _reversed(layers: States, case: Case) -> States:
    return _in_rows(layers, list(range(case.rows or 1))[::-1])


def _all(*moves: Rewire) -> Rewire:
    def rewire(numbers: Arrays, case: Case) -> Arrays:
        read: Arrays = {}
        for move in moves:
            read |= move(numbers, case)
        return read

    return rewire


def _only_first(array: Any, case: Case) -> Any:
    del case
    only = np.full_like(array, NOTHING)
    only[:, 0] = array[:, 0]
    return only


def _one_from_before(array: Any, case: Case) -> Any:
    """The longest row's steps are those of the row before it."""
    mixed, row = array.copy(), int(row_lengths(case).argmax())
    mixed[:, row] = array[:, row - 1]
    return mixed


def _reshaped(array: Any, case: Case) -> Any:
    """Memory in the order of (B, T, ·) taken for (T, B, ·), or the other way round."""
    del case
    return array.swapaxes(0, 1).reshape(array.shape)


DEFECTS = needing(
    takes_steps,
    [
        Defect(
            id="initial-states-of-first-row-in-all",
            what="whose rows all start from the first one's initial states",
            applies=every(several_rows, _any_given),
            reads=of_states("h_0", "c_0", move=_first),
        ),
        Defect(
            id="initial-states-of-row-before",
            what="whose rows each start from the initial states of the row before",
            applies=every(several_rows, _any_given),
            reads=of_states("h_0", "c_0", move=_rolled),
        ),
        Defect(
            id="final-states-of-row-before",
            what="that answers the final states of the row before for each row",
            applies=several_rows,
            answers=of_states("h_n", "c_n", move=_rolled),
        ),
        Defect(
            id="final-states-rows-reversed",
            what="that answers the final states last row first",
            applies=several_rows,
            answers=of_states("h_n", "c_n", move=_reversed),
        ),
        Defect(
            id="output-rows-reversed",
            what="that answers its output last row first",
            applies=several_rows,
            answers=of_steps("output", lambda array, _: array[:, ::-1]),
        ),
        Defect(
            id="input-of-first-row-in-all",
            what="whose rows all read the first one's input",
            applies=several_rows,
            reads=of_steps("input", lambda array, case: array[:, [0] * (case.rows or 1)]),
        ),
        Defect(
            id="input-of-one-row-from-row-before",
            what="one row of which reads the input of the row before",
            applies=several_rows,
            reads=of_steps("input", _one_from_before),
        ),
        Defect(
            id="input-rows-rolled",
            what="whose rows each read the input of the row before, but not its states",
            applies=every(several_rows, lambda case: not padded(case)),
            reads=of_steps("input", lambda array, _: np.roll(array, 1, axis=1)),
        ),
        Defect(
            id="only-first-row-computed",
            what="that answers zeros for all rows but the first",
            stands_for="tensorflow#51561",
            applies=several_rows,
            answers=_all(
                of_steps("output", _only_first),
                of_states("h_n", "c_n", move=lambda layers, case: [_only_first(layer, case) for layer in layers]),
            ),
        ),
        Defect(
            id="input-reshaped",
            what="that reshapes its input between time-major and batch-first in place of transposing it",
            applies=every(several_rows, several_steps),
            reads=of_steps("input", _reshaped),
        ),
        Defect(
            id="output-reshaped",
            what="that reshapes its output between time-major and batch-first in place of transposing it",
            stands_for="pytorch#80306",
            applies=every(several_rows, several_steps),
            answers=of_steps("output", _reshaped),
        ),
    ],
)
