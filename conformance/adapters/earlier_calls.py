"""Calls that a case makes of an object before the one that is checked."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.uses import row_axis, time_axis
from conformance.cases.uses import EarlierCall
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array
from conformance.verdict.values import step_mask

_MORE_STEPS, _MORE_ROWS = 3, 2
"""Numbers of steps and rows by which a longer or a larger earlier call exceeds the case."""


def _nothing(*_: object) -> None:
    """Does nothing: the implementation takes its mode and parameters as arguments of the call."""


def make_earlier_calls(
    problem: Problem,
    solve: Callable[[Problem, bool], object],
    switch_mode: Callable[[], object] = _nothing,
    load: Callable[[Problem], object] = _nothing,
) -> None:
    """Makes the earlier calls of a case. The exception of ``error`` is ignored.

    Args:
        problem: the problem.
        solve: function that solves an earlier problem and, if its second argument is true, differentiates it. The
            problem has cotangents of ones for every result.
        switch_mode: function that switches an object between training and inference.
        load: function that loads the parameters of a problem into an object, in place.
    """
    for word, earlier in earlier_problems(problem):
        change: Callable[[], object] = _nothing
        restore: Callable[[], object] = _nothing
        if word == "other-mode":
            change, restore = switch_mode, switch_mode
        elif word == "other-weights":
            change, restore = partial(load, earlier), partial(load, problem)
        # An error during differentiation can break the indexing of MindSpore's tensors in the rest of the process.
        differentiates = "gradients" in problem.case.check and word not in ("no-grad", "error")
        cotangents = {name: np.ones(shape) for name, shape in earlier.result_shapes().items()}
        change()
        try:
            with suppress(Exception) if word == "error" else nullcontext():
                solve(replace(earlier, cotangents=cotangents), differentiates)
        finally:
            restore()


def earlier_problems(problem: Problem) -> Iterator[tuple[EarlierCall, Problem]]:
    """Yields the earlier calls of a case, each as its word and a problem with the arrays to pass.

    All but ``same`` have other inputs and states. The input of ``error`` has one feature too many, so that the call
    must raise. The case of ``other-mode`` has the other mode. The parameters of ``other-weights`` are to be replaced,
    in place, by those of the case.
    """
    case = problem.case
    rows = case.rows
    for word in case.earlier_calls:
        match word:
            case "same":
                yield word, problem
            case "longer":
                yield word, resized(problem, case.seq_len + _MORE_STEPS, rows)
            case "shorter":
                yield word, resized(problem, max(1, case.seq_len // 2), rows)
            case "more-rows":
                yield word, resized(problem, case.seq_len, (rows or 0) + _MORE_ROWS)
            case "fewer-rows":
                yield word, resized(problem, case.seq_len, max(1, (rows or 0) // 2))
            case "error":
                wider = np.concatenate([problem.input, problem.input[..., :1]], axis=-1)
                yield word, replace(resized(problem, case.seq_len, rows), input=wider)
            case "other-weights":
                negated = {name: -array for name, array in problem.parameters.items()}
                yield word, replace(resized(problem, case.seq_len, rows), parameters=negated)
            case "other-mode":
                other = resized(problem, case.seq_len, rows)
                mode = "eval" if case.mode == "train" else "train"
                yield word, replace(other, case=other.case.model_copy(update={"mode": mode}))
            case _:
                yield word, resized(problem, case.seq_len, rows)


def resized(problem: Problem, steps: int, rows: int | None) -> Problem:
    """Returns a problem with another number of steps and rows, which repeat the original ones, negated.

    Steps and rows of an empty problem are zeros.
    """
    case = problem.case
    of_steps = time_axis(case)

    def repeat(array: NDArray[Any], axis: int, size: int) -> NDArray[Any]:
        if not array.shape[axis]:
            return np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
        repeated: NDArray[Any] = np.take(array, np.arange(size) % array.shape[axis], axis)
        return repeated

    def resize(name: str, array: Array) -> Array:
        array = repeat(array, of_steps, steps) if name == "input" else array
        return np.negative(array if rows is None else repeat(array, row_axis(case, name), rows))

    changes: dict[str, Any] = {"seq_len": steps, "batch": "unbatched" if rows is None else rows, "refuses": None}
    changes["graph"] = case.graph
    if problem.mask is not None and rows is not None:
        changes["lengths"] = tuple(int(n) for n in np.clip(repeat(problem.mask.sum(0), 0, rows), 1, steps))
    resized = case.one_call.model_copy(update=changes)
    mask = step_mask(resized)
    return replace(
        problem,
        case=resized,
        input=resize("input", problem.input),
        initial_state=problem.initial_state and {name: resize(name, a) for name, a in problem.initial_state.items()},
        mask=mask,
        lengths=None if problem.lengths is None or mask is None else mask.sum(0),
        dropout_masks=problem.dropout_masks if (steps, rows) == (case.seq_len, case.rows) else {},
        cotangents={},
        wrong={},
    )
