"""Defects that change the shapes of results, mostly of exported and imported models. They have no gradients."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.adapters.arrays import stacked
from conformance.cases.case import Case
from conformance.defects.defect import Arrays
from conformance.verdict.problem import Problem, cells
from reference import Dialect, Model

Array = NDArray[np.float64]


def join_steps_and_rows(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model that returns ``output`` as (1, T · B, ·) instead of (T, B, ·)."""
    del problem, dialect
    return {"results": lambda found, _: found | {"output": found["output"].reshape(1, -1, found["output"].shape[-1])}}


def repeat_unbatched(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of an LSTM that returns each unbatched result as often as the input has features.

    With ``batch_first`` it also exchanges the axes of the input, which only fit if there are as many steps as features.
    """
    del dialect
    case = problem.case
    if case.has_direction:
        return {}  # A derivative has no other shape than its tensor.
    exchanges = case.batch_first and case.seq_len == case.input_size

    def results(found: Arrays, case: Case) -> Arrays:
        repeated = {name: np.repeat(array[..., None, :], case.input_size, axis=-2) for name, array in found.items()}
        return repeated | ({"output": repeated["output"].swapaxes(0, 1)} if exchanges else {})

    transposed = {"reads": lambda numbers, _: {"input": numbers["input"].T}} if exchanges else {}
    return {"results": results, **transposed}


def run_first_step(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model that runs a single step: each direction reads its first one."""

    def results(found: Arrays, case: Case) -> Arrays:
        sequence = _time_major(problem)
        finals = {name: np.array(array) for name, array in found.items() if name[:3] in ("h_n", "c_n")}
        for layer in range(case.num_layers):
            state, one = _states(problem, layer), _layer(case.model, layer)
            ends = {"": _run_layer(problem, layer, sequence[:1], state, dialect)}
            ends["_reverse"] = _run_layer(problem, layer, sequence[-1:], state, dialect)
            for direction, suffix in enumerate(case.model.suffixes):
                for name in ("h_n", "c_n"):
                    case.model.state(finals, name, layer, direction)[...] = one.state(ends[suffix], name, 0, direction)
            directions = range(case.model.num_directions)
            sequence = np.concatenate([case.model.state(finals, "h_n", layer, d) for d in directions], axis=-1)[None]
        return {"output": sequence.swapaxes(0, 1) if case.batch_first else sequence, **finals}

    return {"results": results}


def read_batch_as_time(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a batch-first model that takes the axes of all tensors for those of time-major ones.

    The model then merges the last two of the axes (B, D, T, ·) of a layer's output, instead of (B, T, D, ·). The next
    layer expects fewer inputs, and reads as many numbers as it expects from the start of the memory. Of final states
    (T, D, ·) in place of (D, B, ·), the adapter returns the first D.
    """

    def results(found: Arrays, case: Case) -> Arrays:
        del found
        sequence = np.asarray(problem.input, np.float64)
        finals: dict[str, list[Array]] = {"h_n": [], "c_n": []}
        for layer in range(case.num_layers):
            size = case.model.layer_input_size(layer)
            shape = (*sequence.shape[:2], size)
            sequence = sequence.ravel()[: np.prod(shape)].reshape(shape)
            state = {name: array.swapaxes(0, 1) for name, array in _states(problem, layer).items()}
            own = _run_layer(problem, layer, sequence, state, dialect)
            by_direction = own["output"].reshape(*shape[:2], case.model.num_directions, -1).swapaxes(1, 2)
            sequence = by_direction.reshape(*by_direction.shape[:2], -1)
            for name, layers in finals.items():
                layers.append(own[name].swapaxes(0, 1))
        states = [stacked(case.model, name, [list(each) for each in layers]) for name, layers in finals.items()]
        return {"output": sequence, **states[0], **states[1]}

    case = problem.case
    directions = case.model.num_directions
    fits = case.seq_len >= directions and (problem.initial_state is None or case.num_rows == case.seq_len == directions)
    return {"results": results} if fits else {}


def _time_major(problem: Problem) -> Array:
    array = np.asarray(problem.input, np.float64)
    return array.swapaxes(0, 1) if problem.case.batch_first else array


def _states(problem: Problem, layer: int) -> dict[str, Array]:
    """Returns the initial states of a layer by their names in a stack of this layer; none if they are omitted."""
    if problem.initial_state is None:
        return {}
    model, given = problem.case.model, problem.complete_state()
    return {
        f"{name}{end}": np.array([model.state(given, name, layer, direction) for _, direction in places], np.float64)
        for end, places in _layer(model, layer).state_places.items()
        for name in ("h_0", "c_0")
    }


def _layer(model: Model, layer: int) -> Model:
    """Returns the model of a single layer, time-major."""
    return replace(model, hidden_sizes=model.hidden_sizes[layer : layer + 1], batch_first=False)


def _run_layer(problem: Problem, layer: int, sequence: Array, state: dict[str, Array], dialect: Dialect) -> Arrays:
    """Returns ``output``, ``h_n`` and ``c_n`` of one layer on a time-major sequence."""
    model = problem.case.model
    keys = tuple(f"_l{layer}{suffix}" for suffix in model.suffixes)
    one = replace(_layer(model, layer), input_size=sequence.shape[-1])
    parameters = {
        name.replace(f"_l{layer}", "_l0"): np.asarray(array, np.float64)
        for name, array in problem.parameters.items()
        if name.endswith(keys)
    }
    return dict(reference.forward(one, parameters, sequence, state or None, cell=cells(problem.case, dialect)).outputs)
