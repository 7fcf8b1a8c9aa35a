"""Locates the first deviation of a failure that no defect explains.

If the implementation can run a single step from given states, it runs step by step from its own states. Each step is
compared with one step of the reference from the same states, so that earlier errors do not affect later comparisons.
"""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import Adapter
from conformance.cases.size import operations
from conformance.cases.uses import RESULTS
from conformance.defects.diagnosis.shrink import MAX_OPERATIONS
from conformance.defects.diagnosis.where import comparable_tensors, where, wrong_elements
from conformance.verdict.error_ratio import elementwise_error_ratios
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import round_to
from reference import Dialect

MAX_CPU_SECONDS = 0.4
"""CPU time after which no further single step is run."""

Tensors = Mapping[str, NDArray[Any]]


def locate(adapter: Adapter, judged: JudgedSolution) -> str:
    """Describes where a solution first deviates: layer, direction, step and tensor. Empty if unknown."""
    deviating = [name for name in comparable_tensors(judged) if wrong_elements(name, judged).any()]
    if any(name.startswith(("output", "h_n", "c_n")) for name in deviating):
        found = _follow_single_steps(adapter, judged.problem, judged.dialect)
        return "; ".join(part for part in (found, _first_output_steps(judged), _wrong_places(judged)) if part)
    if not deviating:
        return ""
    gradients = [name for name in deviating if name.startswith("grad.")]
    if not gradients:
        text = f"all outputs and gradients are correct; wrong derivatives along a direction: {', '.join(deviating)}"
        return "; ".join(part for part in (text, _wrong_places(judged)) if part)
    of_layers = [name for name in gradients if "_l" in name]
    first = max(of_layers, key=lambda name: int(name.split("_l")[1].split("_")[0]), default=gradients[0])
    text = f"all outputs are correct; {first} is the first wrong gradient of the backward pass"
    return "; ".join(part for part in (text, _wrong_places(judged)) if part)


def _wrong_places(judged: JudgedSolution) -> str:
    places = where(judged)
    return f"wrong: {places}" if places else ""


def _first_output_steps(judged: JudgedSolution) -> str:
    """Describes the first wrong step of ``output`` in each direction, in its order of processing; empty if unknown."""
    case, model = judged.problem.case, judged.problem.case.model
    if "output" not in judged.expectation.values:
        return ""
    if np.shape(judged.solution.get("output", 0.0)) != judged.problem.output_shape:
        return ""
    wrong = wrong_elements("output", judged)
    wrong = wrong.swapaxes(0, 1) if case.batch_first and case.rows else wrong
    places = []
    for suffix, part in zip(model.suffixes, model.output_parts(), strict=True):
        steps = np.flatnonzero(wrong[..., part].reshape(case.seq_len, -1).any(-1))
        if steps.size:
            places.append(f"step {steps[-1]} (reverse)" if suffix else f"step {steps[0]} (forward)")
    return f"output first deviates at {' and '.join(places)}" if places else ""


def _follow_single_steps(adapter: Adapter, problem: Problem, dialect: Dialect) -> str:
    """Describes the first wrong step of an implementation that runs step by step.

    Empty if it cannot run that way, or if a step takes too long.
    """
    case, model = problem.case, problem.case.model
    if model.num_directions > 1 or case.drops or operations(case) > MAX_OPERATIONS:
        return ""
    steps = _SingleSteps(adapter, problem, dialect)
    deadline = time.process_time() + MAX_CPU_SECONDS
    taken = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if adapter.supports(steps.case) is not None:
                return ""
            for step in steps:
                for layer in range(model.num_layers):
                    for name in ("c_n", "h_n"):
                        deviation, error_ratio = step.largest_deviation(name, layer)
                        if error_ratio > 1:
                            return (
                                f"first deviates at layer {layer}, step {step.number} ({name} off by {deviation:.3g}, "
                                f"error ratio {error_ratio:.3g}) when run one step at a time from its own states"
                            )
                taken += 1
                if time.process_time() > deadline:
                    break
    except Exception:  # An implementation that cannot run single steps may raise any exception.
        return ""
    which = "each step" if taken == case.seq_len else f"each of the first {taken} steps"
    return f"{which} is correct when run alone from its own states"


class _SingleStep(NamedTuple):
    """Results of one step.

    Attributes:
        number: number of the step.
        problem: problem that consists of this step.
        rows: rows in which the step is valid, (B,); one element if unbatched.
        got: the implementation's tensors.
        expected: the reference's tensors and budgets.
    """

    number: int
    problem: Problem
    rows: NDArray[np.bool_]
    got: Tensors
    expected: Expectation

    def largest_deviation(self, name: str, layer: int) -> tuple[float, float]:
        """Returns the largest |deviation| and error ratio of one layer's ``h_n`` or ``c_n`` in the valid rows."""
        model = self.problem.case.model
        parts = (self.got, self.expected.values, self.expected.budget)
        got, expected, budget = (model.state(part, name, layer, 0) for part in parts)
        rows = self.rows if self.problem.case.rows else slice(None)
        deviation = np.abs(got - expected)[rows]
        error_ratios = elementwise_error_ratios(deviation, budget[rows])
        return float(deviation.max(initial=0.0)), float(error_ratios.max(initial=0.0))


class _SingleSteps:
    """Runs an implementation one step at a time, from its own states.

    Attributes:
        case: case with a single step.
    """

    def __init__(self, adapter: Adapter, problem: Problem, dialect: Dialect) -> None:
        changes = {"seq_len": 1, "lengths": None, "mask": "right", "initial_state": "random", "check": ("h_n", "c_n")}
        self.case = problem.case.one_call.model_copy(update={**changes, "cotangents": RESULTS, "frozen": ()})
        self._adapter, self._problem, self._dialect = adapter, problem, dialect
        self._axis = 1 if self.case.batch_first and self.case.rows else 0

    def __iter__(self) -> Iterator[_SingleStep]:
        """Yields the steps in the order of processing."""
        problem, case = self._problem, self._problem.case
        state = problem.complete_state()
        for number in range(case.seq_len) if case.model.suffixes == ("",) else reversed(range(case.seq_len)):
            rows = np.ones(case.rows or 1, bool) if problem.mask is None else problem.mask[number]
            single = self._problem_of_step(number, rows, state)
            got = {name: np.asarray(value, np.float64) for name, value in self._adapter.solve(single).items()}
            expected = Oracle(None).expect(single, self._adapter.profile(self.case), self._dialect)
            yield _SingleStep(number, single, rows, got, expected)
            kept = rows[:, None] if case.rows else rows
            state = {name: np.where(kept, got[_final(name)], array) for name, array in state.items()}

    def _problem_of_step(self, number: int, rows: NDArray[np.bool_], state: Tensors) -> Problem:
        """Returns a problem that consists of one step; its input is zero in rows where the step is padding."""
        problem, axis = self._problem, self._axis
        cotangents = problem.complete_cotangents()
        x = np.take(problem.input, [number], axis=axis)
        if problem.case.rows:
            x = np.where(np.expand_dims(rows, (axis, 2)), x, np.zeros((), x.dtype))
        return replace(
            problem,
            case=self.case,
            lengths=None,
            mask=None,
            input=np.ascontiguousarray(x),
            initial_state={
                name: np.ascontiguousarray(round_to(self.case.dtype, array)) for name, array in state.items()
            },
            cotangents={**cotangents, "output": np.take(cotangents["output"], [number], axis=axis)},
        )


def _final(initial: str) -> str:
    """Returns the name of the final state that belongs to an initial state: ``h_n_l1`` for ``h_0_l1``."""
    return f"{initial[0]}_n{initial[3:]}"
