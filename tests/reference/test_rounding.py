"""Correct runs stay within the budget. Undeclared loss of precision exceeds it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.verdict.problem import Problem
from reference import PROFILES, Budget, Profile, budget, rounding
from reference.activations import sigmoid, tanh
from reference.arithmetic import mark_over_time
from reference.error_models import FirstOrder, Sampling
from reference.rounding import MAX_CONDITION
from tests.reference.problems import CASES, run, small_problem
from tests.reference.variants import CORRECT_VARIANTS, Half, Single, Tf32, Tf32Truncated

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"input_size": 4, "hidden_size": 5, "seq_len": 7},
    "wide": {"input_size": 24, "hidden_size": 32, "seq_len": 5},
    "long": {"input_size": 4, "hidden_size": 6, "seq_len": 40},
    "saturated": {"input_size": 4, "hidden_size": 5, "seq_len": 10, "values": "scale-2"},
    "stacked": {"input_size": 4, "hidden_size": 5, "seq_len": 6, "num_layers": 2, "direction": "bidirectional"},
    "ragged": {"input_size": 4, "hidden_size": 5, "seq_len": 6, "lengths": [3, 6, 1]},
}


def budget_of(problem: Problem, profile: str | Profile = "float32") -> tuple[dict[str, Any], Budget]:
    values = run(problem)
    assumed = PROFILES[profile] if isinstance(profile, str) else profile
    return values, budget(lambda lift: run(problem, lift), values, assumed)


def error_ratio(got: dict[str, Any], values: dict[str, Any], allowed: dict[str, Any]) -> float:
    worst = 0.0
    for name, value in values.items():
        deviation = np.abs(got[name] - value)
        assert not deviation[allowed[name] == 0].any(), name
        worst = max(worst, float((deviation[allowed[name] > 0] / allowed[name][allowed[name] > 0]).max(initial=0.0)))
    return worst


def numbers(problem: Problem, variant: type[Single]) -> dict[str, Any]:
    return {name: number.value for name, number in run(problem, variant.lift).items()}


@pytest.mark.parametrize("shape", SHAPES)
def test_correct_variants_stay_within_the_budget(shape: str) -> None:
    problem = small_problem("one-layer", dtype="float32", **SHAPES[shape])
    values, found = budget_of(problem)
    for variant in CORRECT_VARIANTS:
        assert error_ratio(numbers(problem, variant), values, found.budget) <= 1, variant.__name__


@pytest.mark.parametrize("shape", SHAPES)
def test_tf32_exceeds_the_float32_budget_but_not_the_tf32_budget(shape: str) -> None:
    problem = small_problem("one-layer", dtype="float32", **SHAPES[shape])
    got = numbers(problem, Tf32)
    values, found = budget_of(problem)
    assert error_ratio(got, values, found.budget) > 1
    assert error_ratio(got, values, budget_of(problem, "tf32")[1].budget) <= 1


def test_truncated_operands_exceed_the_tf32_budget_but_not_that_of_truncation() -> None:
    truncated = replace(PROFILES["tf32"], name="tf32 truncated", u_op=2.0**-10)
    ratios = []
    for shape in SHAPES.values():
        problem = small_problem("one-layer", dtype="float32", **shape)
        got = numbers(problem, Tf32Truncated)
        values, found = budget_of(problem, "tf32")
        ratios.append(error_ratio(got, values, found.budget))
        assert error_ratio(got, values, budget_of(problem, truncated)[1].budget) <= 1
    assert max(ratios) > 1


def test_float16_gradients_that_underflow_stay_within_the_budget() -> None:
    options = {"input_size": 63, "hidden_size": 6, "seq_len": 20, "batch": 3, "cotangents": ["c_n"], "seed": 3}
    problem = small_problem("one-layer", dtype="float16", **options)
    values, found = budget_of(problem, "float16")
    assert 0 < np.abs(values["grad.h_0"]).max() < 2.0**-20
    assert 0.2 < error_ratio(numbers(problem, Half), values, found.budget) < 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_correct_variants_stay_within_the_bound(shape: str) -> None:
    problem = small_problem("one-layer", dtype="float32", **SHAPES[shape])
    values, found = budget_of(problem)
    for variant in CORRECT_VARIANTS:
        assert error_ratio(numbers(problem, variant), values, found.bound) <= 1, variant.__name__
    assert all(np.isfinite(bound).all() for bound in found.bound.values())


@pytest.mark.parametrize("name", CASES)
def test_budget_is_positive_exactly_where_rounding_occurs(name: str) -> None:
    problem = small_problem(name, dtype="float32")
    _, found = budget_of(problem)
    for tensor, allowed in found.budget.items():
        assert np.isfinite(allowed).all(), tensor
        assert (allowed <= found.bound[tensor]).all(), tensor
        assert (allowed >= 0).all(), tensor
    if problem.lengths is not None:
        beyond = np.arange(problem.case.seq_len)[:, None] >= problem.lengths
        assert not found.budget["output"][beyond].any()
        assert not found.budget["grad.input"][beyond].any()
        assert (found.budget["output"][~beyond] > 0).all()


def test_budget_scales_with_the_precision() -> None:
    problem = small_problem("two-layers-bidirectional")
    sizes = {name: float(np.median(budget_of(problem, name)[1].budget["output"])) for name in PROFILES}
    assert sizes["float32"] / sizes["float64"] == pytest.approx(2.0**29, rel=0.01)
    assert sizes["float32"] < sizes["tf32"] < sizes["bfloat16"]
    assert sizes["float16"] * 7 < sizes["bfloat16"] < sizes["float16"] * 9


def test_budget_is_deterministic() -> None:
    problem = small_problem("ragged", dtype="float32")
    first, second = (budget_of(problem)[1] for _ in range(2))
    for name, allowed in first.budget.items():
        np.testing.assert_array_equal(allowed, second.budget[name])


def test_chaotic_problem_exceeds_the_maximum_condition() -> None:
    tame = small_problem("one-layer", seq_len=60, hidden_size=8, dtype="float32")
    wild = replace(tame, parameters={name: array * np.float32(16) for name, array in tame.parameters.items()})
    assert budget_of(tame)[1].condition < MAX_CONDITION < budget_of(wild)[1].condition


def first_order(profile: str) -> FirstOrder:
    return FirstOrder(Sampling(PROFILES[profile], 4, np.random.default_rng(1)), np.zeros(1))


def test_random_errors_have_the_standard_deviation_of_a_rounding_error() -> None:
    x = np.linspace(-2, 2, 50)[None]
    error = (first_order("float32").exact(x) * 0.7).error
    assert error is not None
    # A relative error that is uniform in ±u has the variance u² / 3.
    np.testing.assert_allclose(error[0], np.square(0.7 * x * 2.0**-24) / 3)
    np.testing.assert_allclose(np.abs(error[1:5]), np.broadcast_to(np.sqrt(error[0]), (4, 1, 50)))
    assert {-1.0, 1.0} == set(np.unique(np.sign(error[1:5])))


def test_random_errors_preserve_correlations_that_variances_ignore() -> None:
    """The error of x counts twice in x + x, so its variance counts 4 times. Variances count it 2 times."""
    lift = first_order("float32").exact
    x = lift(np.full((1, 1000), 0.5)) * lift(np.full((1, 1000), 1.1))
    error = (x + x).close_sum().error
    assert error is not None
    variance, deviations = error[0], error[1:5]
    # The rounding of the sum has 4 times the variance of x, hence (4 + 4) / (2 + 4).
    assert np.mean(np.square(deviations)) / np.mean(variance) == pytest.approx(8 / 6, rel=0.1)


def test_skewed_errors_are_the_change_under_scaled_activations() -> None:
    profile = PROFILES["bfloat16"]
    z, w = np.linspace(-3, 3, 7)[None], np.array([[0.5]])
    error = np.multiply(sigmoid(first_order("bfloat16").exact(z)), tanh(first_order("bfloat16").exact(w))).error
    assert error is not None
    scaled = profile.k_r * profile.u * sigmoid(z) * tanh(w)
    np.testing.assert_allclose(error[-2], scaled, rtol=1e-12)
    np.testing.assert_allclose(error[-1], scaled, rtol=1e-12)


def test_a_sum_does_not_change_the_errors_of_its_terms() -> None:
    x = sigmoid(first_order("float32").exact(np.ones((2, 3))))
    assert x.error is not None
    before = x.error.copy()
    for total in (x + 1.0, 1.0 + x):
        assert total.error[0].min() > before[0].max()
    np.testing.assert_array_equal(x.error, before)


def test_sum_over_time_in_storage_precision_has_a_larger_variance() -> None:
    def variance(marked: bool) -> Any:
        number = first_order("bfloat16").exact(np.ones((50, 3))).sum(0)
        error = (mark_over_time(number) if marked else number).close_sum().error
        assert error is not None
        return error[0]

    assert (variance(True) > 5 * variance(False)).all()


def ratios(coarse: Budget, precise: Budget) -> NDArray[np.float64]:
    """Budgets of a coarse analysis divided by those of a precise one, where R is not the smallest term."""
    found = []
    for name, allowed in precise.budget.items():
        compared = (allowed > 0) & (allowed < precise.bound[name])
        found.append(coarse.budget[name][compared] / allowed[compared])
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("batch", "hidden_size", "tolerance"), [pytest.param(2, 3, 1e-5, id="small"), pytest.param(32, 64, 0.1, id="large")]
)
def test_a_coarse_analysis_agrees_with_a_precise_one(batch: int, hidden_size: int, tolerance: float) -> None:
    """Small tensors take as many random errors in both. Large ones take fewer in a coarse analysis."""
    problem = small_problem("one-layer", input_size=3, hidden_size=hidden_size, batch=batch, seq_len=6)
    values, precise = budget_of(problem)
    coarse = budget(lambda lift: run(problem, lift), values, PROFILES["float32"], coarse=True)
    assert np.abs(ratios(coarse, precise) - 1).max() < tolerance
    assert all(np.isinf(bound).all() for bound in coarse.bound.values())


def test_a_coarse_analysis_allows_rounding_of_vanishing_gradients() -> None:
    """The squares of tensors as small as 1e-30 underflow in float32."""
    problem = small_problem("one-layer", input_size=3, hidden_size=3, batch=2, seq_len=40)
    tiny = {name: array * np.float32(1e-30) for name, array in problem.cotangents.items()}
    problem = replace(problem, cotangents=tiny)
    values, precise = budget_of(problem)
    coarse = budget(lambda lift: run(problem, lift), values, PROFILES["float32"], coarse=True)
    assert np.abs(ratios(coarse, precise) - 1).max() < 0.001


def test_errors_in_float32_change_the_budget_by_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small_problem("one-layer", **SHAPES["stacked"])
    values, found = budget_of(problem)
    monkeypatch.setattr(rounding, "_fits_float32", lambda _: False)
    _, precise = budget_of(problem)
    assert np.abs(ratios(found, precise) - 1).max() < 1e-5
    assert all(np.array_equal(found.bound[name], precise.bound[name]) for name in values)


@pytest.mark.parametrize(("coarse", "expected"), [(False, 3.0), (True, 5.0)], ids=["bound", "5 sigma"])
def test_a_product_that_is_too_large_for_float32_is_analysed_in_float64(coarse: bool, expected: float) -> None:
    """Three products, each with an error of up to u and a variance of u²/3."""
    large, small = np.full(3, 1e25), np.full(3, 1e-25)
    plain = Profile("plain", u=2.0**-24, u_acc=2.0**-24)

    def evaluate(lift: Any) -> dict[str, Any]:
        return {"h_n": lift(large) * lift(large) * lift(small) * lift(small)}

    found = budget(evaluate, {"h_n": np.ones(3)}, plain, coarse)
    assert found.budget["h_n"] * 2**24 == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("name", "shape", "coarse", "expected"),
    [
        ("h_n", (100,), False, 82),
        ("h_n", (4, 25), False, 82),
        ("output", (4, 25), False, 128),
        ("output", (4, 100), False, 82),
        ("h_n", (10,), False, 128),
        ("h_n", (100,), True, 11),
        ("h_n", (5000,), False, 2),
        ("h_n", (1 << 20, 3), True, 1),
    ],
)
def test_each_mean_in_phi_covers_enough_random_errors(
    name: str, shape: tuple[int, ...], coarse: bool, expected: int
) -> None:
    ones, samples = np.ones(shape), set[int]()

    def evaluate(lift: Any) -> dict[str, Any]:
        if isinstance(context := lift(ones[:1]).context, Sampling):
            samples.add(context.samples)
        return {name: lift(ones)}

    budget(evaluate, {name: ones}, PROFILES["float32"], coarse)
    assert samples == {expected}


def test_exactly_the_parameter_gradients_are_sums_over_time() -> None:
    problem = small_problem("one-layer", input_size=2, hidden_size=3, seq_len=20, peepholes=True)
    values = run(problem)
    coarse = replace(PROFILES["float32"], u_accw=2.0**-16)
    plain, marked = (
        budget(lambda lift: run(problem, lift), values, each).budget for each in (PROFILES["float32"], coarse)
    )
    for name in values:
        grown = float((marked[name] / plain[name]).max())
        assert (grown > 2) == name.startswith(("grad.weight", "grad.bias", "grad.peephole")), (name, grown)


def test_profile_constants() -> None:
    assert PROFILES["tf32"] == Profile("tf32", u=2.0**-24, u_acc=2.0**-23, u_op=2.0**-11, floor=2.0**-126)
    assert PROFILES["bfloat16"].u_accw == 2.0**-8


def test_small_elements_have_a_tenth_of_the_standard_deviation_of_their_tensor() -> None:
    """A coarse analysis has no bound R that would be smaller. The variance of 1e-25 underflows in float32."""
    x, ones, plain = np.array([1.0, 1e-6, 1e-25]), np.ones(3), Profile("plain", u=2.0**-24, u_acc=2.0**-24)
    found = budget(lambda lift: {"h_n": lift(x) * lift(ones)}, {"h_n": x}, plain, coarse=True)
    sigma = 2.0**-24 / np.sqrt(3)
    assert found.condition == pytest.approx(1 / np.sqrt(3))
    assert found.budget["h_n"] / sigma == pytest.approx(np.array([5.0, 0.5 / np.sqrt(3), 0.5 / np.sqrt(3)]), rel=1e-5)


def test_results_that_underflow_widen_the_budget() -> None:
    x, plain = np.ones(3), Profile("plain", u=2.0**-24, u_acc=2.0**-24, floor=1e-3)
    found = budget(lambda lift: {"h_n": lift(x) * lift(x)}, {"h_n": x}, plain, coarse=True)
    assert found.budget["h_n"] == pytest.approx((5 / np.sqrt(3) + 1) * 1e-3, rel=1e-3)


@pytest.mark.parametrize(("elements", "z"), [(1000, 5.0), (10_000, 5.427), (1_000_000, 6.198)])
def test_a_large_tensor_is_as_unlikely_to_exceed_its_budget_as_one_of_1000_elements(elements: int, z: float) -> None:
    """The expected values are quantiles of the normal distribution for 1000 · P(|x| > 5) / n."""
    x, plain = np.ones(elements), Profile("plain", u=2.0**-24, u_acc=2.0**-24)
    found = budget(lambda lift: {"h_n": lift(x) * lift(x)}, {"h_n": x}, plain, coarse=True)
    np.testing.assert_allclose(found.budget["h_n"] / (2.0**-24 / np.sqrt(3)), z, rtol=1e-3)


@pytest.mark.parametrize(("name", "ratio"), [("output", np.sqrt(8 / 6)), ("grad.input", np.sqrt(8 / 6)), ("h_n", 1.0)])
def test_correlated_errors_widen_the_budget_of_their_step(name: str, ratio: float) -> None:
    """In the first step, the error of x counts twice, as in the test above. Other tensors than sequences have one φ."""
    x, ones = np.full((1, 2000), 0.7), np.ones((1, 2000))

    def evaluate(lift: Any) -> dict[str, Any]:
        one, other = (lift(x) * lift(ones) for _ in range(2))
        return {name: np.concatenate([one + one, one + other], axis=0)}

    found = budget(evaluate, {name: np.concatenate([2 * x, 2 * x])}, PROFILES["float32"], coarse=True).budget[name]
    assert found[0].mean() / found[1].mean() == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize("activation", [sigmoid, tanh], ids=["sigmoid", "tanh"])
def test_activations_that_err_with_one_sign_widen_the_budget(activation: Any) -> None:
    z, plain = np.ones((1, 3)), Profile("plain", u=2.0**-24, u_acc=2.0**-24, k_r=6.0, k_a=3.0)
    y = activation(z)
    found = budget(lambda lift: {"h_n": activation(lift(z))}, {"h_n": y}, plain, coarse=True).budget["h_n"]
    np.testing.assert_allclose(found, (5 * (6 * y + 3) / np.sqrt(3) + 6 * y) * 2.0**-24, rtol=1e-5)
