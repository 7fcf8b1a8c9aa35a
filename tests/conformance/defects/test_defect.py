"""Each field of a defect changes what it should, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE, nan, precision, thresholds
from conformance.defects.catalogue.tensors import first_layer, read_parameters
from conformance.defects.defect import NOTHING, Arrays, Defect
from conformance.defects.solve import solve
from conformance.defects.wiring import Wiring
from conformance.verdict.oracle import solve as solve_correctly
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect
from reference.layer import Time
from tests.conformance.defects.problems import OPTION_DEFECTS

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
    "unbatched": {"batch": "unbatched", "direction": "bidirectional", "graph": "parallel"},
    "sizes per direction": {"direction": "bidirectional", "num_layers": 2, "reverse_hidden_size": 3},
    "empty rows": {"lengths": (0, 5, 2)},
    "built": {"num_layers": 2, "built_seq_len": 2, "built_batch": 2, "saved": True, "memory": "strided"},
    "one given state": {"initial_state": "h_0-given"},
    "earlier calls": {
        "num_layers": 2, "dropout": 0.5, "mode": "train", "initial_state": "omitted",
        "earlier_calls": ("shorter", "fewer-rows", "other-mode", "other-weights"),
    },
    "rows alone": {"initial_state": "omitted", "batching": "alone"},
    "broadcast": {"memory": "expanded", "batching": "permuted"},
    "aliased": {"memory": "aliased", "graph": "twice"},
}  # fmt: skip
NO_DEFECT = Defect(id="none", what="")
BACKWARD = {"cotangents", "gradients", "backward_masks", "saved"}
DERIVATIVES = {"tangents", "saved_tangents", "derivatives"}
NOT_DIFFERENTIATED = {*BACKWARD, *DERIVATIVES, "gradients_as_read", "results", "cell", "cells", "mask", "lift"}
FIELDS = {field.name for field in fields(Defect)} - {
    "id", "what", "represents", "requires", "size", "with_size", "equivalent",
}  # fmt: skip


def case(**options: Any) -> Case:
    small = {"input_size": 4, "hidden_size": 4, "seq_len": 5, "batch": 3, "dtype": "float64", "padding": "random"}
    return Case(**{**small, **options})


def fields_set_in(defect: Defect) -> set[str]:
    return {name for name in FIELDS if getattr(defect, name) is not getattr(NO_DEFECT, name)}


def problems_for(defect: Defect) -> list[Problem]:
    return [make_problem(each) for options in CASES.values() if defect.requires(each := case(**options))]


def outputs_of(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: array for name, array in tensors.items() if not name.startswith("grad.")}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("dialect", [Dialect(), Dialect("repeat", "zero")], ids=["zero", "repeat"])
def test_solving_without_a_defect_gives_the_solution_of_the_reference(
    options: dict[str, Any], dialect: Dialect
) -> None:
    for check in (("output", "h_n", "c_n", "gradients"), ("c_n",)):
        problem = make_problem(case(**options, padding="nan", check=check))
        expected, actual = solve_correctly(problem, dialect), solve(NO_DEFECT, problem, dialect)
        assert {name: array.shape for name, array in actual.items()} == problem.expected_shapes()
        for name, array in actual.items():
            np.testing.assert_array_equal(array, expected[name])


# --------------------------------------------------------------------------- rewiring


def test_backward_is_the_adjoint_of_forward() -> None:
    random = np.random.default_rng(0)
    shapes = {"a": (3, 4), "b": (5,), "c": (2, 1, 2)}

    def random_elements(numbers: Arrays, _: Case) -> Arrays:
        last = max(array.max() for array in numbers.values())
        read = {name: random.integers(0, last + 1, numbers[name].shape) for name in ("a", "c")}
        read["c"][0] = NOTHING
        return read

    def draw() -> Arrays:
        return {name: random.normal(size=shape) for name, shape in shapes.items()}

    x, y = draw(), draw()
    wiring = Wiring.of(random_elements, x, case())
    np.testing.assert_array_equal(wiring.forward(x)["b"], x["b"])

    def product(one: Arrays, other: Arrays) -> float:
        return sum(float((one[name] * other[name]).sum()) for name in shapes)

    assert product(wiring.forward(x), y) == pytest.approx(product(x, wiring.backward(y)), rel=1e-12)


def test_nothing_reads_as_zero_and_has_no_gradient() -> None:
    defect = replace(NO_DEFECT, reads=lambda numbers, _: {"input": np.full_like(numbers["input"], NOTHING)})
    problem = make_problem(case())
    zeroed = replace(problem, input=np.zeros_like(problem.input))
    actual, expected = solve(defect, problem, Dialect()), solve_correctly(zeroed, Dialect())
    np.testing.assert_array_equal(actual["output"], expected["output"])
    assert not actual["grad.input"].any()
    assert expected["grad.input"].any()


def test_a_rewiring_that_changes_a_shape_is_an_error() -> None:
    defect = replace(NO_DEFECT, reads=lambda numbers, _: {"input": numbers["input"][1:]})
    with pytest.raises(ValueError, match=r"input: a rewiring must keep the shape \(5, 3, 4\), got \(4, 3, 4\)"):
        solve(defect, make_problem(case()), Dialect())


# --------------------------------------------------------------------------- gradients


def directional_derivative(defect: Defect, problem: Problem, towards: Mapping[str, Any]) -> float:
    """Returns the derivative of Σ ⟨cotangent, output⟩ in a direction, by fourth-order central differences."""

    def loss(step: float) -> float:
        def moved(tensors: Mapping[str, Any]) -> dict[str, Any]:
            return {name: array + step * towards[name] for name, array in tensors.items()}

        state = problem.initial_state and moved(problem.initial_state)
        shifted = replace(
            problem,
            parameters=moved(problem.parameters),
            input=problem.input + step * towards["input"],
            initial_state=state,
        )
        outputs = solve(defect, shifted, Dialect())
        return sum(float((problem.cotangents[name] * array).sum()) for name, array in outputs_of(outputs).items())

    h = 1e-3
    return (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h)


# The weights of an earlier call are a copy, with gradients of its own.
NOT_DERIVATIVES = {"dropout-of-all-is-nan", "weights-of-earlier-call", *(defect.id for defect in precision.DEFECTS)}
# These need cases with options, see ``test_option_defects``, with NaN, or with larger sizes, see ``test_thresholds``.
TESTED_ELSEWHERE = {defect.id for defect in (*OPTION_DEFECTS, *nan.DEFECTS, *thresholds.DEFECTS)}
DIFFERENTIATED = [
    defect
    for defect in CATALOGUE
    if not fields_set_in(defect) & NOT_DIFFERENTIATED and defect.id not in NOT_DERIVATIVES | TESTED_ELSEWHERE
]


@pytest.mark.parametrize("defect", DIFFERENTIATED, ids=lambda defect: defect.id)
def test_gradients_match_finite_differences_of_the_defective_outputs(defect: Defect) -> None:
    random, problems = np.random.default_rng(1), problems_for(defect)
    for problem in (problems[0], problems[-1]):
        solution = solve(defect, problem, Dialect())
        gradients = {name[5:]: array for name, array in solution.items() if name.startswith("grad.")}
        towards = {name: random.normal(size=array.shape) for name, array in gradients.items()}
        expected = sum(float((gradients[name] * towards[name]).sum()) for name in towards)
        assert directional_derivative(defect, problem, towards) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_every_differentiable_field_is_tested_by_finite_differences() -> None:
    used = set().union(*map(fields_set_in, DIFFERENTIATED))
    assert used == FIELDS - NOT_DIFFERENTIATED


# --------------------------------------------------------------------------- one field at a time


def double(names: str) -> Callable[[Arrays, Case], Arrays]:
    return lambda tensors, _: {name: a * (1 + name.startswith(names)) for name, a in tensors.items()}


@pytest.mark.parametrize(
    "change",
    [
        {"cotangents": double("h_n")},
        {"gradients": double("bias")},
        {"backward_masks": lambda *_: {}},
        {"saved": lambda one, _: one._replace(c=2 * one.c)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_wrong_backward_pass_leaves_outputs_unchanged(change: dict[str, Any]) -> None:
    problem = make_problem(case(num_layers=2, dropout=0.5, mode="train"))
    expected, actual = solve_correctly(problem, Dialect()), solve(replace(NO_DEFECT, **change), problem, Dialect())
    for name, array in outputs_of(actual).items():
        np.testing.assert_array_equal(array, expected[name])
    assert any((array != expected[name]).any() for name, array in actual.items())


def test_gradients_do_not_follow_changed_results() -> None:
    problem = make_problem(case())
    actual = solve(replace(NO_DEFECT, results=double("c_n")), problem, Dialect())
    expected = solve_correctly(problem, Dialect())
    assert [name for name, array in actual.items() if (array != expected[name]).any()] == ["c_n"]
    np.testing.assert_array_equal(actual["c_n"], 2 * expected["c_n"])


def test_gradients_follow_scales_but_not_shifts() -> None:
    problem = make_problem(case())
    scaled = solve(replace(NO_DEFECT, scales=double("input")), problem, Dialect())
    twice = solve_correctly(replace(problem, input=2 * problem.input), Dialect())
    np.testing.assert_array_equal(scaled["output"], twice["output"])
    np.testing.assert_array_equal(scaled["grad.input"], 2 * twice["grad.input"])
    shifted = solve(replace(NO_DEFECT, shifts=double("input")), problem, Dialect())
    np.testing.assert_array_equal(shifted["grad.input"], twice["grad.input"])


def test_a_wrong_loader_leaves_the_gradients_of_copies_apart() -> None:
    problem = make_problem(case(num_layers=3))
    loader = replace(NO_DEFECT, reads=read_parameters("weight_hh", source=first_layer), gradients_as_read=True)
    actual = solve(loader, problem, Dialect())
    first = problem.parameters["weight_hh_l0"]
    loaded = {name: first if name.startswith("weight_hh") else array for name, array in problem.parameters.items()}
    expected = solve_correctly(replace(problem, parameters=loaded), Dialect())
    for name, array in actual.items():
        np.testing.assert_array_equal(array, expected[name], name)


def test_an_omitted_initial_state_can_be_shifted_and_has_no_gradient() -> None:
    problem = make_problem(case(initial_state="omitted", hidden_size=(4, 3)))
    started = make_problem(case(initial_state="zero", hidden_size=(4, 3)))
    defect = replace(NO_DEFECT, shifts=lambda read, _: {n: a + n.startswith("c_0") for n, a in read.items()})
    actual = solve(defect, problem, Dialect())
    state = {name: np.full_like(array, name[0] == "c") for name, array in (started.initial_state or {}).items()}
    expected = solve_correctly(replace(problem, initial_state=state), Dialect())
    assert actual.keys() == problem.expected_shapes().keys()
    np.testing.assert_array_equal(actual["output"], expected["output"])


def test_lengths_masks_dialect_and_clock_are_passed_to_the_reference() -> None:
    problem = make_problem(case(lengths=(3, 5, 1), num_layers=2, dropout=0.5, mode="train", direction="reverse"))
    half = {"l0": 0.5 * problem.dropout_masks["l0"]}
    defect = replace(
        NO_DEFECT,
        lengths=lambda lengths, _: lengths[::-1],
        dropout_masks=lambda masks, _: {"l0": 0.5 * masks["l0"]},
        dialect=lambda dialect: replace(dialect, padding="repeat"),
        clock=lambda steps, _: Time(steps, ""),
    )
    actual = solve(defect, problem, Dialect())
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
        np.testing.assert_array_equal(actual[name], array)


def test_nan_in_padding_that_is_read_reaches_the_results() -> None:
    defect = replace(NO_DEFECT, lengths=lambda lengths, case: np.full_like(lengths, case.seq_len))
    actual = solve(defect, make_problem(case(lengths=(3, 5, 1), padding="nan")), Dialect())
    assert np.isnan(actual["h_n"][0, 0]).all()
    assert np.isfinite(actual["h_n"][0, 1]).all()
    assert np.isnan(actual["grad.weight_ih_l0"]).any()
