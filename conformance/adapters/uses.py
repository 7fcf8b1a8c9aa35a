"""Uses of an object that adapters share: pieces of a sequence, rows, and memory.

The functions slice, join and lay out arrays, as users do. They compute nothing that the implementation should compute.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors
from conformance.verdict.random_arrays import Array

Named = Mapping[str, Any]
"""Arrays of any framework by name: ``input``, ``h_0``, ``c_0`` and ``lengths``, or ``output``, ``h_n`` and ``c_n``. If
hidden sizes differ, ``h_0_l0``, ``h_0_l1``, … replace ``h_0``, and so on. What is not given is missing."""
Call = Callable[[Named], Named]
"""Function that calls the implementation once: it takes arguments and returns results."""
Join = Callable[[Sequence[Any], int], Any]
"""Function that concatenates arrays along an axis."""
AxisOf = Callable[[Case, str], int]
"""Function that returns the axis of the rows of the array with a name."""


def arguments(problem: Problem) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a problem that a call takes, with the mistake of the case, if it has one."""
    given: dict[str, NDArray[Any]] = {"input": problem.input, **(problem.initial_state or {})}
    if problem.lengths is not None:
        given["lengths"] = problem.lengths
    return {name: problem.wrong.get(name, array) for name, array in given.items()}


def parameters(problem: Problem) -> dict[str, NDArray[Any]]:
    """Returns the parameters of a problem to load, with the mistake of the case, if it has one."""
    return {name: problem.wrong.get(name, array) for name, array in problem.parameters.items()}


def row_axis(case: Case, name: str) -> int:
    """Returns the axis of the rows of an array with canonical axes."""
    if name in ("input", "output"):
        return 0 if case.batch_first else 1
    return 0 if name == "lengths" else 1


def time_axis(case: Case) -> int:
    """Returns the axis of the steps of input and output."""
    return 1 if case.batch_first and case.rows is not None else 0


def rows_first(case: Case, name: str) -> int:
    """Returns the axis of the rows, 0, of an array of a framework that keeps (B, ·) states of layers and directions.

    Only the input and the output of a time-major case have the rows second.
    """
    return 1 if name in ("input", "output") and not case.batch_first else 0


def run(case: Case, call: Call, given: Named, join: Join, axis_of: AxisOf = row_axis) -> dict[str, Any]:
    """Calls an object as often as a case says, for pieces of the sequence or of the batch, and joins the results.

    Args:
        case: the case.
        call: function that calls the implementation once.
        given: arguments for the whole sequence and batch.
        join: function that concatenates arrays of the framework.
        axis_of: function that returns the axis of the rows.
    """
    if case.batching == "together":
        return _run_pieces(case, call, given, join)

    def row_of(arrays: Named, row: int) -> dict[str, Any]:
        return {name: cut(array, axis_of(case, name), row, row + 1) for name, array in arrays.items()}

    def joined(rows: Sequence[Named]) -> dict[str, Any]:
        def one(name: str) -> Any:
            arrays = [row[name] for row in rows]
            if name == "lengths" and isinstance(arrays[0], np.ndarray):
                return np.concatenate(arrays)
            return join(arrays, axis_of(case, name))

        return {name: one(name) for name in rows[0]}

    count = case.num_rows
    # Rows in another order start with the second one.
    order = list(range(count)) if case.batching == "alone" else [*range(1, count), 0]
    rows = [row_of(given, row) for row in order]
    batches = rows if case.batching == "alone" else [joined(rows)]
    results = joined([_run_pieces(case, call, batch, join) for batch in batches])
    return joined([row_of(results, order.index(row)) for row in range(count)])


def _run_pieces(case: Case, call: Call, given: Named, join: Join) -> dict[str, Any]:
    """Passes the sequence in pieces. The final states of a piece are the initial states of the next."""
    if not case.chunks:
        return dict(call(given))
    axis = time_axis(case)
    outputs: list[Any] = []
    results: dict[str, Any] = {}
    state = {name: array for name, array in given.items() if name != "input"}
    for end, steps in zip(accumulate(case.chunks), case.chunks, strict=True):
        results = dict(call({"input": cut(given["input"], axis, end - steps, end), **state}))
        outputs.append(results["output"])
        state = as_initial(results)
    return results | {"output": join(outputs, axis)}


def as_initial(results: Named) -> dict[str, Any]:
    """Returns the final states of a call as the initial states of the next."""
    return {f"{name[0]}_0{name[3:]}": array for name, array in results.items() if name != "output"}


def cut(array: Any, axis: int, start: int, stop: int) -> Any:
    """Returns a part of an array of any framework along an axis."""
    return array[(*(slice(None),) * axis, slice(start, stop))]


def name_states(time: str, layers: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Names the states of each layer ``h_0_l0_0``, ``c_0_l0_0``, ``h_0_l0_1`` …: state, time, layer and direction.

    Args:
        time: ``0`` for initial states, ``n`` for final ones.
        layers: h and c of each direction in turn, for each layer.
    """
    return {
        f"{'hc'[number % 2]}_{time}_l{layer}_{number // 2}": state
        for layer, states in enumerate(layers)
        for number, state in enumerate(states)
    }


def states_by_layer(time: str, arrays: Named, num_layers: int) -> list[list[Any]]:
    """Returns the states that ``name_states`` named, for each layer. A layer without states has an empty list."""
    return [
        [array for name, array in arrays.items() if name[1:].startswith(f"_{time}_l{layer}_")]
        for layer in range(num_layers)
    ]


def laid_out(case: Case, arrays: Tensors, axis_of: AxisOf = row_axis) -> dict[str, Array]:
    """Copies the input and the states of a problem to the memory that a case requires. ``lengths`` are only copied."""
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        if case.memory == "strided" and name != "lengths":
            found[name] = array.T.copy().T
        elif case.memory == "expanded" and name not in ("input", "lengths"):
            found[name] = np.broadcast_to(cut(array, axis_of(case, name), 0, 1).copy(), array.shape)
        elif case.memory == "aliased" and name.startswith("c_0"):
            found[name] = found[f"h_0{name[3:]}"]
        else:
            found[name] = array.copy()
            found[name].flags.writeable = case.memory != "read-only"
    return found


def check_unchanged(given: Tensors, problem: Problem) -> None:
    """Checks that an implementation has not written into some of its arguments.

    Raises:
        RuntimeError: it has.
    """
    original = arguments(problem)
    for name, array in given.items():
        if not np.array_equal(array, original[name], equal_nan=array.dtype.kind == "f"):
            raise RuntimeError(f"the implementation wrote into its argument {name}")
