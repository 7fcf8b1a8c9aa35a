"""Calls of a Keras layer on any back end."""

from collections.abc import Sequence
from typing import Any

from conformance.adapters.keras.functions import LayerFunction, Tensors
from conformance.adapters.keras.layer import LayerConfig, weights_of
from conformance.verdict import declared


def call_layer(layer: Any, config: LayerConfig, x: Any, states: Tensors, masks: Tensors) -> list[Any]:
    """Calls a layer and returns its flattened results: the sequence and all final states."""
    results = _flatten(layer(x, **_arguments(config, states, masks)))
    _record_shapes(layer, x, results)
    return results


def stateless(layer: Any, config: LayerConfig) -> LayerFunction:
    """Returns a function that calls a layer with weights as arguments, as Keras' trainers on JAX do."""

    def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        given = {id(variable): weight for variable, weight in zip(weights_of(layer), weights, strict=True)}
        trainable, other = (
            [given.get(id(variable), variable.value) for variable in variables]
            for variables in (layer.trainable_variables, layer.non_trainable_variables)
        )
        returned, _ = layer.stateless_call(trainable, other, x, **_arguments(config, states, masks))
        results = _flatten(returned)
        _record_shapes(layer, x, results)
        return results

    return run


def _arguments(config: LayerConfig, states: Tensors, masks: Tensors) -> dict[str, Any]:
    """Returns the keyword arguments of a layer's call.

    Args:
        config: configuration of the layer.
        states: initial states in Keras' order, or none.
        masks: one mask, or none.
    """
    initial = list(states)
    if isinstance(config.units, tuple):
        initial = [initial[2 * cell :][:2] for cell in range(len(config.units))] if initial else []
    return {"initial_state": initial or None, "mask": masks[0] if masks else None, "training": config.training}


def _flatten(returned: Sequence[Any]) -> list[Any]:
    """Flattens a layer's result: the sequence and all final states. Stacked cells return lists of states."""
    return [
        tensor for item in returned for tensor in (item if isinstance(item, list | tuple) else [item])
    ]  # fmt: skip


def _record_shapes(layer: Any, x: Any, results: Sequence[Any]) -> None:
    """Records the shapes that a layer declares for an input, and those of its flattened results."""
    given, found = tuple(x.shape), [tuple(tensor.shape) for tensor in results]
    if any(size is None for shape in (given, *found) for size in shape):
        return  # The layer is traced for any size.
    # A shape is a list or a tuple of sizes. Stacked cells declare a list of shapes for the states of each cell.
    shapes = _flatten(
        [shape if isinstance(shape[0], list | tuple) else [shape] for shape in layer.compute_output_shape(given)]
    )
    for number, (shape, result) in enumerate(zip(shapes, found, strict=True)):
        declared.record_shape(f"result{number}", shape, result)
