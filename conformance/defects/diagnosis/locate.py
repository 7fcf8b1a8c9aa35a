"""Where a failure that no defect explains first departs from the reference.

Where the implementation can run a single step from given states, it is fed its own states, and each of its steps is
compared with one step of the reference from the same ones: what went wrong earlier does not blur what goes wrong next.
"""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import Adapter
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, round_to
from reference import Dialect

SECONDS = 0.4
"""CPU seconds after which no further step is taken."""

Tensors = Mapping[str, NDArray[Any]]


def locate(
    adapter: Adapter, problem: Problem, solution: Tensors, expectation: Expectation, dialect: Dialect
) -> str:  # fmt: skip
    """The first layer, direction, step and tensor that are wrong, in words; empty where nothing can be said."""
    departed = _departed(problem, solution, expectation)
    if any(name.startswith(("output", "h_n", "c_n")) for name in departed):
        found = _single_steps(adapter, problem, dialect)
        return "; ".join(part for part in (found, _in_output(problem, solution, expectation)) if part)
    if not departed:
        return ""
    layers = [name for name in departed if "_l" in name]
    last = max(layers, key=lambda name: int(name.split("_l")[1].split("_")[0]), default=departed[0])
    return f"all results are right, on the way back {last} is the first that is not"


def _departed(problem: Problem, solution: Tensors, expectation: Expectation) -> list[str]:
    """The tensors that can be compared and do not conform, in order."""
    comparable = [
        name
        for name, shape in problem.expected_shapes().items()
        if name in solution and np.shape(solution[name]) == shape
    ]
    return [name for name in comparable if (_error_ratios(name, solution, expectation) > 1).any()]


def _error_ratios(name: str, solution: Tensors, expectation: Expectation) -> NDArray[np.float64]:
    deviation = np.abs(np.asarray(solution[name], np.float64) - expectation.values[name])
    with np.errstate(divide="ignore", invalid="ignore"):
        open_or_met = (deviation == 0) | np.isinf(expectation.budget[name])
        error_ratios = np.where(open_or_met, 0.0, deviation / expectation.budget[name])
    # What is not finite departs, whatever the budget.
    return np.where(np.isnan(error_ratios), np.inf, error_ratios)


def _in_output(problem: Problem, solution: Tensors, expectation: Expectation) -> str:
    """The first wrong step of each direction of the output, in the order in which that direction takes them."""
    case, model = problem.case, problem.case.model
    if "output" not in expectation.values or np.shape(solution.get("output", 0.0)) != problem.output_shape:
        return ""
    wrong = _error_ratios("output", solution, expectation) > 1
    wrong = wrong.swapaxes(0, 1) if case.batch_first and case.rows else wrong
    words = []
    for direction, part in zip(model.suffixes, np.split(wrong, model.num_directions, axis=-1), strict=True):
        steps = np.flatnonzero(part.reshape(case.seq_len, -1).any(-1))
        if steps.size:
            words.append(f"step {steps[-1]}, reverse" if direction else f"step {steps[0]}, forward")
    return f"output departs at {' and '.join(words)}" if words else ""


def _single_steps(adapter: Adapter, problem: Problem, dialect: Dialect) -> str:
    """Follows the implementation a step at a time; empty where it cannot."""
    case, model = problem.case, problem.case.model
    if model.num_directions > 1 or case.drops:
        return ""
    changes = {"seq_len": 1, "lengths": None, "mask": "right", "initial_state": "random", "check": ("h_n", "c_n")}
    single = replace(problem, case=case.model_copy(update=changes), lengths=None, mask=None)
    until = time.process_time() + SECONDS
    taken = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if adapter.supports(single.case) is not None:
                return ""
            for step, valid, got, expected in _steps(adapter, single, problem, dialect):
                for layer in range(model.num_layers):
                    for name in ("c_n", "h_n"):
                        off, error_ratio = _worst(problem, name, layer, valid, got, expected)
                        if error_ratio > 1:
                            return (
                                f"first departs at layer {layer}, step {step} ({name} off by {off:.3g}, "
                                f"error ratio {error_ratio:.3g}), when run a step at a time from its own states"
                            )
                taken += 1
                if time.process_time() > until:
                    break
    except Exception:  # An implementation that cannot do this raises whatever it likes.
        return ""
    which = "each step" if taken == case.seq_len else f"each of the first {taken} steps"
    return f"{which} is right when run alone from its own states"


def _steps(
    adapter: Adapter, single: Problem, problem: Problem, dialect: Dialect
) -> Iterator[tuple[int, NDArray[np.bool_], Tensors, Expectation]]:
    """Each step in the order in which it is taken: which rows it counts for, what came out, what should have."""
    case, model = problem.case, problem.case.model
    first = {name: f"{name[0]}_0{name[3:]}" for part in ("h_n", "c_n") for name in _names(problem, part)}
    state = {
        name: np.zeros(shape) if problem.initial_state is None else np.asarray(problem.initial_state[name])
        for part in ("h_0", "c_0")
        for name, shape in model.state_shapes(part, case.rows).items()
    }
    axis = 1 if case.batch_first and case.rows else 0
    order = range(case.seq_len) if model.suffixes == ("",) else range(case.seq_len - 1, -1, -1)
    for step in order:
        valid = np.ones(case.rows or 1, bool) if problem.mask is None else problem.mask[step]
        one = _at_step(single, problem, axis, step, valid, state)
        got = {name: np.asarray(value, np.float64) for name, value in adapter.solve(one).items()}
        yield step, valid, got, Oracle(None).expect(one, adapter.profile(one.case), dialect)
        for name, before in first.items():
            kept = valid[:, None] if case.rows else valid
            state[before] = np.where(kept, got[name], state[before])


def _at_step(
    single: Problem, problem: Problem, axis: int, step: int, valid: NDArray[np.bool_], state: Tensors
) -> Problem:
    dtype = problem.case.dtype
    x = np.take(problem.input, [step], axis=axis)
    if problem.case.rows:
        x = np.where(np.expand_dims(valid, (axis, 2)), x, np.zeros((), x.dtype))
    cotangents = dict(problem.cotangents) | {"output": np.take(problem.cotangents["output"], [step], axis=axis)}
    given = {name: np.ascontiguousarray(round_to(dtype, np.asarray(value))) for name, value in state.items()}
    return replace(single, input=np.ascontiguousarray(x), initial_state=given, cotangents=cotangents)


def _names(problem: Problem, state: str) -> list[str]:
    return list(problem.case.model.state_shapes(state, problem.case.rows))  # type: ignore[arg-type]


def _worst(
    problem: Problem, name: str, layer: int, valid: NDArray[np.bool_], got: Tensors, expected: Expectation
) -> tuple[float, float]:
    """The largest deviation of one layer's state, in the rows that count, and its error ratio."""
    model = problem.case.model
    value, right, budget = (model.state(part, name, layer, 0) for part in (got, expected.values, expected.budget))
    rows = valid if problem.case.rows else slice(None)
    deviation = np.abs(value - right)[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        error_ratio = np.where(deviation == 0, 0.0, deviation / budget[rows])
    if not deviation.size:
        return 0.0, 0.0
    worst = np.inf if np.isnan(error_ratio).any() else float(error_ratio.max())
    return float(deviation.max()), worst
