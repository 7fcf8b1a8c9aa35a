"""Tensors seen by layer, direction, step and row, whatever their layout; and which cases have several of each."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Change, Defect, Rewire
from conformance.verdict.problem import valid_steps

Move = Callable[[Any, Case], Any]
"""A tensor to one of the same shape, with other elements in places."""
States = list[Any]
"""A state by layer, each (D, B, ·)."""


# --------------------------------------------------------------------------- parameters


def of_kinds(*kinds: str, move: Move) -> Rewire:
    """Moves the elements of every parameter of some kinds, as ``bias`` or ``weight_ih``."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        return {name: move(array, case) for name, array in numbers.items() if name.startswith(kinds)}

    return rewire


def from_parameter(*kinds: str, source: Callable[[str, Case], str | None]) -> Rewire:
    """Reads parameters in place of others of the same shape: each from ``source``, or from itself where it is None."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        read = {}
        for name in numbers:
            other = source(name, case) if name.startswith(kinds) else None
            if other is not None and numbers[other].shape == numbers[name].shape:
                read[name] = numbers[other]
        return read

    return rewire


def layer_of(name: str) -> int:
    """The layer that a parameter belongs to."""
    return int(name.split("_l")[1].split("_")[0])


def in_layer(name: str, layer: int) -> str:
    """The same parameter of another layer."""
    return name.replace(f"_l{layer_of(name)}", f"_l{layer}")


def forward_of(name: str, case: Case) -> str | None:
    """The same parameter of the forward direction, for one of the reverse direction beside it."""
    return name.removesuffix("_reverse") if both_ways(case) and name.endswith("_reverse") else None


def other_direction(name: str, case: Case) -> str | None:
    """The same parameter of the other direction."""
    return (forward_of(name, case) or f"{name}_reverse") if both_ways(case) else None


def layer_below(name: str, case: Case) -> str | None:
    """The same parameter one layer below."""
    del case
    return in_layer(name, layer_of(name) - 1) if layer_of(name) else None


def first_layer(name: str, case: Case) -> str | None:
    """The same parameter of the first layer."""
    del case
    return in_layer(name, 0)


def element_off(kind: str, size: float) -> Change:
    """Adds to the last element of the first parameter of a kind."""

    def shift(read: Arrays, case: Case) -> Arrays:
        del case
        name = next(name for name in read if name.startswith(kind))
        array = read[name].copy()
        array[(-1,) * array.ndim] += size
        return read | {name: array}

    return shift


# --------------------------------------------------------------------------- input and output, time-major


def of_steps(name: str, move: Move) -> Rewire:
    """Moves the elements of ``input`` or ``output``, seen as (T, B, ·)."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        array = numbers[name]
        if case.rows is None:
            return {name: move(array[:, None], case)[:, 0]}
        if case.batch_first:
            return {name: move(array.swapaxes(0, 1), case).swapaxes(0, 1)}
        return {name: move(array, case)}

    return rewire


def output_of(numbers: Arrays, case: Case) -> Any:
    """``output`` as (T, B, D, ·)."""
    output = numbers["output"]
    output = output[:, None] if case.rows is None else output.swapaxes(0, 1) if case.batch_first else output
    return output.reshape(*output.shape[:2], case.model.num_directions, -1)


def of_directions(move: Move) -> Rewire:
    """Moves the elements of ``output``, seen as (T, B, D, ·)."""
    return of_steps(
        "output",
        lambda array, case: move(array.reshape(*array.shape[:2], case.model.num_directions, -1), case).reshape(
            array.shape
        ),
    )


# --------------------------------------------------------------------------- states


def states(tensors: Arrays, name: str, case: Case) -> States:
    """A state by layer, however its tensors are stacked."""
    model = case.model
    if not model.is_uniform:
        return [
            tensors[f"{name}_l{k}"].reshape(model.num_directions, case.rows or 1, -1) for k in range(case.num_layers)
        ]
    whole = tensors[name]
    return list(whole.reshape(case.num_layers, model.num_directions, case.rows or 1, whole.shape[-1]))


