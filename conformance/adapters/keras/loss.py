"""Differentiation of Keras layers: the results that a loss reads, the tensors that need a gradient, and their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.adapters import arrays
from conformance.adapters.keras.layer import WEIGHTS
from conformance.adapters.layout import KERAS
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array


@dataclass(frozen=True)
class Loss:
    """Tensors to differentiate, and with respect to which.

    Attributes:
        cotangents: cotangent of each result; None if the loss does not read it.
        trained: whether each tensor of ``flatten_sources`` needs a gradient.
    """

    cotangents: list[Any]
    trained: Sequence[bool]

    def read(self, targets: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Returns the results that the loss reads, and their cotangents."""
        pairs = [pair for pair in zip(targets, self.cotangents, strict=True) if pair[1] is not None]
        return [target for target, _ in pairs], [cotangent for _, cotangent in pairs]

    def select(self, sources: Sequence[Any]) -> list[Any]:
        """Returns those of all sources that need a gradient."""
        return [source for source, is_trained in zip(sources, self.trained, strict=True) if is_trained]


def layer_weights(problem: Problem, layer: int) -> list[Array]:
    """Returns one layer's weights in Keras' order: kernel, recurrent kernel and bias of each direction."""
    return [one[name] for one in arrays.packed(problem, KERAS, layer) for name in WEIGHTS if name in one]


def trained_weights(case: Case, group: Sequence[int]) -> tuple[bool, ...]:
    """Returns whether each weight of a Keras layer needs a gradient, in Keras' order."""
    return tuple(
        one[name] for layer in group for one in arrays.trained(case, KERAS, layer) for name in WEIGHTS if name in one
    )


def copies(case: Case) -> int:
    """Returns the number of weights of equal value that a parameter becomes: an encoder and a decoder each have one."""
    return 2 if case.graph == "encoder-decoder" else 1


def trained_sources(problem: Problem) -> list[bool]:
    """Returns whether each tensor of ``flatten_sources`` needs a gradient."""
    case, layers = problem.case, range(problem.case.num_layers)
    marks = {name: np.full(a.shape, name not in case.frozen) for name, a in (problem.initial_state or {}).items()}
    states = [arrays.states(marks or None, case.model, layer) for layer in layers]
    return [
        "input" not in case.frozen,
        *(bool(state.all()) for layer in states for state in layer),
        *trained_weights(case, tuple(layers)) * copies(case),
    ]


def cotangents(problem: Problem) -> list[Array | None]:
    """Returns the cotangents of the output, then of each layer's final states in Keras' order; None if not read."""
    case, model, read = problem.case, problem.case.model, problem.cotangents
    complete = problem.complete_cotangents()
    finals: list[Array | None] = []
    for layer in range(model.num_layers):
        for number, state in enumerate(arrays.states(complete, model, layer, ("h_n", "c_n"))):
            is_read = any(name.startswith(("h_n", "c_n")[number % 2]) for name in read)
            finals.append(state if is_read else None)
    return [arrays.batch_major(read["output"], case) if "output" in read else None, *finals]


def tangents(problem: Problem) -> list[Array]:
    """Returns the direction of a problem in the order of ``flatten_sources``."""
    case, model, along = problem.case, problem.case.model, problem.tangents
    layers = range(model.num_layers)
    given = along if problem.initial_state is not None else None
    packed = [one for layer in layers for one in arrays.packed_tangents(problem, KERAS, layer)] * copies(case)
    return [
        arrays.batch_major(along["input"], case),
        *(state for layer in layers for state in arrays.states(given, model, layer)),
        *(one[name] for one in packed for name in WEIGHTS if name in one),
    ]


def results(case: Case, targets: Sequence[Array]) -> dict[str, Array]:
    """Returns the output and the final states of each layer in Keras' order by their canonical names."""
    model, width = case.model, 2 * case.model.num_directions
    finals = [targets[1 + width * layer :][:width] for layer in range(model.num_layers)]
    return {
        "output": arrays.batch_major(targets[0], case),
        **arrays.stacked(model, "h_n", [final[0::2] for final in finals]),
        **arrays.stacked(model, "c_n", [final[1::2] for final in finals]),
    }


def gradients(problem: Problem, gradients: list[Array], trained: Sequence[bool]) -> Mapping[str, Array]:
    """Returns Keras' gradients, given in the order of ``flatten_sources``, by their canonical names.

    The gradient of a parameter that becomes two weights is the sum of theirs. A frozen tensor has none. A zero takes
    its place, so that tensors of several layers can be stacked.
    """
    case, model = problem.case, problem.case.model
    x = arrays.batch_major(problem.input, case)
    states = [
        state for layer in range(model.num_layers) for state in arrays.states(problem.initial_state, model, layer)
    ]
    weights = [weight for layer in range(model.num_layers) for weight in layer_weights(problem, layer)] * copies(case)
    found = iter(gradients)
    rest = iter(
        [
            next(found) if is_trained else np.zeros_like(array)
            for array, is_trained in zip([x, *states, *weights], trained, strict=True)
        ]
    )
    results = {"grad.input": arrays.batch_major(next(rest), case)}
    if problem.initial_state is not None:
        nested = [[next(rest) for _ in range(2 * model.num_directions)] for _ in range(model.num_layers)]
        results |= arrays.stacked(model, "grad.h_0", [layer[0::2] for layer in nested])
        results |= arrays.stacked(model, "grad.c_0", [layer[1::2] for layer in nested])
    first = [next(rest) for _ in range(len(weights) // copies(case))]
    rest = iter([gradient + next(rest) for gradient in first] if copies(case) > 1 else first)
    for layer in range(model.num_layers):
        own = [{name: next(rest) for name in WEIGHTS[: 3 if model.bias else 2]} for _ in model.suffixes]
        results |= arrays.weight_gradients(model, KERAS, layer, own)
    return results
