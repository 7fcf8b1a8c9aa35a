"""Initial states read, and final states answered, in the wrong place. Which rows they belong to is in ``rows``."""

from collections.abc import Callable

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    States,
    as_tensors,
    both_ways,
    every,
    exchanged,
    given,
    goes_back,
    goes_forth,
    of_states,
    output_of,
    several_layers,
    several_rows,
    several_steps,
    states,
    uniform_layers,
)
from conformance.defects.defect import NOTHING, Arrays, Change, Defect, Rewire

_any_given = given("h_0", "c_0")


def _nothing(layers: States, case: Case) -> States:
    del case
    return [np.full_like(layer, NOTHING) for layer in layers]


def _upper_nothing(layers: States, case: Case) -> States:
    return [layers[0], *_nothing(layers[1:], case)]


def _layers_reversed(layers: States, case: Case) -> States:
    del case
    return layers[::-1]


def _directions_swapped(layers: States, case: Case) -> States:
    del case
    return [layer[::-1] for layer in layers]


def _forward_for_both(layers: States, case: Case) -> States:
    del case
    return [np.stack([layer[0], layer[0]]) for layer in layers]


def _directions_first(layers: States, case: Case) -> States:
    """Written by direction, then layer."""
    del case
    whole = np.stack(layers)
    return list(whole.swapaxes(0, 1).reshape(whole.shape))


def _from_directions_first(layers: States, case: Case) -> States:
    """Read by direction, then layer."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(whole.shape[1], whole.shape[0], *whole.shape[2:]).swapaxes(0, 1))


def _rows_first(layers: States, case: Case) -> States:
    """Written (B, L · D, ·)."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(-1, *whole.shape[2:]).swapaxes(0, 1).reshape(whole.shape))


def _from_rows_first(layers: States, case: Case) -> States:
    """Read (B, L · D, ·)."""
    del case
    whole = np.stack(layers)
    return list(whole.reshape(whole.shape[2], -1, whole.shape[3]).swapaxes(0, 1).reshape(whole.shape))


def _first_layer(layers: States, case: Case) -> States:
    del case
    return [layers[0]] * len(layers)


def _last_layer(layers: States, case: Case) -> States:
    del case
    return [layers[-1]] * len(layers)


def _row_stride(layers: States, case: Case) -> States:
    """Each layer's state begins one row, not one batch, after the one below."""
    del case
    whole = np.stack(layers)
    width, size = whole.shape[-1], layers[0].size
    return [whole.ravel()[k * width : k * width + size].reshape(layers[0].shape) for k in range(len(layers))]


def _without_directions(layers: States, case: Case) -> States:
    """Layer k begins at k, not at k · D."""
    del case
    flat = np.concatenate(layers)
    return [flat[k : k + 2] for k in range(len(layers))]


def _both_ends(
    id: str,  # noqa: A002
    what: str,
    move: Callable[[States, Case], States],
    *needs: Callable[[Case], bool],
    read: Callable[[States, Case], States] | None = None,
) -> list[Defect]:
    """The same mistake in initial and in final states; ``read`` is the inverse of ``move``, where it is another."""
    return [
        Defect(
            id=f"initial-states-{id}",
            what=f"whose initial states {what}",
            applies=every(*needs, _any_given),
            reads=of_states("h_0", "c_0", move=read or move),
        ),
        Defect(
            id=f"final-states-{id}",
            what=f"whose final states {what}",
            applies=every(*needs),
            answers=of_states("h_n", "c_n", move=move),
        ),
    ]