def as_tensors(layers: States, name: str, like: Arrays, case: Case) -> Arrays:
    """What ``states`` takes apart, shaped like the tensors that it came from."""
    if not case.model.is_uniform:
        return {f"{name}_l{k}": layer.reshape(like[f"{name}_l{k}"].shape) for k, layer in enumerate(layers)}
    return {name: np.stack(layers).reshape(like[name].shape)}


def of_states(*names: str, move: Callable[[States, Case], States]) -> Rewire:
    """Moves the elements of states, seen as lists of layers, each (D, B, ·)."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        read: Arrays = {}
        for name in names:
            read |= as_tensors(move(states(numbers, name, case), case), name, numbers, case)
        return read

    return rewire


def exchanged(one: str, other: str) -> Rewire:
    """Two states in each other's place."""

    def rewire(numbers: Arrays, case: Case) -> Arrays:
        return {
            name.replace(own, from_): numbers[name]
            for own, from_ in ((one, other), (other, one))
            for name in case.model.state_shapes(own, case.rows)  # type: ignore[arg-type]
        }

    return rewire


# --------------------------------------------------------------------------- lengths


def row_lengths(case: Case) -> NDArray[np.int64]:
    """Valid steps of each row (B,); T where the case has no lengths."""
    lengths = valid_steps(case)
    return np.full(case.rows or 1, case.seq_len) if lengths is None else lengths


def longest(case: Case) -> int:
    """Valid steps of the longest row."""
    return int(row_lengths(case).max())


def takes_steps(case: Case) -> bool:
    """Some row has a step."""
    return longest(case) > 0


def padded(case: Case) -> bool:
    """Some row ends before others could."""
    return int(row_lengths(case).min()) < case.seq_len


def padded_after_a_step(case: Case) -> bool:
    """Some row ends early, but not before it began."""
    lengths = row_lengths(case)
    return bool(((lengths > 0) & (lengths < case.seq_len)).any())


# --------------------------------------------------------------------------- several of them


def several_steps(case: Case) -> bool:  # noqa: D103
    return longest(case) > 1


def several_rows(case: Case) -> bool:  # noqa: D103
    return (case.rows or 1) > 1


def several_layers(case: Case) -> bool:  # noqa: D103
    return case.num_layers > 1


def layers_feed_layers(case: Case) -> bool:
    """Some layer reads another one's output, and dropout leaves something of it."""
    return case.num_layers > 1 and not (case.drops and case.dropout == 1)


def uniform_layers(case: Case) -> bool:
    """All layers have the same hidden size."""
    return case.model.is_uniform


def both_ways(case: Case) -> bool:  # noqa: D103
    return case.direction == "bidirectional"


def goes_forth(case: Case) -> bool:
    """There is a forward direction."""
    return case.direction != "reverse"


def goes_back(case: Case) -> bool:
    """There is a reverse direction."""
    return case.direction != "forward"


def remembers(case: Case) -> bool:
    """Some step has a hidden state before it that is not 0."""
    return longest(case) > 1 or (longest(case) == 1 and given("h_0")(case))


def remembers_cell(case: Case) -> bool:
    """Some step has a cell state before it that is not 0."""
    return longest(case) > 1 or (longest(case) == 1 and given("c_0")(case))


def given(*names: str) -> Callable[[Case], bool]:
    """Whether one of some initial states has values other than 0."""
    return lambda case: case.initial_state == "random" or case.initial_state in {f"{name}-only" for name in names}


def every(*needs: Callable[[Case], bool]) -> Callable[[Case], bool]:
    """Whether a case has all of it."""
    return lambda case: all(need(case) for need in needs)


def needing(need: Callable[[Case], bool], defects: Iterable[Defect]) -> list[Defect]:
    """Defects of cases that have something beside what each needs."""
    return [replace(defect, applies=every(need, defect.applies)) for defect in defects]
