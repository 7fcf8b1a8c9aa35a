"""What adapters of single layers share: a problem's arrays for each layer, and the layers' results as one solution.

Nothing is computed here: axes are moved, states are stacked, names are given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import Layout, layer_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model

Array = NDArray[np.floating]


def ends(model: Model, layer: int) -> list[str]:
    """How the parameters' names of a layer end, a name for each direction: ``l1``, ``l1_reverse``."""
    return [f"l{layer}{suffix}" for suffix in model.suffixes]


def packed(problem: Problem, layout: Layout, layer: int) -> list[dict[str, Array]]:
    """One layer's weights as a framework stores them, for each direction."""
    return [layout.pack(layer_parameters(problem.parameters, end)) for end in ends(problem.case.model, layer)]


def batch_major(array: Array, case: Case) -> Array:
    """A case's input, output or cotangent as (B, T, ·), or an array (B, T, ·) as the case has it; a copy."""
    return np.array(array if case.batch_first else array.swapaxes(0, 1), order="C")


def time_major(array: Array, case: Case) -> Array:
    """A case's input, output or cotangent as (T, B, ·), or an array (T, B, ·) as the case has it; a copy."""
    return np.array(array.swapaxes(0, 1) if case.batch_first else array, order="C")


def states(
    given: Mapping[str, Any] | None, model: Model, layer: int, names: Sequence[str] = ("h_0", "c_0")
) -> list[Any]:
    """One layer's states (B, ·): those that are named, for each direction in turn; none where none are given."""
    if given is None:
        return []
    return [model.state(given, name, layer, direction) for direction in range(model.num_directions) for name in names]


def stacked(model: Model, name: str, layers: Sequence[Sequence[Array]]) -> dict[str, Array]:
    """States of layers and directions under their canonical names and shapes.

    Args:
        model: the architecture.
        name: ``h_n``, ``grad.c_0`` and so on.
        layers: for each layer an array (B, ·) for each direction.
    """
    if model.is_uniform:
        return {name: np.stack([state for layer in layers for state in layer])}
    return {f"{name}_l{k}": np.stack(layer) for k, layer in enumerate(layers)}


def weight_gradients(
    model: Model, layout: Layout, layer: int, gradients: Sequence[Mapping[str, Array]]
) -> dict[str, Array]:
    """One layer's weight gradients under their canonical names, from the framework's for each direction."""
    results: dict[str, Array] = {}
    for end, arrays in zip(ends(model, layer), gradients, strict=True):
        own = layout.unpack_gradients(arrays, model.layer_input_size(layer))
        results |= {f"grad.{role}_{end}": array for role, array in own.items()}
    return results
