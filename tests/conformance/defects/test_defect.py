"""What a defect changes, and that everything else stays right."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE, nan, precision
from conformance.defects.defect import NOTHING, Arrays, Defect, Wiring, solve
from conformance.verdict.oracle import solve as solve_right
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect
from reference.layer import Time
from tests.conformance.defects.problems import OF_OPTIONS

STACKED: dict[str, Any] = {"num_layers": 2, "direction": "bidirectional"}
CASES: dict[str, dict[str, Any]] = {
    "plain": {"lengths": (3, 5, 1)},
    "stacked": STACKED,
    "three layers": {"num_layers": 3},
    "sizes per layer": {"hidden_size": (4, 3)},
    "reverse": {"direction": "reverse", "lengths": (3, 5, 2)},
    "projection": {**STACKED, "hidden_size": 5, "proj_size": 3},
    "dropout": {**STACKED, "num_layers": 3, "dropout": 0.25, "mode": "train"},
    "dropout in inference": {**STACKED, "dropout": 0.5},
    "dropout of all": {**STACKED, "dropout": 1.0, "mode": "train"},
    "omitted": {"initial_state": "omitted", "batch_first": True},
    "zero": {"initial_state": "zero"},
    "unbatched": {"batch": "unbatched", "direction": "bidirectional"},
    "empty rows": {"lengths": (0, 5, 2)},
}
PLAIN = Defect(id="none", what="")
BACKWARD = {"cotangents", "gradients", "masks_back", "recalls"}
NOT_DIFFERENTIATED = {*BACKWARD, "results", "cell", "cells", "mask", "lift"}
CHANGED = {field.name for field in fields(Defect)} - {
    "id", "what", "stands_for", "applies", "size", "sized", "equivalent",
}  # fmt: skip


def case(**options: Any) -> Case:
    small = {"input_size": 4, "hidden_size": 4, "seq_len": 5, "batch": 3, "dtype": "float64", "padding": "random"}
    return Case(**{**small, **options})


def mechanisms(defect: Defect) -> set[str]:
    return {name for name in CHANGED if getattr(defect, name) is not getattr(PLAIN, name)}


def problems_for(defect: Defect) -> list[Problem]:
    return [make_problem(each) for options in CASES.values() if defect.applies(each := case(**options))]


def outputs_of(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in tensors.items() if not name.startswith("grad.")}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("dialect", [Dialect(), Dialect("repeat", "zero")], ids=["zero", "repeat"])
def test_without_a_defect_it_is_the_reference(options: dict[str, Any], dialect: Dialect) -> None:
    for check in (("output", "h_n", "c_n", "gradients"), ("c_n",)):
        problem = make_problem(case(**options, padding="nan", check=check))
        right, got = solve_right(problem, dialect), solve(PLAIN, problem, dialect)
        assert {name: array.shape for name, array in got.items()} == problem.expected_shapes()
        for name, array in got.items():
            np.testing.assert_array_equal(array, right[name])


# --------------------------------------------------------------------------- reading in the wrong place


def test_the_adjoint_of_reading_in_the_wrong_place() -> None:
    random = np.random.default_rng(0)
    shapes = {"a": (3, 4), "b": (5,), "c": (2, 1, 2)}

    def anything(numbers: Arrays, _: Case) -> Arrays:
        last = max(array.max() for array in numbers.values())
        read = {name: random.integers(0, last + 1, numbers[name].shape) for name in ("a", "c")}
        read["c"][0] = NOTHING
        return read

    def draw() -> Arrays:
        return {name: random.normal(size=shape) for name, shape in shapes.items()}

    x, y = draw(), draw()
    wiring = Wiring.of(anything, x, case())
    np.testing.assert_array_equal(wiring.forth(x)["b"], x["b"])

    def product(one: Arrays, other: Arrays) -> float:
        return sum(float((one[name] * other[name]).sum()) for name in shapes)

    assert product(wiring.forth(x), y) == pytest.approx(product(x, wiring.back(y)), rel=1e-12)


def test_nothing_reads_as_zero_and_gets_no_gradient() -> None:
    defect = replace(PLAIN, reads=lambda numbers, _: {"input": np.full_like(numbers["input"], NOTHING)})
    problem = make_problem(case())
    silent = replace(problem, input=np.zeros_like(problem.input))
    got, expected = solve(defect, problem, Dialect()), solve_right(silent, Dialect())
    np.testing.assert_array_equal(got["output"], expected["output"])
    assert not got["grad.input"].any()
    assert expected["grad.input"].any()


def test_a_rewiring_keeps_shapes() -> None:
    defect = replace(PLAIN, reads=lambda numbers, _: {"input": numbers["input"][1:]})
    with pytest.raises(ValueError, match=r"input has shape \(5, 3, 4\), it is rewired to \(4, 3, 4\)"):
        solve(defect, make_problem(case()), Dialect())


# --------------------------------------------------------------------------- gradients of what was computed


def slope(defect: Defect, problem: Problem, towards: Mapping[str, Any]) -> float:
    """The derivative of Σ ⟨cotangent, output⟩ in a direction, by central differences of fourth order."""

    def loss(step: float) -> float:
        def moved(tensors: Mapping[str, Any]) -> dict[str, Any]:
            return {name: array + step * towards[name] for name, array in tensors.items()}

        state = problem.initial_state and moved(problem.initial_state)
        there = replace(
            problem,
            parameters=moved(problem.parameters),
            input=problem.input + step * towards["input"],
            initial_state=state,
        )
        outputs = solve(defect, there, Dialect())
        return sum(float((problem.cotangents[name] * array).sum()) for name, array in outputs_of(outputs).items())

    h = 1e-3
    return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)


NOT_SMOOTH = {"dropout-of-all-is-nan", *(defect.id for defect in precision.DEFECTS)}
# ``test_option_defects`` has problems with options for them.
ELSEWHERE = {defect.id for defect in (*OF_OPTIONS, *nan.DEFECTS)}
DIFFERENTIATED = [
    defect
    for defect in CATALOGUE
    if not mechanisms(defect) & NOT_DIFFERENTIATED and defect.id not in NOT_SMOOTH | ELSEWHERE
]


@pytest.mark.parametrize("defect", DIFFERENTIATED, ids=lambda defect: defect.id)
def test_gradients_are_those_of_what_a_wrong_lstm_computes(defect: Defect) -> None:
    random, problems = np.random.default_rng(1), problems_for(defect)
    for problem in (problems[0], problems[-1]):
        solution = solve(defect, problem, Dialect())
        gradients = {name[5:]: array for name, array in solution.items() if name.startswith("grad.")}
        towards = {name: random.normal(size=array.shape) for name, array in gradients.items()}
        expected = sum(float((gradients[name] * towards[name]).sum()) for name in towards)
        assert slope(defect, problem, towards) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_every_mechanism_of_the_forward_pass_is_among_them() -> None:
    used = set().union(*map(mechanisms, DIFFERENTIATED))
    assert used == CHANGED - NOT_DIFFERENTIATED


# --------------------------------------------------------------------------- one mechanism at a time


def double(names: str) -> Callable[[Arrays, Case], Arrays]:
    return lambda tensors, _: {name: a * (1 + name.startswith(names)) for name, a in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [
        {"cotangents": double("h_n")},
        {"gradients": double("bias")},
        {"masks_back": lambda *_: {}},
        {"recalls": lambda one, _: one._replace(c=2 * one.c)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_way_back_leaves_results_right(change: dict[str, Any]) -> None:
    problem = make_problem(case(num_layers=2, dropout=0.5, mode="train"))
    right, got = solve_right(problem, Dialect()), solve(replace(PLAIN, **change), problem, Dialect())
    for name, array in outputs_of(got).items():
        np.testing.assert_array_equal(array, right[name])
    assert any((array != right[name]).any() for name, array in got.items())


def test_results_change_and_gradients_do_not_follow() -> None:
    problem = make_problem(case())
    got = solve(replace(PLAIN, results=double("c_n")), problem, Dialect())
    right = solve_right(problem, Dialect())
    assert [name for name, array in got.items() if (array != right[name]).any()] == ["c_n"]
    np.testing.assert_array_equal(got["c_n"], 2 * right["c_n"])


def test_scaled_gradients_follow_and_shifted_ones_do_not() -> None:
    problem = make_problem(case())
    scaled = solve(replace(PLAIN, scales=double("input")), problem, Dialect())
    twice = solve_right(replace(problem, input=2 * problem.input), Dialect())
    np.testing.assert_array_equal(scaled["output"], twice["output"])
    np.testing.assert_array_equal(scaled["grad.input"], 2 * twice["grad.input"])
    shifted = solve(replace(PLAIN, shifts=double("input")), problem, Dialect())
    np.testing.assert_array_equal(shifted["grad.input"], twice["grad.input"])


def test_an_omitted_state_is_there_to_be_changed_and_has_no_gradient() -> None:
    problem = make_problem(case(initial_state="omitted", hidden_size=(4, 3)))
    started = make_problem(case(initial_state="zero", hidden_size=(4, 3)))
    defect = replace(PLAIN, shifts=lambda read, _: {n: a + n.startswith("c_0") for n, a in read.items()})
    got = solve(defect, problem, Dialect())
    state = {name: np.full_like(array, name[0] == "c") for name, array in (started.initial_state or {}).items()}
    right = solve_right(replace(problem, initial_state=state), Dialect())
    assert got.keys() == problem.expected_shapes().keys()
    np.testing.assert_array_equal(got["output"], right["output"])


def test_lengths_masks_dialect_and_clock_reach_the_network() -> None:
    problem = make_problem(case(lengths=(3, 5, 1), num_layers=2, dropout=0.5, mode="train", direction="reverse"))
    half = {"l0": 0.5 * problem.dropout_masks["l0"]}
    defect = replace(
        PLAIN,
        lengths=lambda lengths, _: lengths[::-1],
        masks=lambda masks, _: {"l0": 0.5 * masks["l0"]},
        dialect=lambda dialect: replace(dialect, padding="repeat"),
        clock=lambda steps, _: Time(steps, ""),
    )
    got = solve(defect, problem, Dialect())
    forward = {name.removesuffix("_reverse"): array for name, array in problem.parameters.items()}
    trace = reference.forward(
        replace(problem.case.model, direction="forward"),
        forward,
        problem.input,
        problem.initial_state,
        lengths=[1, 5, 3],
        dropout_masks=half,
        dialect=Dialect("repeat"),
    )
    for name, array in trace.outputs.items():
        np.testing.assert_array_equal(got[name], array)


def test_garbage_that_is_read_shows() -> None:
    defect = replace(PLAIN, lengths=lambda lengths, case: np.full_like(lengths, case.seq_len))
    got = solve(defect, make_problem(case(lengths=(3, 5, 1), padding="nan")), Dialect())
    assert np.isnan(got["h_n"][0, 0]).all()
    assert np.isfinite(got["h_n"][0, 1]).all()
    assert np.isnan(got["grad.weight_ih_l0"]).any()
