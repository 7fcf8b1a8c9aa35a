"""Defects of cell options compute what they describe, and apply only to cases with that option."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.defect import Defect
from conformance.verdict import oracle
from conformance.verdict.problem import Problem, cells, make_problem
from conformance.verdict.values import step_mask
from reference import Dialect
from reference.activations import tanh
from tests.conformance.defects.problems import (
    OPTION_DEFECTS,
    assert_close,
    assert_gradients_match_differences,
    correct,
    correct_outputs,
    defective,
    problem_of,
)

BY_ID = {defect.id: defect for defect in OPTION_DEFECTS}
BACKWARD = [defect for defect in OPTION_DEFECTS if defect.id.startswith("grad-")]
FORWARD = [defect for defect in OPTION_DEFECTS if defect not in BACKWARD]
OPTIONS: dict[str, dict[str, Any]] = {
    "peepholes": {"peepholes": True, "num_layers": 2, "direction": "bidirectional"},
    "clip": {"clip": 0.6, "peepholes": True, "seq_len": 3},
    "cell clip": {"cell_clip": 0.7},
    "coupled gates": {"coupled_gates": True},
    "forget bias": {"forget_bias": 1.0},
    "activations": {"activations": ("hard_sigmoid", "softsign", "relu")},
    "hard sigmoid": {"activations": ("hard_sigmoid_6", "leaky_relu", "affine")},
    "elu": {"activations": ("tanh", "elu", "scaled_tanh")},
    "per direction": {
        "activations": ("sigmoid", "tanh", "tanh", "hard_sigmoid", "relu", "softsign"),
        "direction": "bidirectional",
    },
    "left mask": {"mask": "left", "lengths": (2, 4, 1), "direction": "bidirectional"},
    "holed mask": {"mask": "holed", "lengths": (2, 4, 3)},
    "input dropout": {"input_dropout": 0.5, "mode": "train", "direction": "bidirectional"},
    "recurrent dropout": {"recurrent_dropout": 0.5, "mode": "train", "direction": "bidirectional"},
    "in inference": {"input_dropout": 0.5, "recurrent_dropout": 0.5},
}
PROBLEMS = {name: problem_of(**({"seq_len": 4} | option)) for name, option in OPTIONS.items()}


def first_problem(defect: Defect) -> Problem:
    return next(problem for problem in PROBLEMS.values() if defect.applies_to(problem.case))


@pytest.mark.parametrize("defect", FORWARD, ids=lambda defect: defect.id)
def test_gradients_match_finite_differences(defect: Defect) -> None:
    assert_gradients_match_differences(defect, first_problem(defect))


@pytest.mark.parametrize("defect", BACKWARD, ids=lambda defect: defect.id)
def test_gradient_defects_leave_outputs_unchanged(defect: Defect) -> None:
    problem = first_problem(defect)
    expected, actual = correct(problem), defective(defect, problem)
    for name in problem.cotangents:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
    assert any(np.abs(actual[name] - expected[name]).max() > 1e-3 for name in expected)


@pytest.mark.parametrize("defect", OPTION_DEFECTS, ids=lambda defect: defect.id)
def test_option_defects_do_not_apply_to_a_plain_case(defect: Defect) -> None:
    assert not defect.applies_to(problem_of(seq_len=4, num_layers=2, direction="bidirectional", lengths=(2, 4, 1)).case)


def _with_option(name: str, **option: Any) -> Problem:
    problem = PROBLEMS[name]
    case = problem.case.model_copy(update=option)
    return replace(problem, case=case, mask=step_mask(case))


@pytest.mark.parametrize(
    ("defect", "name", "option"),
    [
        ("clip-ignored", "clip", {"clip": None}),
        ("clip-of-cell-state-itself", "clip", {"clip": None, "cell_clip": 0.6}),
        ("clip-at-twice-the-bound", "clip", {"clip": 1.2}),
        ("cell-clip-ignored", "cell clip", {"cell_clip": None}),
        ("cell-clip-of-activation-inputs", "cell clip", {"clip": 0.7, "cell_clip": None}),
        ("coupled-ignored", "coupled gates", {"coupled_gates": False}),
        ("forget-bias-ignored", "forget bias", {"forget_bias": 0.0}),
        ("forget-bias-twice", "forget bias", {"forget_bias": 2.0}),
        ("activations-ignored", "activations", {"activations": ("sigmoid", "tanh", "tanh")}),
        ("activation-of-gates-ignored", "activations", {"activations": ("sigmoid", "softsign", "relu")}),
        ("activation-of-candidate-for-cell-state", "activations", {"activations": ("hard_sigmoid", *["softsign"] * 2)}),
        ("hard-sigmoid-6-for-hard-sigmoid", "activations", {"activations": ("hard_sigmoid_6", "softsign", "relu")}),
        ("mask-read-as-lengths", "left mask", {"mask": "right"}),
        ("mask-ignored", "holed mask", {"lengths": (4, 4, 4)}),
    ],
)
def test_an_ignored_option_equals_another_value_of_the_option(defect: str, name: str, option: dict[str, Any]) -> None:
    assert_close(defective(BY_ID[defect], PROBLEMS[name]), correct(_with_option(name, **option)))


def test_ignored_peepholes_are_peepholes_of_0() -> None:
    problem = PROBLEMS["peepholes"]
    zeros = {n: a * 0.0 if n.startswith("peephole") else a for n, a in problem.parameters.items()}
    expected = correct_outputs(replace(problem, parameters=zeros))
    assert_close({name: defective(BY_ID["peepholes-ignored"], problem)[name] for name in expected}, expected)


def test_a_clip_of_gates_only_equals_the_other_dialect() -> None:
    problem = PROBLEMS["clip"]
    actual = defective(BY_ID["clip-not-of-cell-state-activation"], problem)
    assert_close(actual, oracle.solve(problem, Dialect(clip="gates")))


def test_each_direction_has_its_own_activations() -> None:
    case = PROBLEMS["per direction"].case
    actual = cells(case, Dialect())
    assert (actual[""].candidate.name, actual["_reverse"].candidate.name) == ("tanh", "relu")
    assert actual[""].cell_state == tanh
    assert [cell.name for cell in (actual["_reverse"].input_gate, actual["_reverse"].cell_state)] == [
        "hard_sigmoid",
        "softsign",
    ]


def test_every_option_has_cases_in_both_precisions() -> None:
    actual = {(case.file, case.dtype) for case in load_all([shipped_cases()])}
    for name in ("peepholes", "clip", "coupled-gates", "activations", "forget-bias", "masks", "cell-dropout"):
        assert {(f"cases/{name}.yaml", "float32"), (f"cases/{name}.yaml", "float64")} <= actual


def test_make_problem_draws_peepholes() -> None:
    problem = make_problem(PROBLEMS["peepholes"].case)
    assert problem.parameters["peephole_l1_reverse"].shape == (12,)
    assert problem.expected_shapes()["grad.peephole_l0"] == (12,)
