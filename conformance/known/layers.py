"""Defects of networks in which a layer returns something else to the next one. The reference runs layer by layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import reference
from conformance.adapters.arrays import stacked
from conformance.defects.defect import Arrays
from conformance.verdict.problem import Problem, cells
from reference import Dialect, Model
from reference.network import Trace

Array = NDArray[np.float64]
Backward = Callable[[Arrays], Arrays]
"""Function from the cotangents of a layer's results to its gradients."""


@dataclass(frozen=True)
class Layer:
    """One layer of a problem, time-major. Its names and shapes are those of a network of one layer.

    Attributes:
        problem: the problem.
        number: index of the layer.
        dialect: conventions of the LSTM.
    """

    problem: Problem
    number: int
    dialect: Dialect

    @property
    def model(self) -> Model:
        """Options of the layer."""
        model = self.problem.case.model
        own = model.hidden_sizes[self.number : self.number + 1]
        size = model.layer_input_size(self.number)
        return replace(model, input_size=size, hidden_sizes=own, batch_first=False)

    @property
    def state(self) -> Arrays:
        """Initial states, zeros if they are omitted."""
        given = self.problem.complete_state()
        return self.part_of(given, "h_0") | self.part_of(given, "c_0")

    def part_of(self, tensors: Mapping[str, Any], name: str) -> Arrays:
        """Returns this layer's part of a state of the network."""
        select = self.problem.case.model.state
        return {
            f"{name}{end}": np.array([select(tensors, name, self.number, k) for _, k in places], np.float64)
            for end, places in self.model.state_places.items()
        }

    def run(self, sequence: NDArray[np.floating], state: Arrays | None, **options: Any) -> Trace:
        """Runs the layer on a sequence (T, B, ·), with further options of ``reference.forward``."""
        key = f"_l{self.number}"
        keys = tuple(f"{key}{suffix}" for suffix in self.model.suffixes)
        parameters = {
            name.replace(key, "_l0"): np.asarray(array, np.float64)
            for name, array in self.problem.parameters.items()
            if name.endswith(keys)
        }
        cell = cells(self.problem.case, self.dialect)
        model = replace(self.model, input_size=sequence.shape[-1])
        return reference.forward(model, parameters, sequence, state, cell=cell, dialect=self.dialect, **options)

    def run_as_given(self, sequence: Array) -> Trace:
        """Runs the layer from its own states, with the mask and the dropout of the problem."""
        key = f"l{self.number}"
        masks = {
            name.replace(key, "l0"): mask
            for name, mask in self.problem.dropout_masks.items()
            if key in name.split("_") and name != key
        }
        return self.run(sequence, self.state, mask=self.problem.mask, dropout_masks=masks)


Run = Callable[[Layer, Array], tuple[Arrays, Backward]]
"""Function that runs a layer on a sequence. It returns the results, and the function that differentiates them."""


def to_time_major(problem: Problem, sequence: Any) -> Array:
    """Converts a batched ``input`` or ``output`` between the layout of the problem and (T, B, ·)."""
    array = np.asarray(sequence, np.float64)
    return array.swapaxes(0, 1) if problem.case.batch_first else array


def layer_by_layer(run: Run) -> Callable[[Problem, Dialect], dict[str, Any]]:
    """Returns the mechanisms of a batched network whose layers run in another way."""

    def mechanisms(problem: Problem, dialect: Dialect) -> dict[str, Any]:
        network = cache(lambda: _Network.run(problem, dialect, run))
        return {
            "results": lambda found, _: found | network().results,
            "gradients": lambda found, _: found | network().gradients(),
        }

    return mechanisms


