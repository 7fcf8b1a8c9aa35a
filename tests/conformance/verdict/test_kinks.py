from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.solve import solve
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.kinks import Crossing, judge_across_kinks
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect
from tests import fakes
from tests.reference.problems import run
from tests.reference.variants import Half

FLOAT16: dict[str, Any] = {"dtype": "float16", "seq_len": 4, "batch": 20}

PLAIN = Dialect()

MOVED: dict[str, dict[str, Any]] = {
    "a clip": {"input_size": 1, "hidden_size": 7, "clip": 1.0, "seq_len": 1, "batch": 200, "seed": 162890403},
    "a cell clip": {"input_size": 1, "hidden_size": 7, "cell_clip": 1.0, "batch": 3, "seed": 85382286},
    "an activation": {
        "activations": ["hard_sigmoid_6", "leaky_relu", "leaky_relu"],
        "seed": 658519635,
        "hidden_size": 7,
    },
    "a single row": {"hidden_size": 4, "clip": 1.0, "num_layers": 2, "batch": 1, "seed": 684471788},
    "an activation whose argument another one moves": {
        "input_size": 5,
        "hidden_size": 7,
        "activations": ["hard_sigmoid", "leaky_relu", "relu"],
        "direction": "bidirectional",
        "seed": 549369000,
    },
    "gradients of parameters only": {
        "input_size": 1,
        "hidden_size": 2,
        "seq_len": 8,
        "batch": 3,
        "activations": ["sigmoid", "leaky_relu", "leaky_relu"],
        "num_layers": 2,
        "seed": 652682639,
    },
}
"""Problems in which a correct LSTM in float16 has an argument on the other side of a kink than the reference."""


def attempt(
    solution: Any = None, dialect: Dialect = PLAIN, **options: Any
) -> tuple[JudgedSolution, Verdict, Crossing | None]:
    """Judges a solution, by default that of an LSTM in float16, and judges it again across kinks."""
    problem = make_problem(Case(**({"input_size": 3, "hidden_size": 2} | FLOAT16 | options)))
    profile = PROFILES[problem.case.dtype]
    if solution is None:
        solution = {name: part.close_sum().value.astype(np.float64) for name, part in run(problem, Half.lift).items()}
    elif callable(solution):
        solution = solution(problem)
    judged = JudgedSolution(problem, solution, Oracle(None).expect(problem, profile, dialect), dialect)
    verdict = judge(*judged[:3])
    return judged, verdict, judge_across_kinks(judged, verdict, profile)


@pytest.mark.parametrize("options", MOVED.values(), ids=MOVED)
def test_a_correct_solution_conforms_on_the_side_to_which_rounding_moves_an_argument(options: dict[str, Any]) -> None:
    _, verdict, crossing = attempt(**options)
    assert not verdict.conforms
    assert crossing is not None
    assert crossing.verdict.conforms
    assert crossing.verdict.error_ratio < 0.9


def test_a_coarse_analysis_has_kinks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.COARSE_FROM", 0)
    _, verdict, crossing = attempt(**MOVED["a cell clip"])
    assert not verdict.conforms
    assert crossing is not None
    assert crossing.verdict.conforms


def test_a_case_that_would_take_minutes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.kinks.MAX_MULTIPLICATIONS", 1)
    assert attempt(**MOVED["a cell clip"])[2] is None


def test_elements_that_a_dialect_leaves_unspecified_do_not_count() -> None:
    def solve_with_garbage(problem: Any) -> dict[str, Any]:
        solution = {name: part.close_sum().value.astype(float) for name, part in run(problem, Half.lift).items()}
        return solution | {"output": np.where(problem.mask[..., None], solution["output"], 7.0)}

    options = MOVED["a clip"] | {"seq_len": 2, "lengths": "ragged", "cotangents": ["h_n", "c_n"]}
    _, verdict, crossing = attempt(solve_with_garbage, Dialect(padding="unspecified"), **options)
    assert not verdict.conforms
    assert crossing is not None
    assert crossing.verdict.conforms


def test_the_note_names_the_function_the_rows_and_the_tensors() -> None:
    _, _, crossing = attempt(**MOVED["a clip"])
    assert crossing is not None
    assert crossing.note == (
        "rounding can move 2 arguments of clip across a kink (row 13, 122); without that, the error ratio of "
        "grad.input, grad.h_0, grad.weight_ih_l0, grad.weight_hh_l0, grad.bias_ih_l0, grad.bias_hh_l0 would be 50.8"
    )


@pytest.mark.parametrize("defect", ["h_n-and-c_n-swapped", "first-features-swapped", "grad-through-clip"])
@pytest.mark.parametrize("clip", [{"clip": 0.5}, {"cell_clip": 0.1}], ids=["clip", "cell clip"])
def test_a_mistake_is_not_excused(defect: str, clip: dict[str, Any]) -> None:
    [wrong] = (each for each in CATALOGUE if each.id == defect)
    _, verdict, crossing = attempt(lambda problem: solve(wrong, problem, Dialect()), batch=200, seed=3, **clip)
    assert not verdict.conforms
    assert crossing is None or not crossing.verdict.conforms


def test_tensors_that_conform_after_a_crossing_are_separated_from_those_that_still_deviate() -> None:
    def deviate(problem: Any) -> dict[str, Any]:
        solution = {name: part.close_sum().value.astype(np.float64) for name, part in run(problem, Half.lift).items()}
        return solution | {"output": solution["output"] * 1.02}

    _, verdict, crossing = attempt(deviate, **MOVED["a cell clip"])
    assert crossing is not None
    assert [tensor.name for tensor in crossing.verdict.tensors if not tensor.conforms] == ["output"]
    assert len([tensor for tensor in verdict.tensors if not tensor.conforms]) > 1


@pytest.mark.parametrize(
    "solution",
    [
        pytest.param(lambda _: {}, id="a missing tensor"),
        pytest.param(lambda problem: run(problem) | {"c_n": np.full((1, 20, 2), np.nan)}, id="NaN"),
        pytest.param(lambda problem: run(problem) | {"c_n": np.zeros((1, 20, 2))}, id="a proven deviation"),
    ],
)
def test_other_deviations_are_left_alone(solution: Any) -> None:
    _, verdict, crossing = attempt(solution, clip=0.5)
    assert not verdict.conforms
    assert crossing is None


@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"activations": ["hard_sigmoid", "relu", "relu"]}])
def test_deviations_that_no_crossing_explains_are_left_alone(options: dict[str, Any]) -> None:
    _, verdict, crossing = attempt(fakes.Borderline().solve, input_size=8, hidden_size=16, seq_len=10, **options)
    assert not verdict.conforms
    assert not verdict.proven
    assert crossing is None
