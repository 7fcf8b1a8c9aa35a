"""Diagnosis names the cause of a failure, names no wrong cause, and names none for a conforming solution."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.compose import compose, with_gradients_as_read
from conformance.defects.diagnosis.diagnose import Diagnosis, diagnose, rounds_only_as
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.defects.solve import solve
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect
from reference.activations import tanh
from reference.cell import Cell

BY_ID = {defect.id: defect for defect in CATALOGUE}
IOFG = BY_ID["gates-read-iofg"]
NO_GRADIENT_OF_H_N = BY_ID["grad-ignores-h_n"]
ORACLE = Oracle(None)
"""Keeps the last expectation, so that it is not computed for each defect of a problem."""


@pytest.fixture(autouse=True)
def _generous_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes diagnoses independent of the machine's speed."""
    monkeypatch.setattr("conformance.defects.diagnosis.diagnose.MAX_CPU_SECONDS", 60.0)


def make_case(**options: Any) -> Case:
    values = {"input_size": 3, "hidden_size": 4, "num_layers": 2, "seq_len": 4, "batch": 3}
    return Case.model_validate(values | options)


def expect(problem: Problem) -> Expectation:
    return ORACLE.expect(problem, PROFILES[problem.case.dtype], Dialect())


def observed(defect: Defect, problem: Problem) -> dict[str, Any]:
    """Returns the solution of an implementation that has a defect and computes in float32."""
    if defect.lift is reference.float64:
        defect = replace(defect, lift=lambda array: np.asarray(array, np.float32))
    return {name: np.asarray(array, np.float32) for name, array in solve(defect, problem, Dialect()).items()}


def explain(
    problem: Problem, solution: Mapping[str, Any], catalogue: Sequence[Defect] = CATALOGUE, **options: Any
) -> Diagnosis:
    found = diagnose(JudgedSolution(problem, solution, expect(problem), Dialect()), catalogue, **options)
    assert found is not None
    return found


def ids(diagnosis: Diagnosis) -> list[str]:
    return [cause.defect.id for cause in diagnosis.causes]


def tanh_off(size: float) -> Defect:
    activation = replace(tanh, value=lambda z: np.tanh(z) + size * np.sin(z))
    cell = Cell(candidate=activation, cell_state=activation)
    return Defect(
        f"tanh-off-{size:.1e}", f"whose tanh is off by {size:g}", cell=lambda _: cell, size=size, with_size=tanh_off
    )


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "bidirectional", "lengths": "ragged", "num_layers": 1},
        {"proj_size": 2, "batch_first": True, "hidden_size": 5},
    ],
    ids=["ragged", "projected"],
)
def test_diagnosis_names_the_defect(options: dict[str, Any]) -> None:
    problem = make_problem(make_case(**options), draw=5)
    ratios = error_ratios(problem, expect(problem), Dialect(), CATALOGUE)
    # Rounding can hide defects that are only just detected.
    chosen = [
        defect
        for defect in CATALOGUE[::12]
        if ratios.get(defect.id, 0.0) > 2 * DETECTED_ABOVE and not defect.equivalent
    ]
    missed = [d.id for d in chosen if d.id not in ids(explain(problem, observed(d, problem), pairs=False))]
    assert len(chosen) > 10
    assert not missed


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_diagnosis_describes_wrong_gates_in_every_dtype(dtype: str) -> None:
    problem = make_problem(make_case(dtype=dtype))
    found = explain(problem, observed(IOFG, problem) if dtype != "float64" else solve(IOFG, problem, Dialect()))
    assert ids(found) == ["gates-read-iofg"]
    assert str(found).startswith(
        "behaves exactly like an LSTM whose gates are read i, o, f, g (14 of 14 tensors within "
    )


def test_diagnosis_recognises_a_loader_that_leaves_gradients_as_read() -> None:
    problem = make_problem(make_case())
    variant = with_gradients_as_read(IOFG)
    assert variant is not None
    found = explain(problem, observed(variant, problem))
    assert ids(found) == [variant.id]
    assert "with gradients left as they were read" in str(found)
    assert with_gradients_as_read(NO_GRADIENT_OF_H_N) is None


def test_a_loader_that_copies_leaves_the_gradient_of_each_copy() -> None:
    problem = make_problem(make_case())
    copies = BY_ID["weight_hh-of-first-layer-in-all"]
    variant = with_gradients_as_read(copies)
    assert variant is not None
    # Each layer has its own weights, which are equal.
    loaded = replace(
        problem, parameters={**problem.parameters, "weight_hh_l1": np.array(problem.parameters["weight_hh_l0"])}
    )
    solution = {name: np.asarray(array, np.float32) for name, array in expect(loaded).values.items()}
    assert ids(explain(problem, solution, pairs=False)) == [variant.id]


def test_nothing_is_exact_and_no_pair_is_tried_under_a_wide_profile() -> None:
    problem = make_problem(make_case())
    both = compose(IOFG, NO_GRADIENT_OF_H_N)
    assert both is not None
    assert not explain(problem, observed(both, problem), exact=False).causes
    found = explain(problem, observed(IOFG, problem), exact=False)
    assert str(found).startswith("behaves within its declared rounding like an LSTM whose gates are read i, o, f, g")
    assert not rounds_only_as(PROFILES["tf32"], "float32")
    assert rounds_only_as(PROFILES["float32"], "float32")


