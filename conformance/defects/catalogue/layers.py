"""Layers that read each other's parameters, or too little of the layer below."""

from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    both_ways,
    every,
    first_layer,
    from_parameter,
    in_layer,
    layer_below,
    layer_of,
    layers_feed_layers,
    needing,
    remembers,
    several_layers,
    takes_steps,
    uniform_layers,
)
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire


def _three_layers(case: Case) -> bool:
    return case.num_layers > 2 and case.model.is_uniform


def _upper_two_swapped(name: str, case: Case) -> str | None:
    layer, last = layer_of(name), case.num_layers - 1
    return in_layer(name, 2 * last - 1 - layer) if layer >= last - 1 else None


def _second_layer(name: str, case: Case) -> str | None:
    del case
    return in_layer(name, 1) if layer_of(name) > 1 else None


def _from_below(*halves: int) -> Rewire:
    """Which halves of the output of the layer below are read for the two; ``NOTHING`` reads 0s."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        del case
        read: Arrays = {}
        for name, array in numbers.items():
            if name.startswith("weight_ih") and layer_of(name) > 0:
                read[name] = _halves(array, halves)
        return read

    return rewire


def _halves(array: Any, halves: tuple[int, ...]) -> Any:
    both = array.copy()
    width = array.shape[1] // 2
    for place, half in enumerate(halves):
        target = both[:, place * width : (place + 1) * width]
        target[...] = NOTHING if half == NOTHING else array[:, half * width : (half + 1) * width]
    return both


DEFECTS = needing(
    takes_steps,
    [
        Defect(
            id="weight_hh-of-first-layer-in-all",
            what="whose layers all read the first one's recurrent weights",
            applies=every(several_layers, uniform_layers, remembers),
            reads=from_parameter("weight_hh", source=first_layer),
        ),
        Defect(
            id="weight_ih-of-layer-below",
            what="whose upper layers each read the input weights of the layer below where they have the same shape",
            applies=_three_layers,
            reads=from_parameter("weight_ih", source=layer_below),
        ),
        Defect(
            id="upper-layers-alike",
            what="whose layers above the second read the second one's parameters",
            applies=_three_layers,
            reads=from_parameter("weight", "bias", source=_second_layer),
        ),
        Defect(
            id="last-layers-swapped",
            what="whose last two layers read each other's parameters",
            applies=_three_layers,
            reads=from_parameter("weight", "bias", source=_upper_two_swapped),
        ),
        Defect(
            id="reverse-output-below-ignored",
            what="whose upper layers read the forward direction of the layer below only",
            stands_for="mxnet#17479",
            applies=every(layers_feed_layers, both_ways),
            reads=_from_below(0, NOTHING),
        ),
        Defect(
            id="forward-output-below-ignored",
            what="whose upper layers read the reverse direction of the layer below only",
            applies=every(layers_feed_layers, both_ways),
            reads=_from_below(NOTHING, 1),
        ),
        Defect(
            id="directions-below-swapped",
            what="whose upper layers read the directions of the layer below in the wrong order",
            applies=every(layers_feed_layers, both_ways),
            reads=_from_below(1, 0),
        ),
    ],
)
