"""Verifies derivatives along a direction by complex step, 50-digit differences and symmetry, and their budget."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, budget
from reference.dual import Dual
from tests.reference import oracles
from tests.reference.problems import CASES, loss, relative_deviation, run, small_problem
from tests.reference.variants import CORRECT_VARIANTS, Tf32

TOLERANCE = 1e-14
DERIVATIVES = ("output", "h_n", "c_n", "gradients", "jvp", "hvp")


def directed(name: str, **options: Any) -> Problem:
    return small_problem(name, check=DERIVATIVES, **options)


def moved(problem: Problem, *steps: tuple[Any, Mapping[str, Any]]) -> Problem:
    """Returns the problem with its arrays moved by steps along directions, without a direction of its own."""

    def move(arrays: Mapping[str, Any]) -> dict[str, Any]:
        kind = complex if isinstance(steps[0][0], complex) else object
        return {
            name: array.astype(kind) + sum(step * along[name].astype(kind) for step, along in steps)
            for name, array in arrays.items()
        }

    return replace(
        problem,
        case=problem.case.model_copy(update={"check": DERIVATIVES[:4]}),
        parameters=move(problem.parameters),
        input=move({"input": problem.input})["input"],
        initial_state=problem.initial_state and move(problem.initial_state),
        tangents={},
    )


@pytest.mark.parametrize("name", CASES)
def test_derivatives_equal_the_complex_step_derivatives_of_results_and_gradients(name: str) -> None:
    problem = directed(name)
    got = run(problem)
    stepped = run(moved(problem, (1e-200j, problem.tangents)), lift=lambda array: np.asarray(array, complex))
    for tensor, array in stepped.items():
        derivative = f"hvp.{tensor.removeprefix('grad.')}" if tensor.startswith("grad.") else f"jvp.{tensor}"
        assert relative_deviation(got[derivative], array.imag / 1e-200) <= TOLERANCE, derivative
        assert relative_deviation(got[tensor], array.real) <= TOLERANCE, tensor


@pytest.mark.parametrize("name", ["coupled", "ragged"])
def test_derivatives_equal_differences_in_50_digits(name: str) -> None:
    mp.dps = 50
    problem, other = directed(name), make_problem(directed(name).case, draw=1).tangents
    got, step = run(problem), mpf(10) ** -15

    def outputs(*signs: int) -> dict[str, Any]:
        steps = zip((step * sign for sign in signs), (problem.tangents, other), strict=False)
        return oracles.scalar_forward(moved(problem, *steps))

    results = {signs: outputs(*signs) for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))}
    ahead, behind = outputs(1), outputs(-1)
    for tensor in ("output", "h_n", "c_n"):
        expected = (ahead[tensor] - behind[tensor]) / (2 * step)
        assert relative_deviation(got[f"jvp.{tensor}"], expected) <= TOLERANCE, tensor
    difference = sum(signs[0] * signs[1] * loss(problem, found) for signs, found in results.items())
    product = sum(np.sum(got[f"hvp.{tensor}"] * along) for tensor, along in other.items())
    assert float(product) == pytest.approx(float(difference / (4 * step**2)), rel=1e-12)


@pytest.mark.parametrize("name", ["two-layers-bidirectional", "projection", "all-options", "dropout"])
def test_the_hessian_is_symmetric(name: str) -> None:
    problem = directed(name)
    other = replace(problem, tangents=make_problem(problem.case, draw=1).tangents)
    first, second = run(problem), run(other)

    def product(results: dict[str, Any], direction: Mapping[str, Any]) -> float:
        return sum(float(np.sum(results[f"hvp.{name}"] * along)) for name, along in direction.items())

    assert product(first, other.tangents) == pytest.approx(product(second, problem.tangents), rel=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"input_size": 4, "hidden_size": 5, "seq_len": 7},
        {"input_size": 24, "hidden_size": 32, "seq_len": 5},
        {"input_size": 4, "hidden_size": 6, "seq_len": 20},
        {"num_layers": 2, "direction": "bidirectional", "lengths": [2, 4, 1]},
    ],
    ids=str,
)
def test_correct_float32_runs_stay_below_half_of_the_budget(options: dict[str, Any]) -> None:
    problem = directed("one-layer", dtype="float32", **options)
    values = run(problem)
    found = budget(lambda lift: run(problem, lift), values, PROFILES["float32"])
    derivatives = [name for name in values if name.startswith(("jvp.", "hvp."))]

    def largest(variant: Any) -> float:
        numbers = run(problem, variant.lift)
        for name in derivatives:
            exact = found.budget[name] == 0
            assert not (numbers[name].value != values[name])[exact].any(), name
        ratios = {n: np.abs(numbers[n].value - values[n]) / np.maximum(found.budget[n], 1e-300) for n in derivatives}
        return max(float(ratio.max()) for ratio in ratios.values())

    assert max(map(largest, CORRECT_VARIANTS)) < 0.5
    assert largest(Tf32) > 1


def test_a_constant_has_a_derivative_of_zero() -> None:
    constant = Dual(np.ones((2, 3)))
    assert constant.tangent is None
    assert not constant.derivative.any()
    joined: Any = np.concatenate([constant, Dual(np.ones((2, 1)), np.ones((2, 1)))], axis=-1)
    assert joined.derivative.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1]]


def test_an_operation_without_a_rule_raises() -> None:
    with pytest.raises(TypeError, match="exp"):
        np.exp(Dual(np.ones(2), np.ones(2)))
