"""Small problems in float64, the reference's solutions of them, and how two solutions are compared."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import cell_dropout, chosen_activations, clips, coupled_gates, masks, peepholes
from conformance.defects.defect import Defect, solve
from conformance.verdict import oracle
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

Tensors = dict[str, Any]
OF_OPTIONS = (
    *peepholes.DEFECTS,
    *clips.DEFECTS,
    *coupled_gates.DEFECTS,
    *chosen_activations.DEFECTS,
    *masks.DEFECTS,
    *cell_dropout.DEFECTS,
)
"""Defects that only cases with an option of the cell can see."""


def problem_of(**options: Any) -> Problem:
    sizes: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "batch": 3, "dtype": "float64"}
    return make_problem(Case(**sizes | options))


def right(problem: Problem) -> Tensors:
    results = oracle.solve(problem, Dialect())
    return {name: results[name] for name in problem.expected_shapes()}


def forward_only(problem: Problem) -> Tensors:
    """Right results alone, whatever the cotangents."""
    return right(replace(problem, case=problem.case.model_copy(update={"check": ("output", "h_n", "c_n")})))


def wrong(defect: Defect, problem: Problem) -> Tensors:
    return solve(defect, problem, Dialect())


def agree(found: Tensors, expected: Tensors) -> None:
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-13, err_msg=name)
