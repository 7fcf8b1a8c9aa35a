"""Errors that begin at some size, as in kernels whose blocks or remainder loops end too early."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    all_of,
    has_full_row,
    has_previous_h,
    requiring,
    without_lengths,
)
from conformance.defects.catalogue.tensors import Layers, Move, move_in_parameters, move_in_states, move_in_steps
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire

VECTOR = 8
"""Units of a vector register."""
TAIL_FROM = 32
"""Hidden size from which the tail of the hidden units is lost."""


def _hidden_size_above(size: int) -> Condition:
    return lambda case: max(case.model.distinct_hidden_sizes) > size


def _input_size_above(size: int) -> Condition:
    return lambda case: case.input_size > size


def _rows_above(count: int) -> Condition:
    return lambda case: (case.rows or 1) > count


def _steps_above(count: int) -> Condition:
    return all_of(has_full_row, lambda case: case.seq_len > count)


def _places_above(count: int) -> Condition:
    return all_of(without_lengths, lambda case: case.seq_len * (case.rows or 1) > count)


def _has_tail(size: int) -> bool:
    return size >= TAIL_FROM and size % VECTOR > 0


def _without_columns(kind: str, start: int) -> Rewire:
    """Reads the columns of a kind of weights from a number on as zeros."""

    def move(array: Any, case: Case) -> Any:
        del case
        rest = array.copy()
        rest[:, start:] = NOTHING
        return rest

    return move_in_parameters(kind, move=move)


def _without_tail(array: Any, case: Case) -> Any:
    """Ignores the last hidden units, which do not fill a vector register."""
    del case
    rest, size = array.copy(), array.shape[1]
    if _has_tail(size):
        rest[:, size - size % VECTOR :] = NOTHING
    return rest


def _without_steps(start: int) -> Move:
    def move(array: Any, case: Case) -> Any:
        del case
        rest = array.copy()
        rest[start:] = NOTHING
        return rest

    return move


def _without_places(start: int) -> Move:
    """Ignores the (step, row) places from a number on, counted in time-major order."""

    def move(array: Any, case: Case) -> Any:
        del case
        rest = array.reshape(-1, array.shape[-1]).copy()
        rest[start:] = NOTHING
        return rest.reshape(array.shape)

    return move


def _rows_from(start: int) -> Rewire:
    """Returns the results of the first rows again from a row on."""

    def order(rows: int) -> Any:
        return np.where(np.arange(rows) < start, np.arange(rows), np.arange(rows) - start)

    def layers_again(layers: Layers, case: Case) -> Layers:
        del case
        return [layer[:, order(layer.shape[1])] for layer in layers]

    output = move_in_steps("output", lambda array, _: array[:, order(array.shape[1])])
    states = move_in_states("h_n", "c_n", move=layers_again)

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        return output(numbers, case) | states(numbers, case)

    return rewire


DEFECTS = [
    Defect(
        id="tail-of-units-lost-from-32",
        what="whose recurrent product loses the units after the last multiple of 8 from 32 units on",
        requires=all_of(has_previous_h, lambda case: any(map(_has_tail, case.model.distinct_hidden_sizes))),
        reads=move_in_parameters("weight_hh", move=_without_tail),
    ),
    *requiring(
        has_previous_h,
        [
            Defect(
                id=f"units-from-{size}-ignored",
                what=f"whose recurrent weights ignore the units from unit {size} on",
                represents=represents,
                requires=_hidden_size_above(size),
                reads=_without_columns("weight_hh", size),
            )
            for size, represents in ((128, "FlagGems#5014"), (256, ""))
        ],
    ),
    *(
        Defect(
            id=f"features-from-{size}-ignored",
            what=f"that ignores the features of the input from feature {size} on",
            requires=_input_size_above(size),
            reads=_without_columns("weight_ih_l0", size),
        )
        for size in (256, 1024)
    ),
    *(
        Defect(
            id=f"rows-from-{count}-repeated",
            what=f"that returns the results of the first rows again from row {count} on",
            represents=represents,
            requires=_rows_above(count),
            writes=_rows_from(count),
        )
        for count, represents in ((32, ""), (110, "pytorch#177834"))
    ),
    *(
        Defect(
            id=f"input-from-step-{count}-ignored",
            what=f"that reads zeros in place of the input from step {count} on",
            requires=_steps_above(count),
            reads=move_in_steps("input", _without_steps(count)),
        )
        for count in (64, 128)
    ),
    Defect(
        id="input-product-lost-above-1024",
        what="whose input product covers only the first 1,024 places, counted over the rows of all steps",
        requires=_places_above(1024),
        reads=move_in_steps("input", _without_places(1024)),
    ),
]
