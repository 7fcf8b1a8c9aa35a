"""Defects of options compute what they say, and differentiate what they compute unless that is what is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.defect import Defect
from conformance.verdict import oracle
from conformance.verdict.problem import Problem, cells, counted_steps, make_problem
from reference import Dialect
from reference.activations import tanh
from tests.conformance.defects.problems import OF_OPTIONS, agree, forward_only, problem_of, right, wrong

BY_ID = {defect.id: defect for defect in OF_OPTIONS}
BACKWARD = [defect for defect in OF_OPTIONS if defect.id.startswith("grad-")]
FORWARD = [defect for defect in OF_OPTIONS if defect not in BACKWARD]
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
    return next(problem for problem in PROBLEMS.values() if defect.concerns(problem.case))


@pytest.mark.parametrize("defect", FORWARD, ids=lambda defect: defect.id)
def test_the_gradients_are_those_of_what_it_computes(defect: Defect) -> None:
    problem = first_problem(defect)

    def loss(at: Problem) -> float:
        results = wrong(defect, at)
        return sum(float((at.cotangents[name] * results[name]).sum()) for name in at.cotangents)

    random = np.random.default_rng(1)
    gradients = wrong(defect, problem)
    assert problem.initial_state is not None
    sources: dict[str, Any] = {"input": problem.input, **problem.initial_state, **problem.parameters}
    towards = {name: random.standard_normal(array.shape) for name, array in sources.items()}

    def moved(by: float) -> Problem:
        at = {name: array + by * towards[name] for name, array in sources.items()}
        # What lies in the padding stays as large as it is.
        at["input"] = problem.input if problem.mask is not None else at["input"]
        return replace(
            problem,
            input=at["input"],
            initial_state={name: at[name] for name in problem.initial_state or {}},
            parameters={name: at[name] for name in problem.parameters},
        )

    moving = [name for name in sources if name != "input" or problem.mask is None]
    found = sum(float((gradients[f"grad.{name}"] * towards[name]).sum()) for name in moving)
    measured = (loss(moved(1e-6)) - loss(moved(-1e-6))) / 2e-6
    assert found == pytest.approx(measured, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("defect", BACKWARD, ids=lambda defect: defect.id)
def test_results_are_right_and_gradients_are_not(defect: Defect) -> None:
    problem = first_problem(defect)
    expected, found = right(problem), wrong(defect, problem)
    for name in problem.cotangents:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert any(np.abs(found[name] - expected[name]).max() > 1e-3 for name in expected)


@pytest.mark.parametrize("defect", OF_OPTIONS, ids=lambda defect: defect.id)
def test_none_is_a_defect_of_a_plain_case(defect: Defect) -> None:
    assert not defect.concerns(problem_of(seq_len=4, num_layers=2, direction="bidirectional", lengths=(2, 4, 1)).case)


def _without(name: str, **option: Any) -> Problem:
    problem = PROBLEMS[name]
    case = problem.case.model_copy(update=option)
    return replace(problem, case=case, mask=counted_steps(case))


@pytest.mark.parametrize(
    ("defect", "name", "option"),
    [
        ("clip-ignored", "clip", {"clip": None}),
        ("clip-of-cell-state-itself", "clip", {"clip": None, "cell_clip": 0.6}),
        ("clip-at-twice-the-bound", "clip", {"clip": 1.2}),
        ("cell-clip-ignored", "cell clip", {"cell_clip": None}),
        ("cell-clip-of-what-activations-read", "cell clip", {"clip": 0.7, "cell_clip": None}),
        ("coupled-ignored", "coupled gates", {"coupled_gates": False}),
        ("forget-bias-ignored", "forget bias", {"forget_bias": 0.0}),
        ("forget-bias-twice", "forget bias", {"forget_bias": 2.0}),
        ("activations-ignored", "activations", {"activations": ("sigmoid", "tanh", "tanh")}),
        ("activation-of-gates-ignored", "activations", {"activations": ("sigmoid", "softsign", "relu")}),
        ("activation-of-candidate-on-the-way-out", "activations", {"activations": ("hard_sigmoid", *["softsign"] * 2)}),
        ("hard-sigmoid-6-for-hard-sigmoid", "activations", {"activations": ("hard_sigmoid_6", "softsign", "relu")}),
        ("mask-read-as-lengths", "left mask", {"mask": "right"}),
        ("mask-ignored", "holed mask", {"lengths": (4, 4, 4)}),
    ],
)
def test_an_option_not_heeded_is_another_option(defect: str, name: str, option: dict[str, Any]) -> None:
    agree(wrong(BY_ID[defect], PROBLEMS[name]), right(_without(name, **option)))


def test_peepholes_ignored_are_peepholes_of_0() -> None:
    problem = PROBLEMS["peepholes"]
    zeros = {n: a * 0.0 if n.startswith("peephole") else a for n, a in problem.parameters.items()}
    expected = forward_only(replace(problem, parameters=zeros))
    agree({name: wrong(BY_ID["peepholes-ignored"], problem)[name] for name in expected}, expected)


def test_the_bound_on_the_way_out_is_that_of_the_other_dialect() -> None:
    problem = PROBLEMS["clip"]
    found = wrong(BY_ID["clip-not-of-cell-state-on-its-way-out"], problem)
    agree(found, oracle.solve(problem, Dialect(clip="gates")))


def test_each_direction_has_its_own_activations() -> None:
    case = PROBLEMS["per direction"].case
    found = cells(case, Dialect())
    assert (found[""].candidate.name, found["_reverse"].candidate.name) == ("tanh", "relu")
    assert found[""].cell_state == tanh
    assert [cell.name for cell in (found["_reverse"].input_gate, found["_reverse"].cell_state)] == [
        "hard_sigmoid",
        "softsign",
    ]


def test_every_option_has_cases_in_both_precisions() -> None:
    found = {(case.file, case.dtype) for case in load_all([shipped_cases()])}
    for name in ("peepholes", "clip", "coupled-gates", "activations", "forget-bias", "masks", "cell-dropout"):
        assert {(f"cases/{name}.yaml", "float32"), (f"cases/{name}.yaml", "float64")} <= found


def test_make_problem_draws_what_options_need() -> None:
    problem = make_problem(PROBLEMS["peepholes"].case)
    assert problem.parameters["peephole_l1_reverse"].shape == (12,)
    assert problem.expected_shapes()["grad.peephole_l0"] == (12,)
