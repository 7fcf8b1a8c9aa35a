"""``locate`` finds the first deviation of an unexplained failure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.defects.diagnosis.locate import locate
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from conformance.verdict.random_arrays import round_to
from reference import PROFILES, Dialect
from reference.cell import Cell, Step
from tests.fakes import Faithful

LIMIT = 0.9


class _Limited(Cell):
    """Clips the cell state: wrong from the first step whose cell state exceeds the limit."""

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        _, c, parts = super().step(z, c_previous)
        held = np.clip(c, -LIMIT, LIMIT)
        return parts.gates[..., -c.shape[-1] :] * np.tanh(held), held, parts


class Limited(Faithful):
    name = "limited"

    def solve(self, problem: Problem) -> Solution:
        trace = reference.forward(
            problem.case.model,
            problem.parameters,
            problem.input,
            problem.initial_state,
            lengths=problem.lengths,
            cell=_Limited(),
        )
        results = trace.outputs | reference.backward(trace, problem.cotangents)
        return {name: round_to(problem.case.dtype, results[name]) for name in problem.expected_shapes()}


class WholeSequencesOnly(Limited):
    def supports(self, case: Case) -> str | None:
        return "one step is too short" if case.seq_len == 1 else None


class RaisesOnOneStep(Limited):
    def solve(self, problem: Problem) -> Solution:
        if problem.case.seq_len == 1:
            raise RuntimeError("one step is too short")
        return super().solve(problem)


class WrongAtTheEnd(Faithful):
    """Correct in single steps; h_n of a longer sequence is wrong."""

    def solve(self, problem: Problem) -> Solution:
        solution = dict(super().solve(problem))
        if problem.case.seq_len > 1:
            solution["h_n"] = solution["h_n"] + np.float32(0.5)
        return solution


def make_case(**options: Any) -> Case:
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 6, "batch": 3, "initial_state": "zero"}
    return Case.model_validate(values | options)


def where(adapter: Faithful, case: Case, change: Mapping[str, Any] | None = None) -> str:
    problem = make_problem(case)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
    solution = {**adapter.solve(problem), **(change or {})}
    return locate(adapter, JudgedSolution(problem, solution, expectation, Dialect()))


def first_step_above_limit(case: Case) -> int:
    """Returns the first step whose cell state exceeds the limit, found with truncated sequences."""
    problem = make_problem(case)
    order = range(case.seq_len) if case.direction == "forward" else range(case.seq_len - 1, -1, -1)
    for step in order:
        part = problem.input[: step + 1] if case.direction == "forward" else problem.input[step:]
        c_n = reference.forward(case.model, problem.parameters, part, problem.initial_state).outputs["c_n"]
        if (np.abs(c_n) > LIMIT).any():
            return step
    raise AssertionError("no cell state exceeds the limit")


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_single_steps_find_the_first_wrong_step(direction: str) -> None:
    case = make_case(direction=direction)
    step = first_step_above_limit(case)
    assert 0 < step < 5, "the case must become wrong in the middle of the sequence"
    assert where(Limited(), case).startswith(f"first deviates at layer 0, step {step} (c_n off by ")


@pytest.mark.parametrize(
    "options",
    [
        {"batch_first": True},
        {"batch": "unbatched", "values": "scale-2"},
        {"num_layers": 2},
        {"lengths": "ragged", "padding": "nan"},
        {"hidden_size": [4, 3]},
        {"initial_state": "omitted"},
        {"initial_state": "random"},
    ],
)
def test_single_steps_run_in_every_layout(options: dict[str, Any]) -> None:
    assert "when run one step at a time from its own states" in where(Limited(), make_case(**options))


@pytest.mark.parametrize("adapter", [WholeSequencesOnly(), RaisesOnOneStep()])
def test_without_single_steps_the_output_gives_the_first_wrong_step(adapter: Limited) -> None:
    case = make_case()
    assert where(adapter, case) == f"output first deviates at step {first_step_above_limit(case)} (forward)"


def test_each_direction_has_its_own_first_wrong_step() -> None:
    case = make_case(direction="bidirectional")
    got = Oracle(None).expect(make_problem(case), PROFILES["float32"], Dialect()).values["output"].copy()
    got[2:5, :, :4] += 0.5
    got[1:4, :, 4:] += 0.5
    assert where(Faithful(), case, {"output": got}) == "output first deviates at step 2 (forward) and step 3 (reverse)"


def test_correct_single_steps_with_a_wrong_result_are_reported() -> None:
    assert where(WrongAtTheEnd(), make_case()) == "each step is correct when run alone from its own states"


def test_the_first_wrong_gradient_is_that_of_the_last_wrong_layer() -> None:
    case = make_case(num_layers=3)
    right = Faithful().solve(make_problem(case))
    change = {f"grad.weight_hh_l{layer}": right[f"grad.weight_hh_l{layer}"] * 2 for layer in (0, 1)}
    assert (
        where(Faithful(), case, change)
        == "all outputs are correct; grad.weight_hh_l1 is the first wrong gradient of the backward pass; "
        "wrong: grad.weight_hh in layers up to 1"
    )


def test_wrong_derivatives_along_a_direction_are_listed_if_all_else_is_correct() -> None:
    case = make_case(num_layers=2, check=("output", "gradients", "hvp"))
    right = Faithful().solve(make_problem(case))
    assert (
        where(Faithful(), case, {"hvp.weight_hh_l1": right["hvp.weight_hh_l1"] * 2})
        == "all outputs and gradients are correct; wrong derivatives along a direction: hvp.weight_hh_l1; "
        "wrong: hvp.weight_hh in layer 1"
    )


def test_a_conforming_solution_has_no_location() -> None:
    assert where(Faithful(), make_case()) == ""
