"""The budget: never exceeded by a correct run, always by an undeclared loss of precision."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.verdict.problem import Problem
from reference import PROFILES, Budget, Profile, budget
from reference.arithmetic import Rounded, over_time
from reference.error_models import Perturbed, Spread
from reference.rounding import CHAOTIC
from tests.reference.problems import CASES, problem, run
from tests.reference.variants import LEGITIMATE, Single, Tf32

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"input_size": 4, "hidden_size": 5, "seq_len": 7},
    "wide": {"input_size": 24, "hidden_size": 32, "seq_len": 5},
    "long": {"input_size": 4, "hidden_size": 6, "seq_len": 40},
    "saturated": {"input_size": 4, "hidden_size": 5, "seq_len": 10, "values": "scale-2"},
    "stacked": {"input_size": 4, "hidden_size": 5, "seq_len": 6, "num_layers": 2, "direction": "bidirectional"},
    "ragged": {"input_size": 4, "hidden_size": 5, "seq_len": 6, "lengths": [3, 6, 1]},
}


def budget_of(of: Problem, profile: str = "float32") -> tuple[dict[str, Any], Budget]:
    values = run(of)
    return values, budget(lambda lift: run(of, lift), values, PROFILES[profile])


def error_ratio(got: dict[str, Any], values: dict[str, Any], allowed: dict[str, Any]) -> float:
    worst = 0.0
    for name, value in values.items():
        deviation = np.abs(got[name] - value)
        assert not deviation[allowed[name] == 0].any(), name
        worst = max(worst, float((deviation[allowed[name] > 0] / allowed[name][allowed[name] > 0]).max(initial=0.0)))
    return worst


def numbers(of: Problem, variant: type[Single]) -> dict[str, Any]:
    return {name: number.value for name, number in run(of, variant.lift).items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_correct_variants_stay_within_the_budget(shape: str) -> None:
    of = problem("one-layer", dtype="float32", **SHAPES[shape])
    values, found = budget_of(of)
    for variant in LEGITIMATE:
        assert error_ratio(numbers(of, variant), values, found.budget) <= 1, variant.__name__


@pytest.mark.parametrize("shape", SHAPES)
def test_undeclared_tf32_exceeds_it_and_declared_tf32_does_not(shape: str) -> None:
    of = problem("one-layer", dtype="float32", **SHAPES[shape])
    got = numbers(of, Tf32)
    values, found = budget_of(of)
    assert error_ratio(got, values, found.budget) > 1
    assert error_ratio(got, values, budget_of(of, "tf32")[1].budget) <= 1


@pytest.mark.parametrize("shape", SHAPES)
def test_no_variant_exceeds_the_bound(shape: str) -> None:
    of = problem("one-layer", dtype="float32", **SHAPES[shape])
    values, found = budget_of(of)
    for variant in LEGITIMATE:
        assert error_ratio(numbers(of, variant), values, found.bound) <= 1, variant.__name__


@pytest.mark.parametrize("name", CASES)
def test_the_budget_is_positive_exactly_where_rounding_can_act(name: str) -> None:
    of = problem(name, dtype="float32")
    _, found = budget_of(of)
    for tensor, allowed in found.budget.items():
        assert np.isfinite(allowed).all(), tensor
        assert (allowed <= found.bound[tensor]).all(), tensor
        assert (allowed >= 0).all(), tensor
    if of.lengths is not None:
        beyond = np.arange(of.case.seq_len)[:, None] >= of.lengths
        assert not found.budget["output"][beyond].any()
        assert not found.budget["grad.input"][beyond].any()
        assert (found.budget["output"][~beyond] > 0).all()


def test_budgets_scale_with_the_precision() -> None:
    of = problem("two-layers-bidirectional")
    sizes = {name: float(np.median(budget_of(of, name)[1].budget["output"])) for name in PROFILES}
    assert sizes["float32"] / sizes["float64"] == pytest.approx(2.0**29, rel=0.01)
    assert sizes["float32"] < sizes["tf32"] < sizes["bfloat16"]
    assert sizes["float16"] * 7 < sizes["bfloat16"] < sizes["float16"] * 9


def test_the_same_problem_has_the_same_budget() -> None:
    of = problem("ragged", dtype="float32")
    first, second = (budget_of(of)[1] for _ in range(2))
    for name, allowed in first.budget.items():
        np.testing.assert_array_equal(allowed, second.budget[name])


def test_a_chaotic_problem_is_recognised() -> None:
    tame = problem("one-layer", seq_len=60, hidden_size=8, dtype="float32")
    wild = replace(tame, parameters={name: array * np.float32(16) for name, array in tame.parameters.items()})
    assert budget_of(tame)[1].condition < CHAOTIC < budget_of(wild)[1].condition


def test_samples_keep_correlations_that_variances_ignore() -> None:
    """In x + x, the error of x adds up to twice itself, 4 times its variance; as two independent ones it is twice."""
    profile = PROFILES["float32"]

    def twice(lift: Any) -> Any:
        x = lift(np.full((1, 1000), 0.5)) * lift(np.full((1, 1000), 1.1))
        return (x + x).settled()

    spread = twice(Spread(profile, np.zeros(1)).exact)
    samples = twice(Perturbed.source(profile, 4, np.random.default_rng(1)))
    deviations = samples.value - spread.value
    # The sum's own rounding weighs 4 times that of x: (4 + 4) / (2 + 4).
    assert np.mean(np.square(deviations)) / np.mean(spread.error) == pytest.approx(8 / 6, rel=0.1)


def test_sums_over_time_in_storage_precision_cost_more() -> None:
    profile = PROFILES["bfloat16"]

    def total(marked: bool) -> Rounded:
        number = Spread(profile, np.zeros(1)).exact(np.ones((50, 3))).sum(0)
        return (over_time(number) if marked else number).settled()

    marked, plain = total(True).error, total(False).error
    assert marked is not None
    assert plain is not None
    assert (marked > 5 * plain).all()


def test_every_weight_gradient_is_a_sum_over_time() -> None:
    of = problem("one-layer", input_size=2, hidden_size=3, seq_len=20, peepholes=True)
    values = run(of)
    coarse = replace(PROFILES["float32"], u_accw=2.0**-16)
    plain, marked = (budget(lambda lift: run(of, lift), values, each).budget for each in (PROFILES["float32"], coarse))
    for name in values:
        grown = float((marked[name] / plain[name]).max())
        assert (grown > 2) == name.startswith(("grad.weight", "grad.bias", "grad.peephole")), (name, grown)


def test_profiles_declare_what_they_say() -> None:
    assert PROFILES["tf32"] == Profile("tf32", u=2.0**-24, u_acc=2.0**-23, u_op=2.0**-11, floor=2.0**-126)
    assert PROFILES["bfloat16"].u_accw == 2.0**-8
