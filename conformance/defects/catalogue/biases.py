"""Biases that are ignored, doubled, swapped or inexact."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    alike_directions,
    all_of,
    bidirectional,
    has_biases,
    has_previous_c,
    has_steps,
    requiring,
    several_layers,
    three_uniform_layers,
    uniform_layers,
)
from conformance.defects.catalogue.tensors import (
    GATES,
    add_to_element,
    first_layer,
    forward_of,
    layer_below,
    layer_of,
    move_in_parameters,
    other_direction,
    read_gates,
    read_parameters,
    scale_tensors,
)
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire


def _ignore(ignored: Callable[[str], bool]) -> Rewire:
    """Reads 0 for the biases whose names meet a condition."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        del case
        return {n: np.full_like(a, NOTHING) for n, a in numbers.items() if n.startswith("bias") and ignored(n)}

    return rewire


def _ignore_gate(gate: int) -> Rewire:
    i, f, g, o = (NOTHING if k == gate else k for k in range(4))
    return read_gates((i, f, g, o), "bias")


def _ignore_last_unit(array: Any, case: Case) -> Any:
    del case
    units = array.reshape(4, -1).copy()
    units[:, -1] = NOTHING
    return units.ravel()


def _add_one_to_forget_gate(read: Arrays, case: Case) -> Arrays:
    shifted = dict(read)
    for name in read:
        if name.startswith("bias_ih"):
            hidden = case.model.hidden_size_of(name)
            shifted[name] = read[name] + (np.arange(4 * hidden) // hidden == 1)
    return shifted


def _too_large(size: float) -> Defect:
    return Defect(
        id=f"bias_hh-too-large-by-{size:.0e}",
        what=f"whose bias_hh is scaled by 1 + {size:.0e}",
        scales=scale_tensors("bias_hh", 1 + size),
        size=size,
        with_size=_too_large,
    )


def _element_off(size: float) -> Defect:
    return Defect(
        id=f"bias-element-off-by-{size:.0e}",
        what=f"with one element of one bias off by {size:.0e}",
        shifts=add_to_element("bias_ih", size),
        size=size,
        with_size=_element_off,
    )


DEFECTS = requiring(
    all_of(has_biases, has_steps),
    [
        Defect(id="bias_ih-ignored", what="without bias_ih", reads=_ignore(lambda name: name.startswith("bias_ih"))),
        Defect(id="bias_hh-ignored", what="without bias_hh", reads=_ignore(lambda name: name.startswith("bias_hh"))),
        Defect(
            id="biases-ignored",
            what="without biases",
            represents="pytorch#177834, for large inputs",
            reads=_ignore(lambda _: True),
        ),
        Defect(
            id="bias_ih-read-as-bias_hh",
            what="that reads bias_ih for both biases",
            reads=read_parameters("bias_hh", source=lambda name, _: name.replace("_hh", "_ih")),
        ),
        Defect(
            id="bias_hh-read-as-bias_ih",
            what="that reads bias_hh for both biases",
            reads=read_parameters("bias_ih", source=lambda name, _: name.replace("_ih", "_hh")),
        ),
        Defect(id="bias_ih-added-twice", what="that adds bias_ih twice", scales=scale_tensors("bias_ih", 2.0)),
        Defect(
            id="biases-of-upper-layers-ignored",
            what="with biases in the first layer only",
            requires=several_layers,
            reads=_ignore(lambda name: layer_of(name) > 0),
        ),
        Defect(
            id="biases-of-reverse-direction-ignored",
            what="with biases in the forward direction only",
            requires=bidirectional,
            reads=_ignore(lambda name: name.endswith("_reverse")),
        ),
        *(
            Defect(
                id=f"bias-of-{gate}-gate-ignored",
                what=f"without the biases of the {gate} gate",
                requires=has_previous_c if gate == "forget" else has_steps,
                reads=_ignore_gate(k),
            )
            for k, gate in enumerate(GATES)
        ),
        Defect(
            id="bias-of-output-gate-in-all-gates",
            what="that reads the output gate's biases for the input and forget gates too",
            represents="numpy-ml#42",
            reads=read_gates((3, 3, 2, 3), "bias"),
        ),
        Defect(
            id="biases-read-ifog",
            what="that reads its biases, but not its weights, in the order i, f, o, g",
            reads=read_gates((0, 1, 3, 2), "bias"),
        ),
        Defect(
            id="biases-read-iofg",
            what="that reads its biases, but not its weights, in ONNX's order i, o, f, g",
            reads=read_gates((0, 2, 3, 1), "bias"),
        ),
        Defect(
            id="biases-of-last-unit-ignored",
            what="that ignores the biases of the last unit in each gate",
            reads=move_in_parameters("bias", move=_ignore_last_unit),
        ),
        Defect(
            id="forget-bias-plus-one",
            what="that adds 1 to the forget gate's bias at run time",
            represents="haiku.LSTM",
            requires=has_previous_c,
            shifts=_add_one_to_forget_gate,
        ),
        Defect(
            id="reverse-biases-from-forward",
            what="whose reverse direction reads the forward direction's biases",
            requires=alike_directions,
            reads=read_parameters("bias", source=forward_of),
        ),
        Defect(
            id="biases-of-directions-swapped",
            what="whose two directions read each other's biases",
            requires=alike_directions,
            reads=read_parameters("bias", source=other_direction),
        ),
        Defect(
            id="biases-of-layer-below",
            what="whose upper layers read the biases of the layer below",
            requires=all_of(several_layers, uniform_layers),
            reads=read_parameters("bias", source=layer_below),
        ),
        Defect(
            id="biases-of-first-layer-in-all",
            what="whose layers all read the biases of the first layer",
            # With two layers, the first layer is the layer below.
            requires=three_uniform_layers,
            reads=read_parameters("bias", source=first_layer),
        ),
        _too_large(1e-4),
        _element_off(1e-5),
    ],
)
