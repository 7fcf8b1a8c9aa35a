"""Directions that run in the wrong order of time, or whose outputs are in the wrong place."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    bidirectional,
    has_forward,
    has_reverse,
    has_steps,
    requiring,
    several_rows,
    several_steps,
)
from conformance.defects.catalogue.tensors import move_in_directions, move_in_parameters
from conformance.defects.defect import Arrays, Defect
from reference.layer import Time


def _always_forward(steps: int, suffix: str) -> Time:
    del suffix
    return Time(steps, "")


def _always_reverse(steps: int, suffix: str) -> Time:
    del suffix
    return Time(steps, "_reverse")


def _opposite(steps: int, suffix: str) -> Time:
    return Time(steps, "" if suffix else "_reverse")


def _reverse_features(numbers: Arrays, case: Case) -> Arrays:
    """Reverses the columns of the reverse direction's input weights, so it reads the features in reverse order."""
    reverse = {name: array for name, array in numbers.items() if name.endswith("_reverse")}
    return move_in_parameters("weight_ih", move=lambda array, _: array[:, ::-1])(reverse, case)


def _reverse_in_time(array: Any, case: Case) -> Any:
    """Reverses the output of the reverse direction in time."""
    del case
    reversed_ = array.copy()
    reversed_[:, :, -1] = array[::-1, :, -1]
    return reversed_


def _repeat_forward(array: Any, case: Case) -> Any:
    del case
    return array[:, :, [0, 0]]


def _interleave(array: Any, case: Case) -> Any:
    """Writes (T, B, D, H) in the memory order of (T, B, H, D)."""
    del case
    return array.swapaxes(2, 3).reshape(array.shape)


def _before_rows(array: Any, case: Case) -> Any:
    """Writes (T, B, D, H) in the memory order of (T, D, B, H)."""
    del case
    return array.swapaxes(1, 2).reshape(array.shape)


def _before_steps(array: Any, case: Case) -> Any:
    """Writes (T, B, D, H) in the memory order of (D, T, B, H)."""
    del case
    return np.moveaxis(array, 2, 0).reshape(array.shape)


def _several_outputs(case: Case) -> bool:
    return case.model.state_size(case.num_layers - 1) > 1


def _several_steps_or_rows(case: Case) -> bool:
    return case.seq_len * (case.rows or 1) > 1


DEFECTS = requiring(
    has_steps,
    [
        Defect(
            id="reverse-ignored",
            what="whose reverse direction runs forward",
            represents="onnx#7935, candle",
            requires=all_of(has_reverse, several_steps),
            clock=_always_forward,
        ),
        Defect(
            id="forward-runs-in-reverse",
            what="whose forward direction runs in reverse too",
            requires=all_of(has_forward, several_steps),
            clock=_always_reverse,
        ),
        Defect(
            id="directions-of-time-swapped",
            what="whose forward direction runs in reverse and whose reverse direction runs forward",
            requires=all_of(bidirectional, several_steps),
            clock=_opposite,
        ),
        Defect(
            id="features-reversed-not-time",
            what="whose reverse direction reverses the features, not the time steps",
            represents="onnx2c#95",
            requires=all_of(has_reverse, several_steps),
            reads=_reverse_features,
            clock=_always_forward,
        ),
        Defect(
            id="reverse-output-in-order-of-processing",
            what="whose reverse direction returns its output in the order of processing, last time step first",
            represents="onnxruntime#4187",
            requires=all_of(has_reverse, several_steps),
            writes=move_in_directions(_reverse_in_time),
        ),
        Defect(
            id="reverse-output-is-forward",
            what="that returns the forward direction's output for both directions",
            represents="tflearn#522",
            requires=bidirectional,
            writes=move_in_directions(_repeat_forward),
        ),
        Defect(
            id="output-directions-swapped",
            what="whose output holds the reverse direction before the forward direction",
            requires=bidirectional,
            writes=move_in_directions(lambda array, _: array[:, :, ::-1]),
        ),
        Defect(
            id="output-directions-interleaved",
            what="whose output interleaves the units of the two directions",
            requires=all_of(bidirectional, _several_outputs),
            writes=move_in_directions(_interleave),
        ),
        Defect(
            id="output-directions-before-rows",
            what="whose output is stored with the directions before the rows, not after them",
            represents="onnx LSTM, whose output has this layout",
            requires=all_of(bidirectional, several_rows),
            writes=move_in_directions(_before_rows),
        ),
        Defect(
            id="output-directions-before-steps",
            what="whose output is stored with the directions before the time steps, not after the rows",
            requires=all_of(bidirectional, _several_steps_or_rows),
            writes=move_in_directions(_before_steps),
        ),
    ],
)
