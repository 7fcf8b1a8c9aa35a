"""Defects that change the shapes of results, mostly of exported and imported models. They have no gradients."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import graph
from conformance.adapters.arrays import stacked
from conformance.cases.case import Case
from conformance.defects.defect import Arrays
from conformance.known.layers import Layer, to_time_major
from conformance.verdict.problem import Problem
from reference import Dialect

Array = NDArray[np.float64]


def join_steps_and_rows(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model that returns ``output`` as (1, T · B, ·) instead of (T, B, ·)."""
    del problem, dialect
    return {"results": lambda found, _: found | {"output": found["output"].reshape(1, -1, found["output"].shape[-1])}}


def keep_last_layer(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model that returns the final states of its last layer only."""
    del dialect
    count = problem.case.model.num_directions
    return {
        "results": lambda found, _: {
            name: array if name == "output" else array[-count:] for name, array in found.items()
        }
    }


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
        sequence = to_time_major(problem, problem.input)
        finals = {name: np.array(array) for name, array in found.items() if name[:3] in ("h_n", "c_n")}
        for number in range(case.num_layers):
            layer = Layer(problem, number, dialect)
            ends = {"": layer.run(sequence[:1], layer.state).outputs}
            ends["_reverse"] = layer.run(sequence[-1:], layer.state).outputs
            for direction, suffix in enumerate(case.model.suffixes):
                for name in ("h_n", "c_n"):
                    final = layer.model.state(ends[suffix], name, 0, direction)
                    case.model.state(finals, name, number, direction)[...] = final
            directions = range(case.model.num_directions)
            sequence = np.concatenate([case.model.state(finals, "h_n", number, d) for d in directions], axis=-1)[None]
        return {"output": to_time_major(problem, sequence), **finals}

    return {"results": results}


def read_steps_as_rows(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model that takes the steps of a single row for rows of one step each.

    Each starts from the initial state of the row. All results have as many rows as there are steps.
    """
    case = problem.case

    def results(found: Arrays, case: Case) -> Arrays:
        del found
        sequence = to_time_major(problem, problem.input).swapaxes(0, 1)
        finals: dict[str, list[Array]] = {"h_n": [], "c_n": []}
        for number in range(case.num_layers):
            layer = Layer(problem, number, dialect)
            state = {name: np.repeat(array, case.seq_len, axis=1) for name, array in layer.state.items()}
            own = layer.run(sequence, state).outputs
            sequence = own["output"]
            for name, layers in finals.items():
                layers.append(own[name])
        states = [stacked(case.model, name, [list(each) for each in layers]) for name, layers in finals.items()]
        return {"output": to_time_major(problem, sequence), **states[0], **states[1]}

    return {"results": results} if case.rows == 1 else {}


def empty_output_without_width(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a model whose output has one row and one unit if there are no steps."""
    del problem, dialect
    return {"results": lambda found, case: found | {"output": np.zeros((1, 0, 1) if case.batch_first else (0, 1, 1))}}


def read_batch_as_time(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the mechanisms of a batch-first model that takes the axes of all tensors for those of time-major ones.

    The model then merges the last two of the axes (B, D, T, ·) of a layer's output, instead of (B, T, D, ·). The next
    layer expects fewer inputs, and reads as many numbers as it expects from the start of the memory. Final states are
    (T, D, ·) instead of (D, B, ·). A graph joins the results of its two calls along the axes of a correct model.
    """
    calls = [problem] if problem.case.graph == "single" else [*graph.calls(problem)]

    def results(found: Arrays, case: Case) -> Arrays:
        del found
        first, last = calls[0], calls[-1]
        one = _BatchAsTime.run(first, dialect)
        match case.graph:
            case "twice":
                other = _BatchAsTime.run(last, dialect)
                one = one.joined(other, of_output=0, of_states=1)
            case "encoder-decoder":
                other = _BatchAsTime.run(last, dialect, one)
                one = replace(other, output=np.concatenate([one.output, other.output], axis=1))
            case "parallel":
                other = _BatchAsTime.run(replace(last, input=last.input[:, ::-1]), dialect)
                one = one.joined(replace(other, output=other.output[:, ::-1]), of_output=-1, of_states=0)
        return {"output": one.output, **one.stacked("h_n", case), **one.stacked("c_n", case)}

    return {"results": results} if _fits_batch_as_time(problem, calls) else {}


@dataclass(frozen=True)
class _BatchAsTime:
    """Results of a batch-first model that takes the axes of all tensors for those of time-major ones.

    Attributes:
        output: output of the last layer (B, D, T · H).
        finals: ``h_n`` and ``c_n`` of each layer (T, D, ·).
    """

    output: Array
    finals: dict[str, list[Array]]

    @classmethod
    def run(cls, problem: Problem, dialect: Dialect, before: "_BatchAsTime | None" = None) -> "_BatchAsTime":
        """Runs the model from its initial states, or from the final states of another run."""
        sequence, directions = np.asarray(problem.input, np.float64), problem.case.model.num_directions
        finals: dict[str, list[Array]] = {"h_n": [], "c_n": []}
        for number in range(problem.case.num_layers):
            layer = Layer(problem, number, dialect)
            shape = (*sequence.shape[:2], layer.model.input_size)
            sequence = sequence.ravel()[: np.prod(shape)].reshape(shape)
            given = layer.state if problem.initial_state else {}
            if before:
                given = {"h_0": before.finals["h_n"][number], "c_0": before.finals["c_n"][number]}
            state = {name: array.swapaxes(0, 1) for name, array in given.items()}
            own = layer.run(sequence, state or None).outputs
            by_direction = own["output"].reshape(*shape[:2], directions, -1).swapaxes(1, 2)
            sequence = by_direction.reshape(*by_direction.shape[:2], -1)
            for name, layers in finals.items():
                layers.append(own[name].swapaxes(0, 1))
        return cls(sequence, finals)

    def joined(self, other: "_BatchAsTime", of_output: int, of_states: int) -> "_BatchAsTime":
        """Joins the results of two runs along an axis of the output, and one of the states."""
        finals = {
            name: [np.concatenate(both, axis=of_states) for both in zip(layers, other.finals[name], strict=True)]
            for name, layers in self.finals.items()
        }
        return _BatchAsTime(np.concatenate([self.output, other.output], axis=of_output), finals)

    def stacked(self, name: str, case: Case) -> Arrays:
        """Returns the final states in the layout of the canonical tensor ``name``."""
        return dict(stacked(case.model, name, [list(layer) for layer in self.finals[name]]))


def _fits_batch_as_time(problem: Problem, calls: list[Problem]) -> bool:
    """Returns whether all arrays have the shapes that a model expects that takes the batch for time."""
    if problem.case.graph == "encoder-decoder":
        encoder, decoder = calls
        return encoder.case.seq_len == decoder.case.seq_len and _fits_batch_as_time(encoder, [encoder])
    return all(
        call.case.seq_len >= call.case.model.num_directions
        and (problem.initial_state is None or call.case.num_rows == call.case.seq_len == call.case.model.num_directions)
        for call in calls
    )
