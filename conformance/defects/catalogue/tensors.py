"""Building blocks of defects: functions that move or change the elements of tensors in any layout."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import bidirectional
from conformance.defects.defect import NOTHING, Arrays, Change, Rewire

Move = Callable[[Any, Case], Any]
"""Function that returns a tensor of the same shape with other elements."""
Layers = list[Any]
"""A state as one array (D, B, ·) for each layer. If hidden sizes of directions differ, each of them is (1, B, ·)."""
Directions = list[Any]
"""An output as one array (T, B, ·) for each direction."""

GATES = ("input", "forget", "candidate", "output")
"""Names of the gates, in the canonical order."""


# --------------------------------------------------------------------------- values


def change_tensors(names: str | tuple[str, ...], change: Callable[[Any, Case], Any]) -> Change:
    """Changes the tensors whose names start with one of these names."""

    def changed(tensors: Arrays, case: Case) -> Arrays:
        return {name: change(array, case) if name.startswith(names) else array for name, array in tensors.items()}

    return changed


def scale_tensors(names: str | tuple[str, ...], factor: float) -> Change:
    """Multiplies the tensors whose names start with one of these names."""
    return change_tensors(names, lambda array, _: factor * array)


def add_to_element(kind: str, size: float) -> Change:
    """Adds a number to the last element of the first parameter of a kind."""

    def changed(tensors: Arrays, case: Case) -> Arrays:
        del case
        name = next(name for name in tensors if name.startswith(kind))
        array = tensors[name].copy()
        array[(-1,) * array.ndim] += size
        return tensors | {name: array}

    return changed


def swap_states(first: str, second: str) -> Change:
    """Swaps two states, such as ``h_n`` and ``c_n``, in every layer."""
    other = {first: second, second: first}

    def swapped(tensors: Arrays, case: Case) -> Arrays:
        del case
        return {name: tensors[other.get(name[:3], name[:3]) + name[3:]] for name in tensors}

    return swapped


def reverse_steps(array: Any, case: Case) -> Any:
    """Reverses an ``input`` or ``output`` in time."""
    return np.flip(array, time_axis(case))


def time_axis(case: Case) -> int:
    """Returns the axis of the time steps of ``input`` and ``output``."""
    return 1 if case.batch_first and case.rows is not None else 0


def transpose_gates(matrix: Any, case: Case) -> Any:
    """Transposes the square matrix (H, H) of each gate."""
    del case
    return np.concatenate([gate.T for gate in np.split(matrix, 4)])


# --------------------------------------------------------------------------- parameters


def move_in_parameters(*kinds: str, move: Move) -> Rewire:
    """Moves the elements of some parameters.

    Args:
        kinds: starts of the parameters' names, such as ``bias`` or ``weight_ih``.
        move: function that moves the elements of one parameter.
    """

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        return {name: move(array, case) for name, array in numbers.items() if name.startswith(kinds)}

    return rewire


def read_gates(sources: tuple[int, int, int, int], *kinds: str) -> Rewire:
    """Reads other gates in place of i, f, g and o in some parameters.

    Args:
        sources: numbers of the gates to read as i, f, g and o; ``NOTHING`` reads zeros.
        kinds: starts of the parameters' names.
    """

    def move(array: Any, case: Case) -> Any:
        del case
        gates = np.split(array, 4)
        zeros = np.full_like(gates[0], NOTHING)
        return np.concatenate([zeros if source == NOTHING else gates[source] for source in sources])

    return move_in_parameters(*kinds, move=move)


def read_parameters(*kinds: str, source: Callable[[str, Case], str | None]) -> Rewire:
    """Reads parameters in place of others where their shapes match.

    Args:
        kinds: starts of the names of the parameters to replace.
        source: function that returns the name of the parameter to read for a name; None for no change.
    """

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        read = {}
        for name in numbers:
            other = source(name, case) if name.startswith(kinds) else None
            if other is not None and numbers[other].shape == numbers[name].shape:
                read[name] = numbers[other]
        return read

    return rewire


def layer_of(name: str) -> int:
    """Returns the layer of a parameter."""
    return int(name.split("_l")[1].split("_")[0])


def in_layer(name: str, layer: int) -> str:
    """Returns the name of the same parameter in another layer."""
    return name.replace(f"_l{layer_of(name)}", f"_l{layer}")


def forward_of(name: str, case: Case) -> str | None:
    """Returns the forward direction's counterpart of a reverse parameter, in a bidirectional LSTM."""
    return name.removesuffix("_reverse") if bidirectional(case) and name.endswith("_reverse") else None


