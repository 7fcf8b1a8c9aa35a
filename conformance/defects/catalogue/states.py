"""States that are ignored, swapped, left over from another sequence, or replaced by another tensor.

States in the wrong order are in ``state_layout``, those of the wrong rows in ``rows``.
"""

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    has_forward,
    has_initial_state,
    has_reverse,
    initial_state_of,
    no_projection,
    several_layers,
    several_steps,
)
from conformance.defects.catalogue.tensors import (
    Layers,
    change_tensors,
    h_n_from_output,
    move_in_states,
    swap_states,
)
from conformance.defects.defect import NOTHING, Defect


def _zeros(layers: Layers, case: Case) -> Layers:
    del case
    return [np.full_like(layer, NOTHING) for layer in layers]


def _zeros_above_first(layers: Layers, case: Case) -> Layers:
    return [layers[0], *_zeros(layers[1:], case)]


_left_behind = change_tensors(("h_0", "c_0"), lambda array, _: array + 0.25)
"""Change of zero initial states to 0.25, like states left by another sequence."""


DEFECTS = [
    Defect(
        id="h_0-ignored",
        what="that ignores h_0",
        requires=initial_state_of("h_0"),
        reads=move_in_states("h_0", move=_zeros),
    ),
    Defect(
        id="c_0-ignored",
        what="that ignores c_0",
        requires=initial_state_of("c_0"),
        reads=move_in_states("c_0", move=_zeros),
    ),
    Defect(
        id="initial-states-ignored",
        what="that ignores its initial states",
        requires=has_initial_state,
        reads=move_in_states("h_0", "c_0", move=_zeros),
    ),
    Defect(
        id="initial-states-of-upper-layers-ignored",
        what="that ignores the initial states of all layers but the first",
        requires=all_of(several_layers, has_initial_state),
        reads=move_in_states("h_0", "c_0", move=_zeros_above_first),
    ),
    Defect(
        id="omitted-states-not-zero",
        what="that starts from the states left by another sequence when no initial state is given",
        represents="tensorflow#47813",
        requires=lambda case: case.initial_state == "omitted",
        shifts=_left_behind,
    ),
    Defect(
        id="zero-states-not-zero",
        what="that starts from the states left by another sequence when the initial state is zero",
        requires=lambda case: case.initial_state == "zero",
        shifts=_left_behind,
    ),
    Defect(
        id="h_0-and-c_0-swapped",
        what="that swaps h_0 and c_0",
        represents="burn#5234",
        requires=all_of(no_projection, has_initial_state),
        reads=swap_states("h_0", "c_0"),
    ),
    Defect(
        id="h_n-and-c_n-swapped",
        what="that swaps h_n and c_n",
        represents="nni#2842",
        requires=no_projection,
        writes=swap_states("h_n", "c_n"),
    ),
    Defect(id="h_n-never-written", what="that returns zeros as h_n", writes=move_in_states("h_n", move=_zeros)),
    Defect(id="c_n-never-written", what="that returns zeros as c_n", writes=move_in_states("c_n", move=_zeros)),
    Defect(
        id="c_n-is-h_n",
        what="that returns h_n as c_n too",
        requires=no_projection,
        writes=lambda numbers, _: {f"c_n{name[3:]}": numbers[name] for name in numbers if name.startswith("h_n")},
    ),
    Defect(
        id="c_n-squashed",
        what="that returns tanh(c_n) as c_n",
        results=change_tensors("c_n", lambda array, _: np.tanh(array)),
    ),
    Defect(
        id="h_n-of-reverse-from-last-step",
        what="whose reverse direction returns its output at the last time step as h_n",
        represents="OpenCV LSTM",
        requires=all_of(has_reverse, several_steps),
        writes=h_n_from_output(lambda _: -1, direction=-1),
    ),
    Defect(
        id="h_n-from-first-step",
        what="whose forward direction returns its output at the first time step as h_n",
        requires=all_of(has_forward, several_steps),
        writes=h_n_from_output(lambda _: 0, direction=0),
    ),
]
