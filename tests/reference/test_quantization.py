"""Weights of 8 bits, and the budget of data of 8 bits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.verdict.problem import Problem
from reference import PROFILES, Profile, quantize_weights
from tests.reference.problems import small_problem
from tests.reference.test_rounding import SHAPES, budget_of, error_ratio, numbers
from tests.reference.variants import Int8, Single

PER_TENSOR = PROFILES["int8-dynamic"]
PER_CHANNEL = replace(PER_TENSOR, per_channel=True)
FORWARD = ("output", "h_n", "c_n")


def problem_of(shape: str, profile: Profile, uneven: bool = False) -> Problem:
    """Returns a problem with quantized weights. If uneven, those of every other row are 64 times as small."""
    options: dict[str, Any] = SHAPES[shape]
    problem = small_problem("one-layer", dtype="float32", check=FORWARD, **options)
    parameters = dict(problem.parameters)
    if uneven:
        for name in parameters:
            if name.startswith("weight"):
                parameters[name] = parameters[name] * np.where(np.arange(len(parameters[name])) % 2, 1, 1 / 64)[:, None]
    return replace(problem, parameters=quantize_weights(parameters, profile))


@pytest.mark.parametrize("profile", [PER_TENSOR, PER_CHANNEL, replace(PER_TENSOR, weight_steps=127.5)])
def test_weights_move_by_at_most_half_a_step(profile: Profile) -> None:
    weights = np.random.default_rng(0).standard_normal((8, 5)).astype(np.float32)
    rounded = quantize_weights({"weight_ih_l0": weights}, profile)["weight_ih_l0"]
    step = np.abs(weights).max(axis=1 if profile.per_channel else None, keepdims=True) / profile.weight_steps
    assert (np.abs(rounded - weights) <= step * 0.50002).all()
    assert len(np.unique(np.rint(rounded / step))) > 8
    np.testing.assert_allclose(rounded / step, np.rint(rounded / step), atol=1e-4)


def test_only_matrices_are_quantized() -> None:
    given = {name: np.array([[0.3, 1.0]], np.float32) for name in ("weight_hh_l0", "bias_ih_l0", "peephole_l0")}
    rounded = quantize_weights(given, PER_TENSOR)
    assert [name for name in given if (rounded[name] != given[name]).any()] == ["weight_hh_l0"]
    assert quantize_weights(given, PROFILES["float32"]) == given


def test_a_row_of_zeros_stays_zero() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.5]], np.float32)
    assert not quantize_weights({"weight_ih_l0": rows}, PER_CHANNEL)["weight_ih_l0"][0].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_quantized_data_stays_within_the_budget_and_the_bound(shape: str) -> None:
    problem = problem_of(shape, PER_TENSOR)
    got = numbers(problem, Int8)
    values, found = budget_of(problem, PER_TENSOR)
    assert 0.05 < error_ratio(got, values, found.budget) <= 1
    assert error_ratio(got, values, found.bound) <= 1


def test_exact_data_is_closer_than_the_budget_requires() -> None:
    problem = problem_of("wide", PER_TENSOR)
    values, found = budget_of(problem, PER_TENSOR)
    assert error_ratio(numbers(problem, Single), values, found.budget) < 0.001


def test_steps_per_tensor_exceed_the_budget_of_steps_per_channel() -> None:
    expected, given = (problem_of("wide", profile, uneven=True) for profile in (PER_CHANNEL, PER_TENSOR))
    values, found = budget_of(expected, PER_CHANNEL)
    assert error_ratio(numbers(expected, Int8), values, found.budget) <= 1
    assert error_ratio(numbers(given, Int8), values, found.budget) > 2
