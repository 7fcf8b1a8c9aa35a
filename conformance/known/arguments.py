"""Defects in how arguments are read: strides, quantization, memory order of weights, and initial states."""

from typing import Any

import numpy as np

import reference
from conformance.adapters.earlier_calls import earlier_problems
from conformance.cases.case import Case
from conformance.cases.uses import first_part
from conformance.defects.catalogue.tensors import move_in_parameters
from conformance.defects.defect import Arrays
from conformance.known.layers import to_time_major
from conformance.verdict.problem import Problem, cells
from reference import Dialect


def ignore_strides_of_rows(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Reads each row of the input, and of each layer's states, from its first element on, in the order of memory."""
    del dialect
    case = problem.case
    rows: list[tuple[Any, ...]] = [()] if case.rows is None else [(row,) for row in range(case.rows)]
    count = case.model.num_directions
    layers_of_state = [slice(first, first + count) for first in range(0, count * case.num_layers, count)]

    def read(name: str, numbers: Any) -> Any:
        memory, found = numbers.T.ravel(), np.empty_like(numbers)
        position = np.arange(numbers.size).reshape(numbers.T.shape).T
        if name == "input":
            before: list[Any] = [()] if case.batch_first or case.rows is None else [(slice(None),)]
        else:
            before = [(part,) for part in (layers_of_state if case.model.is_uniform else [slice(None)])]
        for index in ((*axis, *row) for axis in before for row in rows):
            start, part = position[index].flat[0], numbers[index]
            found[index] = memory[start : start + part.size].reshape(part.shape)
        return found

    def reads(numbers: Arrays, case: Case) -> Arrays:
        given = ("input", *(problem.initial_state or {}))
        del case
        return {name: read(name, numbers[name]) for name in given}

    return {"reads": reads}


def add_gradients_of_states(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Returns the sum of the gradients of h_0 and c_0 in place of each of them."""
    del problem, dialect

    def gradients(found: Arrays, case: Case) -> Arrays:
        del case
        return found | dict.fromkeys(("h_0", "c_0"), found["h_0"] + found["c_0"])

    return {"gradients": gradients}


def continue_earlier_calls(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Starts from the final states of the last earlier call, of which the first one starts from zeros."""

    def shifts(found: Arrays, case: Case) -> Arrays:
        state: Arrays = {}
        for _, earlier in earlier_problems(problem):
            results = reference.forward(
                case.model,
                problem.parameters,
                earlier.input,
                state or None,
                mask=earlier.mask,
                cell=cells(case, dialect),
                dialect=dialect,
            ).outputs
            state = {name.replace("_n", "_0", 1): array for name, array in results.items() if name != "output"}
        return found | state

    return {"shifts": shifts}


def quantize_input_with_padding(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Rounds the input of each call, up to the longest row, to 256 values between its minimum and its maximum."""
    del dialect
    calls = [problem.case.num_rows]
    if problem.case.graph == "twice":
        calls = [first_part(problem.case), problem.case.num_rows]

    def shifts(found: Arrays, case: Case) -> Arrays:
        del case
        sequence, mask = np.array(to_time_major(problem, found["input"])), problem.mask
        assert mask is not None  # Without padding the divergence does not occur.
        for rows in map(slice, [0, *calls], calls):
            read = sequence[: mask[:, rows].sum(axis=0).max(), rows]
            low, high = read.min(initial=0.0), read.max(initial=0.0)
            step = (high - low) / 255 or 1.0
            zero = np.rint(-low / step)
            read[...] = step * (np.clip(np.rint(read / step) + zero, 0, 255) - zero)
        return found | {"input": to_time_major(problem, sequence)}

    return {"shifts": shifts}


def transpose_weights_twice(problem: Problem, dialect: Dialect) -> dict[str, Any]:
    """Transposes ONNX's weight matrices, and the memory of the result again under the original shape."""
    del problem, dialect

    def move(array: Any, case: Case) -> Any:
        del case
        i, f, g, o = np.split(array, 4)
        of_onnx = np.concatenate([i, o, f, g])
        i, o, f, g = np.split(of_onnx.T.reshape(of_onnx.shape), 4)
        return np.concatenate([i, f, g, o])

    return {"reads": move_in_parameters("weight_ih", "weight_hh", move=move)}
