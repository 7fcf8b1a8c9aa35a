"""Layers that read each other's parameters, or only part of the layer below."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    alike_directions,
    all_of,
    connected_layers,
    has_previous_h,
    has_steps,
    requiring,
    several_layers,
    three_uniform_layers,
    uniform_layers,
)
from conformance.defects.catalogue.tensors import first_layer, in_layer, layer_below, layer_of, read_parameters
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire


def _swap_last_two(name: str, case: Case) -> str | None:
    layer, last = layer_of(name), case.num_layers - 1
    return in_layer(name, 2 * last - 1 - layer) if layer >= last - 1 else None


def _second_layer(name: str, case: Case) -> str | None:
    del case
    return in_layer(name, 1) if layer_of(name) > 1 else None


def _read_halves(first: int, second: int) -> Rewire:
    """Swaps or zeroes halves of the upper layers' input weights. Each half multiplies one direction of the layer below.

    Args:
        first: number of the half to read in place of the first half: 0, 1, or ``NOTHING`` for zeros.
        second: number of the half to read in place of the second half.
    """

    def read(weights: Any) -> Any:
        halves = np.split(weights, 2, axis=1)
        zeros = np.full_like(halves[0], NOTHING)
        return np.concatenate([zeros if half == NOTHING else halves[half] for half in (first, second)], axis=1)

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        del case
        upper = [name for name in numbers if name.startswith("weight_ih") and layer_of(name) > 0]
        return {name: read(numbers[name]) for name in upper}

    return rewire


DEFECTS = requiring(
    has_steps,
    [
        Defect(
            id="weight_hh-of-first-layer-in-all",
            what="whose layers all read the recurrent weights of the first layer",
            requires=all_of(several_layers, uniform_layers, has_previous_h),
            reads=read_parameters("weight_hh", source=first_layer),
        ),
        Defect(
            id="weight_ih-of-layer-below",
            what="whose upper layers read the input weights of the layer below where the shapes match",
            requires=three_uniform_layers,
            reads=read_parameters("weight_ih", source=layer_below),
        ),
        Defect(
            id="parameters-of-second-layer-in-all-above",
            what="whose layers above the second read the parameters of the second layer",
            requires=three_uniform_layers,
            reads=read_parameters("weight", "bias", source=_second_layer),
        ),
        Defect(
            id="last-layers-swapped",
            what="whose last two layers read each other's parameters",
            requires=three_uniform_layers,
            reads=read_parameters("weight", "bias", source=_swap_last_two),
        ),
        Defect(
            id="reverse-output-below-ignored",
            what="whose upper layers read only the forward direction of the layer below",
            represents="mxnet#17479",
            requires=all_of(connected_layers, alike_directions),
            reads=_read_halves(0, NOTHING),
        ),
        Defect(
            id="forward-output-below-ignored",
            what="whose upper layers read only the reverse direction of the layer below",
            requires=all_of(connected_layers, alike_directions),
            reads=_read_halves(NOTHING, 1),
        ),
        Defect(
            id="directions-below-swapped",
            what="whose upper layers read the two directions of the layer below in swapped order",
            requires=all_of(connected_layers, alike_directions),
            reads=_read_halves(1, 0),
        ),
    ],
)
