"""Biases left out, doubled, exchanged, or off."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    both_ways,
    element_off,
    every,
    first_layer,
    forward_of,
    from_parameter,
    layer_below,
    layer_of,
    needing,
    of_kinds,
    other_direction,
    remembers_cell,
    several_layers,
    takes_steps,
    uniform_layers,
)
from conformance.defects.defect import NOTHING, Arrays, Defect, Rewire

_GATES = ("input", "forget", "candidate", "output")


def _without(lacks: Callable[[str], bool]) -> Rewire:
    """Reads no bias whose name ``lacks`` says to leave out."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        del case
        return {n: np.full_like(a, NOTHING) for n, a in numbers.items() if n.startswith("bias") and lacks(n)}

    return rewire


def _gates(*places: int) -> Rewire:
    """Reads the biases of these gates in the place of those of i, f, g, o."""

    def move(array: Any, case: Case) -> Any:
        del case
        blocks = [*np.split(array, 4), np.full(array.size // 4, NOTHING)]
        return np.concatenate([blocks[k] for k in places])

    return of_kinds("bias", move=move)


def _last_unit(array: Any, case: Case) -> Any:
    del case
    units = array.reshape(4, -1).copy()
    units[:, -1] = NOTHING
    return units.ravel()


def _forget_plus_one(read: Arrays, case: Case) -> Arrays:
    shifted = dict(read)
    for name in read:
        if name.startswith("bias_ih"):
            hidden = case.hidden_sizes[layer_of(name)]
            shifted[name] = read[name] + (np.arange(4 * hidden) // hidden == 1)
    return shifted


def _scaled(kind: str, factor: float) -> Callable[[Arrays, Case], Arrays]:
    return lambda ones, _: {name: array * factor if name.startswith(kind) else array for name, array in ones.items()}


def _too_large(size: float) -> Defect:
    return Defect(
        id=f"bias_hh-too-large-by-{size:.0e}",
        what=f"whose bias_hh is too large by {size:.0e} of itself",
        scales=_scaled("bias_hh", 1 + size),
        size=size,
        sized=_too_large,
    )


def _off(size: float) -> Defect:
    return Defect(
        id=f"bias-element-off-by-{size:.0e}",
        what=f"with one element of one bias off by {size:.0e}",
        shifts=element_off("bias_ih", size),
        size=size,
        sized=_off,
    )


DEFECTS = needing(
    lambda case: case.bias and takes_steps(case),
    [
        Defect(id="bias_ih-ignored", what="without bias_ih", reads=_without(lambda name: name.startswith("bias_ih"))),
        Defect(id="bias_hh-ignored", what="without bias_hh", reads=_without(lambda name: name.startswith("bias_hh"))),
        Defect(
            id="biases-ignored",
            what="without biases",
            stands_for="pytorch#177834, which is so for large inputs",
            reads=_without(lambda _: True),
        ),
        Defect(
            id="bias_ih-read-as-bias_hh",
            what="that reads bias_ih in place of bias_hh too",
            reads=from_parameter("bias_hh", source=lambda name, _: name.replace("_hh", "_ih")),
        ),
        Defect(
            id="bias_hh-read-as-bias_ih",
            what="that reads bias_hh in place of bias_ih too",
            reads=from_parameter("bias_ih", source=lambda name, _: name.replace("_ih", "_hh")),
        ),
        Defect(id="bias_ih-added-twice", what="that adds bias_ih twice", scales=_scaled("bias_ih", 2.0)),
        Defect(
            id="biases-of-upper-layers-ignored",
            what="that has biases in its first layer only",
            applies=several_layers,
            reads=_without(lambda name: layer_of(name) > 0),
        ),
        Defect(
            id="biases-of-reverse-direction-ignored",
            what="whose reverse direction has no biases beside the forward one's",
            applies=both_ways,
            reads=_without(lambda name: name.endswith("_reverse")),
        ),
        *(
            Defect(
                id=f"bias-of-{gate}-gate-ignored",
                what=f"without the biases of the {gate} gate",
                applies=remembers_cell if gate == "forget" else takes_steps,
                reads=_gates(*(NOTHING if other == k else other for other in range(4))),
            )
            for k, gate in enumerate(_GATES)
        ),
        Defect(
            id="bias-of-output-gate-in-all-gates",
            what="that reads the output gate's biases for the input and forget gates too",
            stands_for="numpy-ml#42",
            reads=_gates(3, 3, 2, 3),
        ),
        Defect(
            id="biases-read-ifog",
            what="that reads its biases, but not its weights, in the order i, f, o, g",
            reads=_gates(0, 1, 3, 2),
        ),
        Defect(
            id="biases-read-iofg",
            what="that reads its biases, but not its weights, in ONNX's order i, o, f, g",
            reads=_gates(0, 2, 3, 1),
        ),
        Defect(
            id="biases-of-last-unit-ignored",
            what="that leaves out the biases of the last unit of each gate",
            reads=of_kinds("bias", move=_last_unit),
        ),
        Defect(
            id="forget-bias-plus-one",
            what="that adds 1 to the forget gate's bias when it runs",
            stands_for="haiku.LSTM",
            applies=remembers_cell,
            shifts=_forget_plus_one,
        ),
        Defect(
            id="reverse-biases-from-forward",
            what="whose reverse direction reads the forward direction's biases",
            applies=both_ways,
            reads=from_parameter("bias", source=forward_of),
        ),
        Defect(
            id="biases-of-directions-swapped",
            what="whose directions read each other's biases",
            applies=both_ways,
            reads=from_parameter("bias", source=other_direction),
        ),
        Defect(
            id="biases-of-layer-below",
            what="whose upper layers each read the biases of the layer below",
            applies=every(several_layers, uniform_layers),
            reads=from_parameter("bias", source=layer_below),
        ),
        Defect(
            id="biases-of-first-layer-in-all",
            what="whose layers all read the biases of the first one",
            # With two layers it is the same as the layer below.
            applies=lambda case: case.num_layers > 2 and case.model.is_uniform,
            reads=from_parameter("bias", source=first_layer),
        ),
        _too_large(1e-4),
        _off(1e-5),
    ],
)
