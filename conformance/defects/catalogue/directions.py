"""Directions that run in the wrong order of time, or whose outputs are in the wrong place."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    alike_directions,
    all_of,
    bidirectional,
    has_forward,
    has_reverse,
    has_steps,
    requiring,
    several_rows,
    several_steps,
    unlike_directions,
)
from conformance.defects.catalogue.tensors import (
    Directions,
    Layers,
    move_in_directions,
    move_in_parameters,
    move_in_states,
)
from conformance.defects.defect import NOTHING, Arrays, Defect
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


def _reverse_in_time(directions: Directions, case: Case) -> Directions:
    """Reverses the output of the reverse direction in time."""
    del case
    return [*directions[:-1], directions[-1][::-1]]


def _repeat_forward(directions: Directions, case: Case) -> Directions:
    del case
    return [directions[0]] * 2


def _swap(directions: Directions, case: Case) -> Directions:
    del case
    return directions[::-1]


def _interleave(directions: Directions, case: Case) -> Directions:
    """Writes (T, B, D, H) in the memory order of (T, B, H, D)."""
    del case
    return [np.stack(directions, axis=-1).reshape(*directions[0].shape[:2], -1)]


def _before_rows(directions: Directions, case: Case) -> Directions:
    """Writes (T, B, D, H) in the memory order of (T, D, B, H)."""
    del case
    return [np.stack(directions, axis=1).reshape(*directions[0].shape[:2], -1)]


def _before_steps(directions: Directions, case: Case) -> Directions:
    """Writes (T, B, D, H) in the memory order of (D, T, B, H)."""
    del case
    return [np.stack(directions).reshape(*directions[0].shape[:2], -1)]


def _without_excess(array: Any, units: int) -> Any:
    """Returns 0 for the units from a number on."""
    return np.where(np.arange(array.shape[-1]) < units, array, NOTHING)


def _without_excess_units(numbers: Arrays, case: Case) -> Arrays:
    """Returns 0 for the units that only one direction of a layer has."""
    model = case.model
    shared = [min(model.hidden_size(layer, 0), model.hidden_size(layer, 1)) for layer in range(case.num_layers)]

    def cut(states: Layers, case: Case) -> Layers:
        layers = [layer for [(layer, _)] in case.model.state_places.values()]
        return [_without_excess(state, shared[layer]) for layer, state in zip(layers, states, strict=True)]

    output = move_in_directions(lambda directions, _: [_without_excess(own, shared[-1]) for own in directions])
    return output(numbers, case) | move_in_states("h_n", "c_n", move=cut)(numbers, case)


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
            requires=alike_directions,
            writes=move_in_directions(_repeat_forward),
        ),
        Defect(
            id="output-directions-swapped",
            what="whose output holds the reverse direction before the forward direction",
            requires=bidirectional,
            writes=move_in_directions(_swap),
        ),
        Defect(
            id="output-directions-interleaved",
            what="whose output interleaves the units of the two directions",
            requires=all_of(alike_directions, _several_outputs),
            writes=move_in_directions(_interleave),
        ),
        Defect(
            id="output-directions-before-rows",
            what="whose output is stored with the directions before the rows, not after them",
            represents="onnx LSTM, whose output has this layout",
            requires=all_of(alike_directions, several_rows),
            writes=move_in_directions(_before_rows),
        ),
        Defect(
            id="output-directions-before-steps",
            what="whose output is stored with the directions before the time steps, not after the rows",
            requires=all_of(alike_directions, _several_steps_or_rows),
            writes=move_in_directions(_before_steps),
        ),
        Defect(
            id="reverse-output-in-order-of-processing-if-sizes-differ",
            what=(
                "whose reverse direction returns its output in the order of processing, last time step first, if the "
                "directions differ in their number of units"
            ),
            represents="keras.layers.Bidirectional[jax] on a GPU",
            requires=all_of(unlike_directions, several_steps),
            writes=move_in_directions(_reverse_in_time),
        ),
        Defect(
            id="units-of-one-direction-lost",
            what="that returns 0 for the units that only one of its directions has",
            requires=unlike_directions,
            writes=_without_excess_units,
        ),
    ],
)