def test_diagnosis_finds_two_defects_at_once() -> None:
    problem = make_problem(make_case())
    both = compose(IOFG, NO_GRADIENT_OF_H_N)
    assert both is not None
    found = explain(problem, observed(both, problem))
    assert ids(found) == [both.id]
    assert "whose gates are read i, o, f, g, and whose gradient ignores" in str(found)
    assert not explain(problem, observed(both, problem), pairs=False).causes


def test_reads_compose_in_order_and_independent_defects_compose_once() -> None:
    problem = make_problem(make_case())
    first, second = IOFG, BY_ID["gates-read-fgio"]
    pair, reversed_pair = compose(first, second), compose(second, first)
    assert pair is not None
    assert reversed_pair is not None
    assert ids(explain(problem, observed(pair, problem))) != ids(explain(problem, observed(reversed_pair, problem)))
    both_ways = [compose(IOFG, NO_GRADIENT_OF_H_N), compose(NO_GRADIENT_OF_H_N, IOFG)]
    assert both_ways.count(None) == 1, "if the order does not matter, there is only one pair"
    assert compose(tanh_off(1e-4), tanh_off(1e-3)) is None


def test_indistinguishable_defects_are_named_together() -> None:
    problem = make_problem(make_case())
    twin = replace(IOFG, id="twin", what="which is its twin")
    found = explain(problem, observed(IOFG, problem), [twin, BY_ID["gates-read-igfo"], IOFG])
    assert sorted(ids(found)) == ["gates-read-iofg", "twin"]
    assert all(cause.like_best for cause in found.causes)
    assert ", or, with the same results here, one wh" in str(found)


def test_diagnosis_finds_a_defect_with_another_size() -> None:
    problem = make_problem(make_case())
    found = explain(problem, observed(tanh_off(3.3e-3), problem), [tanh_off(1e-4)])
    assert ids(found) == ["tanh-off-3.3e-03"]


def test_suspects_are_tried_first() -> None:
    problem = make_problem(make_case())
    twin = replace(IOFG, id="twin")
    assert ids(explain(problem, observed(IOFG, problem), suspects=[twin])) == ["twin"]
    assert ids(explain(problem, observed(IOFG, problem), suspects=[NO_GRADIENT_OF_H_N])) == [IOFG.id]


def test_a_conforming_solution_has_no_diagnosis() -> None:
    problem = make_problem(make_case())
    expectation = expect(problem)
    solution = {name: value + 0.9 * expectation.budget[name] for name, value in expectation.values.items()}
    assert diagnose(JudgedSolution(problem, solution, expectation, Dialect()), CATALOGUE) is None


@pytest.mark.parametrize("size", [1.5, 3.0, 20.0])
def test_noise_has_no_cause(size: float) -> None:
    problem = make_problem(make_case())
    expectation = expect(problem)
    draw = np.random.default_rng(0)
    solution = {
        name: value + size * expectation.budget[name] * draw.uniform(-1, 1, value.shape)
        for name, value in expectation.values.items()
    }
    found = diagnose(JudgedSolution(problem, solution, expectation, Dialect()), CATALOGUE, pairs=False)
    assert found is not None
    assert not found.causes
    assert str(found) == "unexplained: no known defect behaves like this"


def test_tensors_that_are_missing_or_have_a_wrong_shape_are_left_out() -> None:
    problem = make_problem(make_case())
    solution = observed(IOFG, problem)
    del solution["c_n"]
    found = explain(problem, solution | {"h_n": np.moveaxis(solution["h_n"], 0, 1)})
    assert ids(found) == ["gates-read-iofg"]
    assert "(12 of 14 tensors" in str(found)


def test_gradients_alone_are_diagnosed_if_all_outputs_are_missing() -> None:
    problem = make_problem(make_case())
    solution = {name: array for name, array in observed(IOFG, problem).items() if name.startswith("grad.")}
    found = explain(problem, solution)
    assert IOFG.id in ids(found)
    assert "(11 of 14 tensors" in str(found)


def test_a_solution_without_comparable_tensors_has_no_diagnosis() -> None:
    problem = make_problem(make_case())
    assert diagnose(JudgedSolution(problem, {}, expect(problem), Dialect()), CATALOGUE) is None


def test_nan_is_explained_by_a_defect_with_nan_in_the_same_places() -> None:
    problem = make_problem(make_case(lengths="ragged", padding="nan"))
    reads_padding = Defect("reads-all", "which reads padding", lengths=lambda lengths, case: lengths * 0 + case.seq_len)
    with np.errstate(all="ignore"):
        solution = observed(reads_padding, problem)
    assert not np.isfinite(solution["h_n"]).all()
    assert ids(explain(problem, solution, [reads_padding], pairs=False)) == ["reads-all"]
    everywhere = {name: np.full_like(array, np.nan) for name, array in solution.items()}
    assert not explain(problem, everywhere, [reads_padding], pairs=False).causes
