"""Fixtures of the adapters' tests: small cases, and the deviation from the reference."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.verdict import oracle
from conformance.verdict.problem import make_problem

Options = dict[str, Any]


@pytest.fixture
def case() -> Callable[..., Case]:
    """Returns a function that builds a small float64 case with the given options."""

    def make(**options: Any) -> Case:
        small = {"input_size": 3, "hidden_size": 5, "seq_len": 4, "batch": 4, "dtype": "float64"}
        return Case.model_validate(small | options)

    return make


@pytest.fixture
def deviation(case: Callable[..., Case]) -> Callable[[Adapter, Options], float]:
    """Returns a function that checks names and shapes of a solution and returns its largest deviation."""

    def measure(adapter: Adapter, options: Options) -> float:
        problem = make_problem(case(**options))
        assert adapter.supports(problem.case) is None
        dialect = adapter.dialect(problem.case)
        problem = replace(problem.under(dialect), dropout_masks=adapter.dropout_masks(problem))
        solution = dict(adapter.solve(problem))
        assert {name: array.shape for name, array in solution.items()} == problem.expected_shapes()
        expected = oracle.solve(problem, dialect)
        shown = problem.specified_steps(dialect)
        if shown is not None:
            solution["output"] = np.where(shown[..., None], solution["output"], 0.0)
        distances = [np.abs(array.astype(np.float64) - expected[name]).max() for name, array in solution.items()]
        return float(np.max(distances))

    return measure
