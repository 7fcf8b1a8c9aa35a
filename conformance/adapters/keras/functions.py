"""Functions that run Keras layers, and their use in pieces and twice in one graph."""

from collections.abc import Callable, Sequence
from typing import Any

from conformance.adapters import graph, uses
from conformance.cases.case import Case

Tensors = list[Any]
PerLayer = Sequence[Sequence[Any]]
"""Tensors of each layer."""
LayerFunction = Callable[[Any, Tensors, Tensors, Tensors], Sequence[Any]]
"""A function of sequence, weights, initial states and masks that runs one layer.

It returns the sequence and the final states. The states and masks may be empty.
"""
StackFunction = Callable[[Any, PerLayer, PerLayer, Tensors], Tensors]
"""A function of sequence, states, weights and masks that runs all layers.

It returns the sequence and all final states.
"""
StackInputs = tuple[Any, PerLayer, PerLayer, Tensors]
"""The arguments of a ``StackFunction``."""
Group = tuple[int, ...]
"""Indices of the layers in one Keras layer: one layer, or all layers if they are stacked cells."""


def in_pieces(stack: StackFunction, case: Case, join: uses.Join) -> StackFunction:
    """Returns a function that calls a stack as often as a case says, for pieces of the sequence or of the batch."""
    if not case.chunks and case.batching == "together":
        return stack

    def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
        call = _named_call(stack, weights, case.num_layers)
        return list(uses.run(_batch_first(case), call, _named(x, states, masks), join, uses.rows_first).values())

    return run


def in_graph(
    first: StackFunction, second: StackFunction, case: Case, join: uses.Join, reverse: graph.Reverse
) -> StackFunction:
    """Returns a function that connects two calls as the graph of a case does.

    Its weights are those of the first LSTM, followed by those of the second unless both calls share one.
    """
    layers = case.num_layers

    def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
        own = len(weights) if case.graph == "twice" else len(weights) // 2
        both = [_named_call(first, weights[:own], layers), _named_call(second, weights[-own:], layers)]
        return list(graph.run(_batch_first(case), both, _named(x, states, masks), join, reverse).values())

    return run


def flatten_sources(inputs: Sequence[Any]) -> Tensors:
    """Returns the tensors to differentiate with respect to, in one order: sequence, states and weights."""
    x, states, weights = inputs[:3]
    return [x, *(state for layer in states for state in layer), *(weight for layer in weights for weight in layer)]


def _batch_first(case: Case) -> Case:
    """Returns the case with the axes of Keras, (batch, time, features)."""
    return case.model_copy(update={"batch_first": True})


def _named(x: Any, states: PerLayer, masks: Tensors) -> dict[str, Any]:
    """Returns the sequence, the states and the mask by name."""
    return {"input": x, **uses.name_states("0", states)} | ({"mask": masks[0]} if masks else {})


def _named_call(stack: StackFunction, weights: PerLayer, layers: int) -> uses.Call:
    """Returns a function that calls a stack with arguments by name and returns its results by name."""

    def call(given: uses.Named) -> uses.Named:
        masks = [given["mask"]] if "mask" in given else []
        y, *finals = stack(given["input"], uses.states_by_layer("0", given, layers), weights, masks)
        width = len(finals) // layers
        of_layers = [finals[width * layer :][:width] for layer in range(layers)]
        return {"output": y, **uses.name_states("n", of_layers)}

    return call
