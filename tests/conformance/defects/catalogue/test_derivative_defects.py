"""Derivatives along a direction of defects: those of defects that change nothing else, and those of all others."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE, derivatives
from conformance.defects.defect import Defect
from conformance.defects.power import screening
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect
from tests.conformance.defects.problems import correct, defective, problem_of

BY_ID = {defect.id: defect for defect in CATALOGUE}
DERIVATIVES = ("output", "h_n", "c_n", "gradients", "jvp", "hvp")
TWO_LAYERS: dict[str, Any] = {"num_layers": 2, "seq_len": 4, "check": DERIVATIVES}
WRONG: dict[str, set[str]] = {
    "derivatives-ignore-initial-states": {"jvp", "hvp"},
    "derivatives-ignore-parameters": {"jvp", "hvp"},
    "jvp-of-final-states-is-zero": {"jvp"},
    "hvp-is-zero": {"hvp"},
    "hvp-treats-activations-as-constants": {"hvp"},
    "hvp-treats-c-as-constant": {"hvp"},
    "hvp-treats-h-as-constant": {"hvp"},
    "hvp-treats-weight_hh-as-constant": {"hvp"},
}


def test_each_defect_of_derivatives_is_tested() -> None:
    assert [defect.id for defect in derivatives.DEFECTS] == list(WRONG)


@pytest.mark.parametrize("defect", derivatives.DEFECTS, ids=lambda defect: defect.id)
def test_only_the_derivatives_along_a_direction_are_wrong(defect: Defect) -> None:
    problem = problem_of(**TWO_LAYERS)
    expected, actual = correct(problem), defective(defect, problem)
    assert actual.keys() == expected.keys()
    wrong = {name.partition(".")[0] for name, array in actual.items() if not np.array_equal(array, expected[name])}
    assert wrong == WRONG[defect.id]
    assert defect.changes_only_derivatives


def test_the_saved_activations_are_constants_only_in_the_second_derivative() -> None:
    problem = problem_of(**TWO_LAYERS)
    expected, actual = correct(problem), defective(BY_ID["hvp-treats-h-as-constant"], problem)
    wrong = {name for name, array in actual.items() if not np.array_equal(array, expected[name])}
    assert wrong == {"hvp.weight_hh_l0", "hvp.weight_hh_l1"}


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_another_defect_has_the_derivatives_of_what_it_computes(dtype: str) -> None:
    problem = problem_of(**(TWO_LAYERS | {"dtype": dtype}))
    actual = defective(BY_ID["bias_ih-ignored"], problem)

    def without_bias(tensors: Any) -> dict[str, Any]:
        return {name: 0 * array if name.startswith("bias_ih") else array for name, array in tensors.items()}

    without = replace(problem, parameters=without_bias(problem.parameters), tangents=without_bias(problem.tangents))
    for name, array in correct(without).items():
        if not name.partition(".")[2].startswith("bias_ih"):
            np.testing.assert_allclose(actual[name], array, rtol=1e-7, atol=1e-7, err_msg=name)


def test_tensors_that_a_defect_does_not_change_have_exact_derivatives() -> None:
    problem = problem_of(**TWO_LAYERS)
    doubled = Defect("doubled", "", results=lambda tensors, _: {**tensors, "c_n": 2 * tensors["c_n"]})
    expected, actual = correct(problem), defective(doubled, problem)
    np.testing.assert_allclose(actual["jvp.c_n"], 2 * expected["jvp.c_n"], rtol=1e-7, atol=1e-9)
    exact = [name for name in expected if name not in ("c_n", "jvp.c_n")]
    assert all(np.array_equal(actual[name], expected[name]) for name in exact)


@pytest.mark.parametrize(
    "options", [{"check": ("jvp",)}, {"check": ("hvp",)}, {"check": ("hvp",), "seq_len": 1}], ids=str
)
def test_every_applicable_defect_of_derivatives_is_detected(options: dict[str, Any]) -> None:
    case = Case(**{"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, **options})
    problem = make_problem(case)
    expectation = Oracle(None).expect(problem, PROFILES["float32"], Dialect())
    applicable = {defect.id for defect in derivatives.DEFECTS if defect.applies_to(case)}
    assert applicable
    assert screening.detected(problem, expectation, Dialect(), derivatives.DEFECTS) == applicable


def test_each_defect_applies_to_a_shipped_case_with_derivatives_only() -> None:
    shipped = load_all([shipped_cases() / "derivatives.yaml"])
    for defect in derivatives.DEFECTS:
        assert any(defect.applies_to(case) for case in shipped), defect.id
        without = [case.model_copy(update={"check": ("output", "gradients")}) for case in shipped]
        assert not any(defect.applies_to(case) for case in without), defect.id
