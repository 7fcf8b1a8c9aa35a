"""Rows of a batch that are mixed up."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    has_initial_state,
    has_padding,
    has_steps,
    requiring,
    row_lengths,
    several_rows,
    several_steps,
)
from conformance.defects.catalogue.tensors import Layers, move_in_states, move_in_steps
from conformance.defects.defect import NOTHING, Arrays, Defect


def _in_rows(layers: Layers, rows: list[int]) -> Layers:
    return [layer[:, rows] for layer in layers]


def _repeat_first(layers: Layers, case: Case) -> Layers:
    return _in_rows(layers, [0] * (case.rows or 1))


def _shift(layers: Layers, case: Case) -> Layers:
    return _in_rows(layers, [row - 1 for row in range(case.rows or 1)])


def _reverse(layers: Layers, case: Case) -> Layers:
    return _in_rows(layers, list(range(case.rows or 1))[::-1])


def _first_row_only(numbers: Arrays, case: Case) -> Arrays:
    """Zeroes all rows but the first in ``output``, ``h_n`` and ``c_n``."""

    def keep_first(array: Any, case: Case) -> Any:
        del case
        kept = np.full_like(array, NOTHING)
        kept[:, 0] = array[:, 0]
        return kept

    def keep_first_in_each(layers: Layers, case: Case) -> Layers:
        return [keep_first(layer, case) for layer in layers]

    output = move_in_steps("output", keep_first)
    states = move_in_states("h_n", "c_n", move=keep_first_in_each)
    return output(numbers, case) | states(numbers, case)


def _longest_from_previous(array: Any, case: Case) -> Any:
    """Replaces the longest row by the previous row."""
    mixed, row = array.copy(), int(row_lengths(case).argmax())
    mixed[:, row] = array[:, row - 1]
    return mixed


def _reshape(array: Any, case: Case) -> Any:
    """Reshapes (B, T, ·) to (T, B, ·), or the other way around, without moving elements in memory."""
    del case
    return array.swapaxes(0, 1).reshape(array.shape)


DEFECTS = requiring(
    all_of(has_steps, several_rows),
    [
        Defect(
            id="initial-states-of-first-row-in-all",
            what="whose rows all start from the initial states of the first row",
            requires=has_initial_state,
            reads=move_in_states("h_0", "c_0", move=_repeat_first),
        ),
        Defect(
            id="initial-states-of-row-before",
            what="whose rows each start from the initial states of the previous row",
            requires=has_initial_state,
            reads=move_in_states("h_0", "c_0", move=_shift),
        ),
        Defect(
            id="final-states-of-row-before",
            what="that returns the previous row's final states for each row",
            writes=move_in_states("h_n", "c_n", move=_shift),
        ),
        Defect(
            id="final-states-rows-reversed",
            what="that returns the rows of its final states in reverse order",
            writes=move_in_states("h_n", "c_n", move=_reverse),
        ),
        Defect(
            id="output-rows-reversed",
            what="that returns the rows of its output in reverse order",
            writes=move_in_steps("output", lambda array, _: array[:, ::-1]),
        ),
        Defect(
            id="input-of-first-row-in-all",
            what="whose rows all read the input of the first row",
            reads=move_in_steps("input", lambda array, case: array[:, [0] * (case.rows or 1)]),
        ),
        Defect(
            id="input-of-one-row-from-row-before",
            what="that reads the input of the previous row in one row",
            reads=move_in_steps("input", _longest_from_previous),
        ),
        Defect(
            id="input-rows-rolled",
            what="whose rows each read the input of the previous row, but their own initial states",
            requires=lambda case: not has_padding(case),
            reads=move_in_steps("input", lambda array, _: np.roll(array, 1, axis=1)),
        ),
        Defect(
            id="only-first-row-computed",
            what="that returns zeros for all rows but the first",
            represents="tensorflow#51561",
            writes=_first_row_only,
        ),
        Defect(
            id="input-reshaped",
            what="that reshapes its input between time-major and batch-first instead of transposing it",
            requires=several_steps,
            reads=move_in_steps("input", _reshape),
        ),
        Defect(
            id="output-reshaped",
            what="that reshapes its output between time-major and batch-first instead of transposing it",
            represents="pytorch#80306",
            requires=several_steps,
            writes=move_in_steps("output", _reshape),
        ),
    ],
)