def other_direction(name: str, case: Case) -> str | None:
    """Returns the name of the same parameter in the other direction."""
    return (forward_of(name, case) or f"{name}_reverse") if bidirectional(case) else None


def layer_below(name: str, case: Case) -> str | None:
    """Returns the name of the same parameter one layer below."""
    del case
    return in_layer(name, layer_of(name) - 1) if layer_of(name) else None


def first_layer(name: str, case: Case) -> str | None:
    """Returns the name of the same parameter in the first layer."""
    del case
    return in_layer(name, 0)


# --------------------------------------------------------------------------- input and output


def move_in_steps(name: str, move: Move) -> Rewire:
    """Moves the elements of ``input`` or ``output``, arranged as (T, B, ·)."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        array = numbers[name]
        if case.rows is None:
            return {name: move(array[:, None], case)[:, 0]}
        if case.batch_first:
            return {name: move(array.swapaxes(0, 1), case).swapaxes(0, 1)}
        return {name: move(array, case)}

    return rewire


def move_in_directions(move: Callable[[Directions, Case], Directions]) -> Rewire:
    """Moves the elements of ``output``, arranged as (T, B, ·) for each direction."""

    def move_all(array: Any, case: Case) -> Any:
        return np.concatenate(move(_by_direction(array, case), case), axis=-1)

    return move_in_steps("output", move_all)


def output_by_direction(tensors: Arrays, case: Case) -> Directions:
    """Returns ``output`` as (T, B, ·) for each direction."""
    output = tensors["output"]
    output = output[:, None] if case.rows is None else output.swapaxes(0, 1) if case.batch_first else output
    return _by_direction(output, case)


def _by_direction(output: Any, case: Case) -> Directions:
    return [output[..., part] for part in case.model.output_parts()]


# --------------------------------------------------------------------------- states


def move_in_states(*names: str, move: Callable[[Layers, Case], Layers]) -> Rewire:
    """Moves the elements of the states with these names, layer by layer."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        read: Arrays = {}
        for name in names:
            read |= join_layers(move(split_layers(numbers, name, case), case), name, numbers, case)
        return read

    return rewire


def h_n_from_output(step: Callable[[Case], Any], direction: int) -> Rewire:
    """Writes the last layer's output in place of its h_n in one direction.

    Args:
        step: function that returns the time step of the output: one for all rows, or one for each row (B,).
        direction: number of the direction, or -1 for the last one.
    """

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        written = {name: array.copy() for name, array in numbers.items() if name.startswith("h_n")}
        output = output_by_direction(numbers, case)[direction]
        h_n = last_state(written, "h_n", direction, case)
        h_n[...] = output[step(case), np.arange(output.shape[1])].reshape(h_n.shape)
        return written

    return rewire


def last_state(tensors: Arrays, name: str, direction: int, case: Case) -> Any:
    """Returns one direction of a state of the last layer, as a view."""
    return case.model.state(tensors, name, case.num_layers - 1, range(case.model.num_directions)[direction])


def split_layers(tensors: Arrays, name: str, case: Case) -> Layers:
    """Splits a state into layers. If hidden sizes differ, it already has tensors for each layer."""
    model, rows = case.model, case.rows or 1
    if not model.is_uniform:
        ends = model.state_places.items()
        return [tensors[f"{name}{end}"].reshape(len(places), rows, -1) for end, places in ends]
    whole = tensors[name]
    return list(whole.reshape(case.num_layers, model.num_directions, rows, whole.shape[-1]))


def join_layers(layers: Layers, name: str, like: Arrays, case: Case) -> Arrays:
    """Inverts ``split_layers``. The result has the shapes of ``like``."""
    if not case.model.is_uniform:
        names = [f"{name}{end}" for end in case.model.state_places]
        return {own: layer.reshape(like[own].shape) for own, layer in zip(names, layers, strict=True)}
    return {name: np.stack(layers).reshape(like[name].shape)}
