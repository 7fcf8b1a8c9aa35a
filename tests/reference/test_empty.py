"""Sequences without steps and batches without rows: initial states, empty outputs and zero gradients."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect, backward, forward

SIZES: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3}
OPTIONS: list[dict[str, Any]] = [
    {"seq_len": 0},
    {"batch": 0},
    {"seq_len": 0, "batch": 0},
    {"seq_len": 0, "batch": "unbatched"},
    {"seq_len": 0, "num_layers": 2, "bidirectional": True, "batch_first": True},
    {"batch": 0, "num_layers": 2, "direction": "reverse", "proj_size": 2, "batch_first": True},
    {"seq_len": 0, "hidden_size": [4, 3], "peepholes": True, "clip": 1.0, "initial_state": "omitted"},
    {"batch": 0, "num_layers": 2, "dropout": 0.5, "input_dropout": 0.5, "recurrent_dropout": 0.5, "mode": "train"},
]


def make(options: dict[str, Any]) -> Problem:
    return make_problem(Case.model_validate(SIZES | options))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_an_empty_problem_has_its_initial_states_and_zero_gradients(options: dict[str, Any], dtype: str) -> None:
    problem = make(options | {"dtype": dtype})
    expectation = Oracle(None).expect(problem, PROFILES[dtype], Dialect())
    states, cotangents = problem.complete_state(), problem.complete_cotangents()
    assert {name: array.shape for name, array in expectation.values.items()} == problem.expected_shapes()
    for name, array in expectation.values.items():
        if name.startswith(("h_n", "c_n")):
            assert np.array_equal(array, states[f"{name[0]}_0{name[3:]}"])
        elif name.startswith(("grad.h_0", "grad.c_0")):
            assert np.array_equal(array, cotangents[f"{name[5]}_n{name[8:]}"])
        else:
            assert not array.any()
    assert not any(budget.any() for budget in expectation.budget.values())
    assert not any(bound.any() for bound in expectation.bound.values())


def test_without_steps_the_dialect_of_rows_of_length_zero_applies_to_all_rows() -> None:
    problem = make({"seq_len": 0})
    arguments = problem.case.model, problem.parameters, problem.input, problem.complete_state()
    trace = forward(*arguments, dialect=Dialect(zero_length="zero"))
    gradients = backward(trace, problem.complete_cotangents())
    for array in (trace.outputs["h_n"], trace.outputs["c_n"], gradients["grad.h_0"], gradients["grad.c_0"]):
        assert array.shape == (1, 3, 5)
        assert not array.any()
