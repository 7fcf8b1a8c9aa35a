"""Small float64 problems, solutions with and without a defect, and a comparison of solutions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.catalogue import activation_options, cell_dropout, clips, coupled_gates, masks, peepholes
from conformance.defects.defect import Defect
from conformance.defects.solve import solve
from conformance.verdict import oracle
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

Tensors = dict[str, Any]
OPTION_DEFECTS = (
    *peepholes.DEFECTS,
    *clips.DEFECTS,
    *coupled_gates.DEFECTS,
    *activation_options.DEFECTS,
    *masks.DEFECTS,
    *cell_dropout.DEFECTS,
)
"""Defects that apply only to cases with an option of the cell."""


def problem_of(**options: Any) -> Problem:
    sizes: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "batch": 3, "dtype": "float64"}
    return make_problem(Case(**sizes | options))


def correct(problem: Problem) -> Tensors:
    """Returns the reference's solution."""
    results = oracle.solve(problem, Dialect())
    return {name: results[name] for name in problem.expected_shapes()}


def correct_outputs(problem: Problem) -> Tensors:
    """Returns the reference's solution without gradients."""
    return correct(replace(problem, case=problem.case.model_copy(update={"check": ("output", "h_n", "c_n")})))


def defective(defect: Defect, problem: Problem) -> Tensors:
    """Returns the solution of an LSTM with a defect."""
    return solve(defect, problem, Dialect())


def assert_close(actual: Tensors, expected: Tensors) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(actual[name], array, rtol=1e-10, atol=1e-13, err_msg=name)


def assert_gradients_match_differences(defect: Defect, problem: Problem) -> None:
    """Compares the derivative in a random direction with a central difference.

    The input of a padded batch is fixed: its padding holds large values.
    """
    assert problem.initial_state is not None
    random = np.random.default_rng(1)
    sources: dict[str, Any] = {"input": problem.input, **problem.initial_state, **problem.parameters}
    direction = {name: random.standard_normal(array.shape) for name, array in sources.items()}
    if problem.mask is not None:
        direction["input"] = np.zeros_like(direction["input"])

    def loss(step: float) -> float:
        at = {name: array + step * direction[name] for name, array in sources.items()}
        moved = replace(
            problem,
            input=at["input"],
            initial_state={name: at[name] for name in problem.initial_state or {}},
            parameters={name: at[name] for name in problem.parameters},
        )
        results = defective(defect, moved)
        return sum(float((problem.cotangents[name] * results[name]).sum()) for name in problem.cotangents)

    gradients = defective(defect, problem)
    derivative = sum(float((gradients[f"grad.{name}"] * direction[name]).sum()) for name in sources)
    difference = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert derivative == pytest.approx(difference, rel=1e-6, abs=1e-6)
