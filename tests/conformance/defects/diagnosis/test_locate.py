"""Where a failure that nothing explains first departs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.defects.diagnosis.locate import locate
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem, round_to
from reference import PROFILES, Dialect
from reference.cell import Cell, Step
from tests.fakes import Faithful

LIMIT = 0.9


class _Limited(Cell):
    """Holds the cell state within a limit: wrong from the first step that goes beyond it."""

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
    """Right step by step."""

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
    return locate(adapter, problem, {**adapter.solve(problem), **(change or {})}, expectation, Dialect())


def first_step_beyond(case: Case) -> int:
    """The first step whose cell state is beyond the limit, found with sequences cut there."""
    problem = make_problem(case)
    order = range(case.seq_len) if case.direction == "forward" else range(case.seq_len - 1, -1, -1)
    for step in order:
        part = problem.input[: step + 1] if case.direction == "forward" else problem.input[step:]
        c_n = reference.forward(case.model, problem.parameters, part, problem.initial_state).outputs["c_n"]
        if (np.abs(c_n) > LIMIT).any():
            return step
    raise AssertionError("never beyond")


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_the_step_is_found_with_the_implementations_own_states(direction: str) -> None:
    case = make_case(direction=direction)
    step = first_step_beyond(case)
    assert 0 < step < 5, "the case shall go wrong on the way"
    assert where(Limited(), case).startswith(f"first departs at layer 0, step {step} (c_n off by ")


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
def test_single_steps_are_fed_in_every_layout(options: dict[str, Any]) -> None:
    assert "when run a step at a time from its own states" in where(Limited(), make_case(**options))


@pytest.mark.parametrize("adapter", [WholeSequencesOnly(), RaisesOnOneStep()])
def test_without_single_steps_the_output_tells(adapter: Limited) -> None:
    case = make_case()
    assert where(adapter, case) == f"output departs at step {first_step_beyond(case)}, forward"


def test_each_direction_departs_on_its_own_way() -> None:
    case = make_case(direction="bidirectional")
    got = Oracle(None).expect(make_problem(case), PROFILES["float32"], Dialect()).values["output"].copy()
    got[2:5, :, :4] += 0.5
    got[1:4, :, 4:] += 0.5
    assert where(Faithful(), case, {"output": got}) == "output departs at step 2, forward and step 3, reverse"


def test_a_wrong_result_of_right_steps_is_told() -> None:
    assert where(WrongAtTheEnd(), make_case()) == "each step is right when run alone from its own states"


def test_gradients_are_wrong_from_the_last_layer_on() -> None:
    case = make_case(num_layers=3)
    right = Faithful().solve(make_problem(case))
    change = {f"grad.weight_hh_l{layer}": right[f"grad.weight_hh_l{layer}"] * 2 for layer in (0, 1)}
    assert (
        where(Faithful(), case, change)
        == "all results are right, on the way back grad.weight_hh_l1 is the first that is not"
    )


def test_nothing_is_said_of_what_conforms() -> None:
    assert where(Faithful(), make_case()) == ""
