"""Initial and final states with layers or directions in the wrong order. Wrong rows are in ``rows``."""

from collections.abc import Callable

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    alike_directions,
    all_of,
    bidirectional,
    has_initial_state,
    several_layers,
    several_rows,
    uniform_layers,
)
from conformance.defects.catalogue.tensors import Layers, move_in_states
from conformance.defects.defect import Defect

MoveLayers = Callable[[Layers, Case], Layers]


def _reverse_layers(layers: Layers, case: Case) -> Layers:
    del case
    return layers[::-1]


def _swap_directions(layers: Layers, case: Case) -> Layers:
    del case
    return [layer[::-1] for layer in layers]


def _repeat_forward(layers: Layers, case: Case) -> Layers:
    del case
    return [np.stack([layer[0], layer[0]]) for layer in layers]


def _repeat_first_layer(layers: Layers, case: Case) -> Layers:
    del case
    return [layers[0]] * len(layers)


def _repeat_last_layer(layers: Layers, case: Case) -> Layers:
    del case
    return [layers[-1]] * len(layers)


def _write_direction_major(layers: Layers, case: Case) -> Layers:
    """Writes (L, D, B, ·) in the memory order of (D, L, B, ·)."""
    del case
    whole = np.stack(layers)
    return list(whole.swapaxes(0, 1).reshape(whole.shape))


def _read_direction_major(layers: Layers, case: Case) -> Layers:
    """Inverts ``_write_direction_major``."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(whole.shape[1], whole.shape[0], *whole.shape[2:]).swapaxes(0, 1))


def _write_batch_first(layers: Layers, case: Case) -> Layers:
    """Writes (L · D, B, ·) in the memory order of (B, L · D, ·)."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(-1, *whole.shape[2:]).swapaxes(0, 1).reshape(whole.shape))


def _read_batch_first(layers: Layers, case: Case) -> Layers:
    """Inverts ``_write_batch_first``."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(whole.shape[2], -1, whole.shape[3]).swapaxes(0, 1).reshape(whole.shape))


def _read_one_row_apart(layers: Layers, case: Case) -> Layers:
    """Reads each layer one row, not one batch, after the layer below."""
    del case
    whole = np.stack(layers)
    width, size = whole.shape[-1], layers[0].size
    return [whole.ravel()[k * width : k * width + size].reshape(layers[0].shape) for k in range(len(layers))]


def _read_without_directions(layers: Layers, case: Case) -> Layers:
    """Reads layer k from index k, not from index k · D."""
    del case
    flat = np.concatenate(layers)
    return [flat[k : k + 2] for k in range(len(layers))]


def _initial_and_final(
    id: str,  # noqa: A002
    what: str,
    requires: Condition,
    write: MoveLayers,
    read: MoveLayers | None = None,
) -> list[Defect]:
    """Returns two defects: the same mistake in the initial states and in the final states.

    Args:
        id: end of the defects' ids.
        what: end of the defects' descriptions, after "whose initial states" and "whose final states".
        requires: condition of both defects.
        write: moves the final states.
        read: moves the initial states; None if ``write`` is its own inverse.
    """
    return [
        Defect(
            id=f"initial-states-{id}",
            what=f"whose initial states {what}",
            requires=all_of(requires, has_initial_state),
            reads=move_in_states("h_0", "c_0", move=read or write),
        ),
        Defect(
            id=f"final-states-{id}",
            what=f"whose final states {what}",
            requires=requires,
            writes=move_in_states("h_n", "c_n", move=write),
        ),
    ]


def _several_states(case: Case) -> bool:
    return case.num_layers * case.model.num_directions > 1


DEFECTS = [
    *_initial_and_final(
        "layers-reversed",
        "are stacked from the last layer to the first",
        all_of(several_layers, uniform_layers),
        _reverse_layers,
    ),
    *_initial_and_final("directions-swapped", "of the two directions are swapped", alike_directions, _swap_directions),
    *_initial_and_final(
        "by-direction-then-layer",
        "are stacked by direction, then by layer",
        all_of(several_layers, uniform_layers, bidirectional),
        _write_direction_major,
        _read_direction_major,
    ),
    *_initial_and_final(
        "batch-first",
        "are stored batch first",
        all_of(uniform_layers, several_rows, _several_states),
        _write_batch_first,
        _read_batch_first,
    ),
    *_initial_and_final(
        "of-reverse-from-forward",
        "of the reverse direction are those of the forward direction",
        alike_directions,
        _repeat_forward,
    ),
    Defect(
        id="initial-states-of-first-layer-in-all",
        what="whose layers all start from the initial states of the first layer",
        represents="GansFallingShort#2",
        requires=all_of(several_layers, uniform_layers, has_initial_state),
        reads=move_in_states("h_0", "c_0", move=_repeat_first_layer),
    ),
    Defect(
        id="initial-states-a-row-apart",
        what="that reads the initial states of consecutive layers one row apart, not one batch apart",
        represents="pytorch#95137",
        requires=all_of(several_layers, uniform_layers, several_rows, has_initial_state),
        reads=move_in_states("h_0", "c_0", move=_read_one_row_apart),
    ),
    Defect(
        id="initial-states-without-directions",
        what="that reads the initial states of layer k from index k, not from k times the number of directions",
        represents="pytorch#95137",
        requires=all_of(several_layers, uniform_layers, bidirectional, has_initial_state),
        reads=move_in_states("h_0", "c_0", move=_read_without_directions),
    ),
    Defect(
        id="final-states-of-last-layer-in-all",
        what="that returns the last layer's final states for every layer",
        requires=all_of(several_layers, uniform_layers),
        writes=move_in_states("h_n", "c_n", move=_repeat_last_layer),
    ),
    Defect(
        id="final-states-of-first-layer-in-all",
        what="that returns the first layer's final states for every layer",
        requires=all_of(several_layers, uniform_layers),
        writes=move_in_states("h_n", "c_n", move=_repeat_first_layer),
    ),
]
