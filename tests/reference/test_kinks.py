from typing import Any

import numpy as np
import pytest

import reference
from reference import PROFILES
from reference.activations import ACTIVATIONS
from reference.arithmetic import clip_with_slope
from reference.dual import Dual
from reference.kinks import Kinks, NearKink

BELOW, ABOVE, FAR = -1e-8, 2e-8, -0.3
X = np.array([[BELOW, ABOVE, FAR]])
NEAR_BOUNDS = X + np.array([[0.5, -0.5, 0.0]])
ONE = np.ones((1, 3))


def relu(lift: Any) -> dict[str, Any]:
    """Computes the activation relu and its derivative, for arguments with a rounding error."""
    y = ACTIVATIONS["relu"](lift(X) + 0.0 * lift(ONE) + lift(ONE) - lift(ONE))
    return {"h_n": y, "c_n": ACTIVATIONS["relu"].slope(y)}


def clip(lift: Any) -> dict[str, Any]:
    """Computes x clipped to ±0.5 and its derivative, for arguments near both bounds."""
    clipped, slope = clip_with_slope(lift(NEAR_BOUNDS) * lift(ONE), 0.5)
    return {"h_n": clipped, "c_n": slope}


def clip_with_tangent(lift: Any) -> dict[str, Any]:
    """Computes the derivative of a clip along a direction."""
    clipped, _ = clip_with_slope(Dual(lift(NEAR_BOUNDS) * lift(ONE), lift(ONE)), 0.5)
    return {"h_n": clipped.value, "c_n": clipped.derivative}


@pytest.mark.parametrize(
    ("evaluate", "function", "slopes", "others"),
    [
        (relu, "relu", [0, 1, 0], [1, 0, 0]),
        (clip, "clip", [1, 1, 1], [0, 0, 1]),
        (clip_with_tangent, "clip", [1, 1, 1], [0, 0, 1]),
    ],
)
def test_arguments_near_a_kink_are_listed_and_cross_it(evaluate: Any, function: str, slopes: Any, others: Any) -> None:
    values, _, near = reference.choose_sides(evaluate, PROFILES["float32"])
    assert [(argument.evaluation, argument.position, argument.function) for argument in near] == [
        (0, (0, 0), function),
        (0, (0, 1), function),
    ]
    np.testing.assert_array_equal(values["c_n"], [slopes])
    sides = [argument._replace(above=not argument.above) for argument in near]
    crossed, *_ = reference.choose_sides(evaluate, PROFILES["float32"], sides)
    np.testing.assert_array_equal(crossed["c_n"], [others])
    np.testing.assert_allclose(crossed["h_n"], values["h_n"], rtol=0, atol=1e-7)
    own, *_ = reference.choose_sides(evaluate, PROFILES["float32"], near)
    np.testing.assert_array_equal(own["c_n"], [slopes])


def test_the_budget_follows_the_sides() -> None:
    values, _, near = reference.choose_sides(relu, PROFILES["float32"])
    sides = [argument._replace(above=not argument.above) for argument in near]
    exact = [
        reference.budget(relu, values, PROFILES["float32"], sides=chosen).budget["h_n"] == 0 for chosen in (near, sides)
    ]
    np.testing.assert_array_equal(exact, [[[True, False, True]], [[False, True, True]]])


def test_an_exact_argument_is_not_near_a_kink() -> None:
    *_, near = reference.choose_sides(lambda lift: {"h_n": ACTIVATIONS["relu"](lift(X))}, PROFILES["float32"])
    assert near == []


@pytest.mark.parametrize("name", [name for name, activation in ACTIVATIONS.items() if activation.kinks])
def test_derivatives_jump_at_kinks_only(name: str) -> None:
    activation = ACTIVATIONS[name]
    z = np.linspace(-4, 4, 8001)
    slopes = activation.slope(activation(z))
    # Of the first and the second derivative; elu and softsign have a continuous first derivative.
    jumps = np.abs(np.diff(slopes, 2)) > 1e-4 if name in ("elu", "softsign") else np.abs(np.diff(slopes)) > 0.05
    found = z[1:-1][jumps] if name in ("elu", "softsign") else z[1:][jumps]
    assert sorted({round(float(place), 1) + 0.0 for place in found}) == sorted(activation.kinks)


def test_arguments_are_numbered_by_evaluation() -> None:
    kinks = Kinks([NearKink(1, (0, 0), False, "relu", 0.5)])
    arguments, reach = np.array([[0.1]]), np.array([[0.2]])
    placed = [float(kinks.place("relu", arguments, reach, (0.0,))[0, 0]) for _ in range(3)]
    assert placed == [0.1, -0.1, 0.1]
    assert [argument.evaluation for argument in kinks.near] == [0, 1, 2]
    assert kinks.near[0] == NearKink(0, (0, 0), True, "relu", 0.5)