def _h_n_from_output(step: int, direction: int) -> Rewire:
    """The last layer's h_n in one direction, read from the output of a step."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        layers = [layer.copy() for layer in states(numbers, "h_n", case)]
        layers[-1][direction] = output_of(numbers, case)[step, :, direction]
        return as_tensors(layers, "h_n", numbers, case)

    return rewire


def _squashed(results: Arrays, case: Case) -> Arrays:
    del case
    return {name: np.tanh(array) if name.startswith("c_n") else array for name, array in results.items()}


def _left_over(size: float) -> Change:
    """States that a previous call has left, in place of the 0s that were asked for."""

    def shift(read: Arrays, case: Case) -> Arrays:
        del case
        return {name: array + size if name.startswith(("h_0", "c_0")) else array for name, array in read.items()}

    return shift


def _equal_widths(case: Case) -> bool:
    return not case.proj_size


DEFECTS = [
    Defect(id="h_0-ignored", what="that ignores h_0", applies=given("h_0"), reads=of_states("h_0", move=_nothing)),
    Defect(id="c_0-ignored", what="that ignores c_0", applies=given("c_0"), reads=of_states("c_0", move=_nothing)),
    Defect(
        id="initial-states-ignored",
        what="that ignores its initial states",
        applies=_any_given,
        reads=of_states("h_0", "c_0", move=_nothing),
    ),
    Defect(
        id="initial-states-of-upper-layers-ignored",
        what="that ignores the initial states of all layers but the first",
        applies=every(several_layers, _any_given),
        reads=of_states("h_0", "c_0", move=_upper_nothing),
    ),
    Defect(
        id="omitted-states-not-zero",
        what="that starts from what another sequence left where no initial state is given",
        stands_for="tensorflow#47813",
        applies=lambda case: case.initial_state == "omitted",
        shifts=_left_over(0.25),
    ),
    Defect(
        id="zero-states-not-zero",
        what="that starts from what another sequence left where the initial state is zero",
        applies=lambda case: case.initial_state == "zero",
        shifts=_left_over(0.25),
    ),
    Defect(
        id="h_0-and-c_0-swapped",
        what="that takes h_0 for c_0 and c_0 for h_0",
        stands_for="burn#5234",
        applies=every(_equal_widths, _any_given),
        reads=exchanged("h_0", "c_0"),
    ),
    Defect(
        id="h_n-and-c_n-swapped",
        what="that answers h_n as c_n and c_n as h_n",
        stands_for="nni#2842",
        applies=_equal_widths,
        answers=exchanged("h_n", "c_n"),
    ),
    *_both_ends("layers-reversed", "are stacked last layer first", _layers_reversed, several_layers, uniform_layers),
    *_both_ends("directions-swapped", "of the two directions are swapped", _directions_swapped, both_ways),
    *_both_ends(
        "by-direction-then-layer",
        "are stacked by direction, then layer",
        _directions_first,
        several_layers,
        uniform_layers,
        both_ways,
        read=_from_directions_first,
    ),
    *_both_ends(
        "batch-first",
        "lie in memory batch first",
        _rows_first,
        uniform_layers,
        several_rows,
        lambda case: case.num_layers * case.model.num_directions > 1,
        read=_from_rows_first,
    ),
    *_both_ends(
        "of-reverse-from-forward", "of the reverse direction are the forward one's", _forward_for_both, both_ways
    ),
    Defect(
        id="initial-states-of-first-layer-in-all",
        what="whose layers all start from the first one's initial states",
        stands_for="GansFallingShort#2",
        applies=every(several_layers, uniform_layers, _any_given),
        reads=of_states("h_0", "c_0", move=_first_layer),
    ),
    Defect(
        id="initial-states-a-row-apart",
        what="that reads each layer's initial states one row, not one batch, after those of the layer below",
        stands_for="pytorch#95137",
        applies=every(several_layers, uniform_layers, several_rows, _any_given),
        reads=of_states("h_0", "c_0", move=_row_stride),
    ),
    Defect(
        id="initial-states-without-directions",
        what="that reads the initial states of layer k at place k, not at k times the number of directions",
        stands_for="pytorch#95137",
        applies=every(several_layers, uniform_layers, both_ways, _any_given),
        reads=of_states("h_0", "c_0", move=_without_directions),
    ),
    Defect(
        id="final-states-of-last-layer-in-all",
        what="that answers the last layer's final states for every layer",
        applies=every(several_layers, uniform_layers),
        answers=of_states("h_n", "c_n", move=_last_layer),
    ),
    Defect(
        id="final-states-of-first-layer-in-all",
        what="that answers the first layer's final states for every layer",
        applies=every(several_layers, uniform_layers),
        answers=of_states("h_n", "c_n", move=_first_layer),
    ),
    Defect(id="h_n-never-written", what="that answers an h_n of zeros", answers=of_states("h_n", move=_nothing)),
    Defect(id="c_n-never-written", what="that answers a c_n of zeros", answers=of_states("c_n", move=_nothing)),
    Defect(
        id="c_n-is-h_n",
        what="that answers h_n as c_n too",
        applies=_equal_widths,
        answers=lambda numbers, _: {"c_n" + name[3:]: numbers[name] for name in numbers if name.startswith("h_n")},
    ),
    Defect(id="c_n-squashed", what="that answers tanh(c_n) as c_n", results=_squashed),
    Defect(
        id="h_n-of-reverse-from-last-step",
        what="whose reverse direction answers the output of the last step as h_n",
        stands_for="OpenCV LSTM",
        applies=every(goes_back, several_steps),
        answers=_h_n_from_output(-1, -1),
    ),
    Defect(
        id="h_n-from-first-step",
        what="whose forward direction answers the output of the first step as h_n",
        applies=every(goes_forth, several_steps),
        answers=_h_n_from_output(0, 0),
    ),
]
