"""Models with fixed weights are built for a shape, and continue a sequence only if they take both states."""

from typing import Any

import pytest

from conformance.adapters import models
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem

BASE: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 6, "batch": 3, "dtype": "float64"}


def problem_of(**options: Any) -> Problem:
    return make_problem(Case(**{**BASE, **options}))


def test_a_model_is_built_for_the_built_shape() -> None:
    assert models.built_problem(problem_of(built_seq_len=1)).input.shape == (1, 3, 3)
    assert models.built_problem(problem_of(built_batch=5, batch_first=True)).input.shape == (5, 6, 3)
    assert models.built_problem(problem_of(built_seq_len=2, batch="unbatched")).input.shape == (2, 3)


@pytest.mark.parametrize("state", ["omitted", "h_0-given", "c_0-given", "zero"])
def test_a_model_continues_a_sequence_only_with_inputs_for_both_states(state: str) -> None:
    case = Case.model_validate(BASE | {"chunks": [2, 4], "initial_state": state})
    assert (models.refuse(case) is None) == (state == "zero")
    assert models.refuse(Case.model_validate(BASE | {"initial_state": state})) is None
