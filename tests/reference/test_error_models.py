"""The arrays of the error analysis propagate errors, and add those of each rounding."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from reference.activations import ACTIVATIONS, Activation, between, sigmoid, tanh
from reference.arithmetic import clip_with_slope, mark_over_time
from reference.error_models import Ball, FirstOrder, Sampling, sum_variance
from reference.profile import Profile

EXACT = Profile("exact", u=0.0, u_acc=0.0)
"""Nothing is rounded, so errors only propagate."""
COARSE = Profile(
    "coarse", u=2.0**-6, u_acc=2.0**-8, u_op=2.0**-5, k_r=2.0, k_a=1.0, n_store=3, u_accw=2.0**-4, floor=0.5
)
SAMPLES = 2000

X, Y = np.array([[0.5, -2.0, 3.0]]), np.array([[1.5, -2.0], [-0.25, 0.5], [2.0, -1.0]])

Operation = Callable[[Any, Any], Any]
ARITHMETIC: dict[str, tuple[Operation, Any, Any]] = {
    "sum": (lambda x, y: x + y, X, X[:, ::-1]),
    "difference": (lambda x, y: x - y, X, X[:, ::-1]),
    "product": (lambda x, y: x * y, X, X[:, ::-1]),
    "square": (lambda x, _: np.square(x), X, X),
    "product with a larger matrix": (lambda x, y: x @ y, X, Y),
    "product with a smaller matrix": (lambda x, y: x @ y, Y.T, X.T),
    "sum over an axis": (lambda x, _: x.sum(1), X, X),
    "difference of sums": (lambda x, y: x.sum(1) - y.sum(1), X, X[:, ::-1]),
}


# --------------------------------------------------------------------------- propagation


def ball(value: Any, radius: float | None, profile: Profile = EXACT) -> Ball:
    array = np.asarray(value, float)
    return Ball(profile, array, None if radius is None else np.full(array.shape, radius))


def corners(center: Any, radius: float | None) -> Iterator[Any]:
    """Yields the arrays at the largest distance from a center."""
    for signs in product((-1.0, 1.0), repeat=center.size if radius else 0):
        yield center + radius * np.reshape(signs, center.shape) if radius else center


@pytest.mark.parametrize("radii", [(0.25, 0.125), (0.25, None), (None, 0.125), (None, None)])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_the_radius_is_the_largest_deviation(name: str, radii: tuple[float | None, float | None]) -> None:
    operation, x, y = ARITHMETIC[name]
    found = operation(ball(x, radii[0]), ball(y, radii[1])).close_sum()
    reached = [operation(one, other) for one, other in product(corners(x, radii[0]), corners(y, radii[1]))]
    np.testing.assert_array_equal(found.value, operation(x, y))
    np.testing.assert_allclose(found._radius(), np.abs(reached - found.value).max(0), rtol=1e-12)


@pytest.mark.parametrize("radius", [1e-6, 0.25, 4.0])
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=lambda each: each.name)
def test_an_activation_deviates_at_most_by_the_radius(activation: Activation, radius: float) -> None:
    z = np.linspace(-4, 4, 33)
    found = activation(ball(z, radius))
    for end in (z - radius, z + radius):
        assert (np.abs(activation(end) - activation(z)) <= found._radius() * (1 + 1e-9)).all()
    assert (found._radius() <= min(radius * (activation.max_slope or 1.0), activation.max_difference)).all()
    if radius == 1e-6 and activation.max_slope is None:
        np.testing.assert_allclose(found._radius(), activation.slope(activation(z)) * radius, rtol=1e-5)


def test_a_piecewise_activation_is_exact_where_it_is_constant() -> None:
    for radius in (None, 0.25):
        found = ACTIVATIONS["hard_sigmoid"](ball([-9.0, 0.5, 9.0], radius, COARSE))
        assert (found._radius() > 0).tolist() == [False, True, False]


def test_a_piecewise_activation_of_an_exact_argument_is_exact_only_where_it_is_constant() -> None:
    y = ACTIVATIONS["hard_sigmoid"](ball([-9.0, 0.5, 9.0], None, COARSE))
    np.testing.assert_allclose(y._radius(), [0.0, COARSE.u * (COARSE.k_r * 0.6 + COARSE.k_a) + COARSE.floor, 0.0])


def test_a_clip_is_exact_beyond_its_bound_and_its_slope_is_uncertain_near_it() -> None:
    clipped, slope = clip_with_slope(ball([-3.0, -2.1, -1.9, 0.5, 1.9, 2.1, 3.0], 0.25), 2.0)
    assert clipped.value.tolist() == [-2.0, -2.0, -1.9, 0.5, 1.9, 2.0, 2.0]
    assert clipped._radius().tolist() == [0.0, *[0.25] * 5, 0.0]
    assert slope.value.tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    assert slope._radius().tolist() == [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert between(ball([0.1, 0.5, 0.9], 0.25), 0.0, 1.0)._radius().tolist() == [1.0, 0.0, 1.0]


def first_order(value: Any, error: Any = None, profile: Profile = EXACT, samples: int = 2) -> FirstOrder:
    return FirstOrder(Sampling(profile, samples, np.random.default_rng(0)), np.asarray(value, float), error)


def errors(shape: tuple[int, ...], seed: int) -> Any:
    """Returns a variance, two random errors and two skewed errors of each value."""
    random = np.random.default_rng(seed)
    return np.concatenate([random.uniform(1, 2, (1, *shape)), random.normal(size=(4, *shape))])


def derivative(operation: Operation, x: Any, y: Any, dx: Any, dy: Any, step: float = 1e-6) -> Any:
    """Returns the derivative of an operation in a direction."""
    return (operation(x + step * dx, y + step * dy) - operation(x - step * dx, y - step * dy)) / (2 * step)


SMOOTH: dict[str, tuple[Operation, Any, Any]] = {
    "sigmoid": (lambda x, _: sigmoid(x), X, X),
    "tanh": (lambda x, _: tanh(x), X, X),
    "leaky relu": (lambda x, _: ACTIVATIONS["leaky_relu"](x), X, X),
    "clip": (lambda x, _: clip_with_slope(x, 2.5)[0], X, X),
}


@pytest.mark.parametrize("inexact", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", [*ARITHMETIC, *SMOOTH])
def test_first_order_errors_propagate_as_derivatives(name: str, inexact: tuple[bool, bool]) -> None:
    operation, x, y = (ARITHMETIC | SMOOTH)[name]
    e, f = (errors(each.shape, seed) for seed, each in enumerate((x, y)))
    found = operation(first_order(x, e if inexact[0] else None), first_order(y, f if inexact[1] else None)).close_sum()
    np.testing.assert_allclose(found.value, operation(x, y))
    e, f = e * inexact[0], f * inexact[1]
    expected = np.zeros((5, *found.shape))
    expected[1:] = [derivative(operation, x, y, e[row], f[row]) for row in range(1, 5)]
    for variance, of_x in ((e[0], True), (f[0], False)):
        for place in np.ndindex(variance.shape):
            one = np.zeros(variance.shape)
            one[place] = 1.0
            slope = derivative(operation, x, y, one, 0 * y) if of_x else derivative(operation, x, y, 0 * x, one)
            expected[0] += np.square(slope) * variance[place]
    got = found._zero_error(found.shape) if found.error is None else found.error
    np.testing.assert_allclose(got, expected, 1e-6, 1e-8)


# --------------------------------------------------------------------------- rounding


def test_the_radius_of_each_rounding() -> None:
    p, (a, b) = COARSE, (ball(X, None, COARSE), ball(Y, None, COARSE))
    np.testing.assert_allclose((a * a)._radius(), p.u * X * X + p.floor)
    np.testing.assert_allclose((a + 1.0)._radius(), p.u * np.abs(X + 1) + p.floor)
    magnitude = np.abs(X) @ np.abs(Y)
    loss = 3 * p.u_acc / (1 - 3 * p.u_acc) + 2 * p.u_op + p.u_op**2 + p.n_store * p.u
    np.testing.assert_allclose((a @ b).close_sum()._radius(), loss * magnitude + 3 * p.floor)
    np.testing.assert_allclose((ball(X[None], None, p) @ b).close_sum()._radius(), [loss * magnitude + 3 * p.floor])
    marked = mark_over_time(a @ b).close_sum()
    np.testing.assert_allclose(marked._radius(), (loss + 3 * p.u_accw) * magnitude + 3 * p.floor)
    y = np.abs(np.tanh(X))
    np.testing.assert_allclose(tanh(a)._radius(), p.u * (p.k_r * y + p.k_a) + p.floor)


@pytest.mark.parametrize(
    ("constants", "over_time", "variance"),
    [
        ({"u_acc": 3.0}, False, 9 / 3 * (4 * (2.0**2 / 3 + 5 / 6) + 5)),
        ({"u_accw": 3.0}, True, 9 / 3 * (4 * (2.0**2 / 3 + 5 / 6) + 5)),
        ({"u_accw": 3.0}, False, 0.0),
        ({"u_op": 3.0}, False, 2 * 9 * 5 / 3),
        ({"u": 3.0, "n_store": 2}, False, 2 * 9 / 3 * (2.0**2 + 5)),
    ],
)
def test_the_variance_of_a_sum(constants: dict[str, Any], over_time: bool, variance: float) -> None:
    total, squares = np.array(2.0), np.array(5.0)
    found = sum_variance(replace(EXACT, **constants), 4, total, squares, over_time)
    assert found == pytest.approx(variance)


def test_results_that_underflow_have_an_absolute_error_unless_they_are_zero() -> None:
    p = replace(EXACT, u=2.0**-11, n_store=2, floor=2.0**-25)
    product = first_order([1.0, 1e-7, 0.0], None, p) * np.ones(3)
    assert product.error is not None
    expected = np.square([p.u, p.floor, 0.0]) / 3
    np.testing.assert_allclose(product.error[0], expected)
    np.testing.assert_allclose(np.square(product.error[1]), expected)
    total = (first_order([[1e-9], [0.0]], None, p) @ first_order([[1.0]], None, p)).close_sum().error
    assert total is not None
    np.testing.assert_allclose(total[0], [[2 * p.floor**2 / 3], [0.0]])


def test_first_order_errors_of_each_rounding() -> None:
    """Each has a variance, and random errors of one size and of either sign."""
    p, y = COARSE, np.tanh(X)
    a, b = (first_order(each, None, p, SAMPLES) for each in (X, Y))
    of_sum = sum_variance(p, 3, X @ Y, np.square(X) @ np.square(Y), over_time=False) + p.n_store * p.floor**2 / 3
    of_activation = (np.square(p.k_r * y) + p.k_a**2) * p.u**2 / 3
    rounded = {
        "activation": (tanh(a), of_activation, p.u * (p.k_r * np.abs(y) + p.k_a) / np.sqrt(3)),
        "sum": ((a @ b).close_sum(), of_sum, np.sqrt(of_sum)),
    }
    for name, (number, variance, size) in rounded.items():
        random = number.error[1 : 1 + SAMPLES]
        np.testing.assert_allclose(number.error[0], variance, err_msg=name)
        np.testing.assert_allclose(np.abs(random), np.broadcast_to(size, random.shape), err_msg=name)
        assert np.abs(np.sign(random).mean(0)).max() < 0.1, name