@dataclass(frozen=True)
class _Network:
    problem: Problem
    results: Arrays
    _layers: list[tuple[Layer, Backward]]

    @classmethod
    def run(cls, problem: Problem, dialect: Dialect, run: Run) -> "_Network":
        sequence, layers = to_time_major(problem, problem.input), []
        model = problem.case.model
        finals: dict[str, list[list[Array]]] = {"h_n": [], "c_n": []}
        for number in range(model.num_layers):
            layer = Layer(problem, number, dialect)
            outputs, back = run(layer, sequence)
            layers.append((layer, back))
            for name, found in finals.items():
                found.append(_by_direction(layer.model, outputs, name))
            sequence = outputs["output"] * problem.dropout_masks.get(f"l{number}", 1.0)
        states = [stacked(model, name, found) for name, found in finals.items()]
        return cls(problem, {"output": to_time_major(problem, sequence), **states[0], **states[1]}, layers)

    def gradients(self) -> Arrays:
        """Returns the gradients of the network, by name without ``grad.``."""
        problem, model = self.problem, self.problem.case.model
        cotangents = problem.complete_cotangents()
        d_y, gradients = to_time_major(problem, cotangents["output"]), {}
        of_states: dict[str, list[list[Array]]] = {"h_0": [], "c_0": []}
        for layer, back in reversed(self._layers):
            d_y = d_y * problem.dropout_masks.get(f"l{layer.number}", 1.0)
            given = layer.part_of(cotangents, "h_n") | layer.part_of(cotangents, "c_n")
            found = {name.removeprefix("grad."): array for name, array in back({"output": d_y, **given}).items()}
            for name in layer.model.parameter_shapes():
                gradients[name.replace("_l0", f"_l{layer.number}")] = found[name]
            for name, layers in of_states.items():
                layers.insert(0, _by_direction(layer.model, found, name))
            d_y = found["input"]
        states = [stacked(model, name, found) for name, found in of_states.items()]
        return {"input": to_time_major(problem, d_y), **gradients, **states[0], **states[1]}


def _by_direction(model: Model, tensors: Arrays, name: str) -> list[Array]:
    """Returns a state (B, ·) of each direction of a network of one layer."""
    return [model.state(tensors, name, 0, k) for k in range(model.num_directions)]


# --------------------------------------------------------------------------- layers


def reverse_output_of_second_direction(layer: Layer, sequence: Array) -> tuple[Arrays, Backward]:
    """Returns the second direction's output in the order of processing, last time step first."""
    trace = layer.run_as_given(sequence)
    part = layer.model.output_parts()[-1]

    def flip(tensors: Mapping[str, Any]) -> Arrays:
        output = tensors["output"].copy()
        output[..., part] = output[::-1, ..., part]
        return {**tensors, "output": output}

    return flip(trace.outputs), lambda cotangents: reference.backward(trace, flip(cotangents))


def show_padded_steps(layer: Layer, sequence: Array) -> tuple[Arrays, Backward]:
    """Replaces the output at padded steps by the output that the cell computes there from the state of its row.

    Padding comes after the valid steps. The reverse direction begins with it: its rows keep their initial state.
    """
    model, padded = layer.model, ~cast("NDArray[np.bool_]", layer.problem.mask)
    rows = np.nonzero(padded)[1]
    in_reverse = {
        f"{name}{end}": np.array([bool(model.suffixes[direction]) for _, direction in places])[:, None, None]
        for name in ("h_0", "c_0")
        for end, places in model.state_places.items()
    }
    trace = layer.run_as_given(sequence)
    kept = {
        name: np.where(reverse, layer.state[name], trace.outputs[_final(name)])[:, rows]
        for name, reverse in in_reverse.items()
    }
    shown = layer.run(sequence[padded][None], kept)
    output = trace.outputs["output"].copy()
    output[padded] = shown.outputs["output"][0]

    def backward(cotangents: Arrays) -> Arrays:
        unread = {name: np.zeros_like(array) for name, array in shown.outputs.items() if name != "output"}
        added = reference.backward(shown, {**unread, "output": cotangents["output"][padded][None]})
        read = dict(cotangents)
        for name, reverse in in_reverse.items():
            of_rows = np.zeros_like(layer.state[name])
            np.add.at(of_rows.swapaxes(0, 1), rows, added[f"grad.{name}"].swapaxes(0, 1))
            added[f"grad.{name}"] = np.where(reverse, of_rows, 0.0)
            read[_final(name)] = read[_final(name)] + np.where(reverse, 0.0, of_rows)
        of_input = np.zeros_like(sequence)
        of_input[padded] = added["grad.input"][0]
        return {
            name: array + (of_input if name == "grad.input" else added[name])
            for name, array in reference.backward(trace, read).items()
        }

    return {**trace.outputs, "output": output}, backward


def _final(name: str) -> str:
    """Returns the name of the final state that belongs to an initial one."""
    return name.replace("_0", "_n", 1)
