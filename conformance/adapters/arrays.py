"""Conversions between a problem's tensors and the arrays of single layers, for adapters that stack layers.

These functions move axes, stack states and assign names. They compute nothing that the implementation should compute.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import Layout, layer_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model

Array = NDArray[np.floating]
_T = TypeVar("_T")


def packed(problem: Problem, layout: Layout, layer: int) -> list[dict[str, Array]]:
    """Returns one layer's weights in a framework's layout, one dictionary for each direction."""
    return [layout.pack(layer_parameters(problem.parameters, end)) for end in _name_endings(problem.case.model, layer)]


def packed_tangents(problem: Problem, layout: Layout, layer: int) -> list[dict[str, Array]]:
    """Returns the direction of one layer's weights in a framework's layout, one dictionary for each direction."""
    ends = _name_endings(problem.case.model, layer)
    return [layout.pack_tangents(layer_parameters(problem.tangents, end)) for end in ends]


def batch_major(array: Array, case: Case) -> Array:
    """Copies an input, output or cotangent between the case's layout and (B, T, ·), in either direction."""
    return np.array(array if case.batch_first else array.swapaxes(0, 1), order="C")


def time_major(array: Array, case: Case) -> Array:
    """Copies an input, output or cotangent between the case's layout and (T, B, ·), in either direction."""
    return np.array(array.swapaxes(0, 1) if case.batch_first else array, order="C")


def states(
    given: Mapping[str, Any] | None, model: Model, layer: int, names: Sequence[str] = ("h_0", "c_0")
) -> list[Any]:
    """Returns one layer's states (B, ·): the named ones of the first direction, then those of the second.

    Args:
        given: tensors by name, or None if there are none; the list is then empty.
        model: the architecture.
        layer: index of the layer.
        names: names of the states to return.
    """
    if given is None:
        return []
    return [model.state(given, name, layer, direction) for direction in range(model.num_directions) for name in names]


def stacked(
    model: Model, name: str, layers: Sequence[Sequence[Any]], stack: Callable[[Sequence[Any]], Any] = np.stack
) -> dict[str, Any]:
    """Stacks the states of layers and directions into tensors with canonical names and shapes.

    Args:
        model: the architecture.
        name: name of the state: ``h_n``, ``grad.c_0`` and so on.
        layers: one array (B, ·) for each direction, for each layer.
        stack: function that stacks arrays of the framework along a new first axis.
    """
    if model.reverse_hidden_size:
        places = model.state_places.items()
        return {f"{name}{end}": layers[layer][direction][None] for end, ((layer, direction),) in places}
    # All that were returned, so that a wrong number of layers or directions shows.
    if model.is_uniform:
        return {name: stack([state for layer in layers for state in layer])}
    return {f"{name}_l{k}": stack(layer) for k, layer in enumerate(layers)}


def weight_gradients(
    model: Model, layout: Layout, layer: int, gradients: Sequence[Mapping[str, Array]]
) -> dict[str, Array]:
    """Returns one layer's weight gradients by their canonical names.

    Args:
        model: the architecture.
        layout: layout of the framework's weights.
        layer: index of the layer.
        gradients: gradients of the framework's weights, for each direction.
    """
    results: dict[str, Array] = {}
    for end, arrays in zip(_name_endings(model, layer), gradients, strict=True):
        own = layout.unpack_gradients(arrays, model.layer_input_size(layer))
        results |= {f"grad.{role}_{end}": array for role, array in own.items()}
    return results


def by_name(model: Model, of_layer: Callable[[int], Sequence[Mapping[str, _T]]]) -> dict[str, _T]:
    """Returns what belongs to the arrays of all layers, by names such as ``weight_ih_l1_reverse``.

    Args:
        model: the architecture.
        of_layer: function that returns what belongs to one layer's arrays, one dictionary for each direction.
    """
    return {
        f"{name}_{end}": value
        for layer in range(model.num_layers)
        for end, own in zip(_name_endings(model, layer), of_layer(layer), strict=True)
        for name, value in own.items()
    }


def gradients_by_name(problem: Problem, layout: Layout, gradients: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the weight gradients of all layers by their canonical names, from gradients named as by ``by_name``.

    A frozen array has no gradient. A zero takes its place in the layer.
    """
    model, results = problem.case.model, dict[str, Array]()
    for layer in range(model.num_layers):
        own = [
            {name: gradients.get(f"{name}_{end}", np.zeros_like(array)) for name, array in one.items()}
            for end, one in zip(_name_endings(model, layer), packed(problem, layout, layer), strict=True)
        ]
        results |= weight_gradients(model, layout, layer, own)
    return results


def trained(case: Case, layout: Layout, layer: int) -> list[dict[str, bool]]:
    """Returns which of one layer's arrays in a framework's layout need a gradient, one dictionary for each direction.

    Raises:
        ValueError: an array holds a frozen parameter and one that is not.
    """

    def holding(frozen: bool) -> list[dict[str, bool]]:
        """Returns which arrays hold a parameter that is frozen, or one that is not."""
        parameters = {
            name: np.full(shape, np.nan if (name in case.frozen) == frozen else 0.0)
            for name, shape in case.model.parameter_shapes().items()
        }
        directions = [layout.pack(layer_parameters(parameters, end)) for end in _name_endings(case.model, layer)]
        return [{name: bool(np.isnan(array).any()) for name, array in own.items()} for own in directions]

    if not case.frozen:
        return holding(frozen=False)
    both = list(zip(holding(frozen=True), holding(frozen=False), strict=True))
    mixed = [name for frozen, others in both for name in frozen if frozen[name] and others[name]]
    if mixed:
        raise ValueError(f"{mixed[0]} of layer {layer} holds a frozen parameter and one that is not")
    return [others for _, others in both]


def refuse_frozen(case: Case, layout: Layout) -> str | None:
    """Returns the reason why a framework with a layout cannot freeze a case's parameters; None if it can."""
    try:
        for layer in range(case.num_layers):
            trained(case, layout, layer)
    except ValueError as error:
        return str(error)
    return None


def _name_endings(model: Model, layer: int) -> list[str]:
    """Returns the endings of a layer's parameter names, one for each direction: ``l1``, ``l1_reverse``."""
    return [f"l{layer}{suffix}" for suffix in model.suffixes]
