"""The budget: how far a correct run in a given precision may deviate from the reference, for each element.

    budget = min(R, z · φ · σ + s)

σ is the standard deviation due to independent rounding errors. φ ≥ 1 corrects σ for correlated errors and comes from
random errors. s is the effect of activations that err with one sign everywhere. All three come from running the
reference on ``FirstOrder`` arrays. z is 5, or that of the profile, and larger for a tensor of many elements. R is the
bound that no allowed evaluation exceeds, and comes from running it on ``Ball`` arrays.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reference.arithmetic import Rounded
from reference.error_models import Ball, FirstOrder, Sampling
from reference.kinks import Kinks, NearKink
from reference.network import Lift
from reference.profile import Profile

MAX_CONDITION = 1e4
"""Largest condition at which a case can be judged. Beyond it the case is chaotic: correct runs disagree."""
_ELEMENTS = 1000
"""Number of elements from which z grows, so that a larger tensor is as unlikely to exceed its budget."""
_MIN_RELATIVE_SIGMA = 0.1
"""Smallest σ of an element, relative to the rms σ of its tensor."""
_AVERAGED_ERRORS, _COARSELY_AVERAGED_ERRORS = 1 << 13, 1 << 10
"""Number of random errors over which each mean in φ runs, in a precise and in a coarse analysis."""
_RANDOM_ERRORS = range(2, 129)
"""Number of random errors of each value, K."""
_MAX_RANDOM_ERRORS_OF_ALL = 1 << 22
"""Largest number of random errors of all values together, but at least one of each value. Limits ``_RANDOM_ERRORS``."""
_PHI_BY_FIRST_AXIS = frozenset({"output", "grad.input", "jvp.output", "hvp.input"})
"""Tensors that have one φ for each index of the first axis: time, or row with ``batch_first``."""
_FLOAT32_RANGE = 1e-12, 1e12
"""Root mean squares of tensors whose variances neither underflow nor overflow in float32."""
_TINY = 1e-15
"""Absolute value below which the variance of an inexact element can underflow in float32."""

Array = NDArray[np.float64]

Evaluate = Callable[[Lift], Mapping[str, Any]]
"""Runs the reference on arrays that a lift creates. Returns the results by name."""


@dataclass(frozen=True)
class Budget:
    """Allowed deviations, by tensor name. Each array has the shape of its tensor.

    Attributes:
        budget: largest |deviation| that conforms; 0 where the value must be exact.
        bound: rigorous bound R. A larger deviation is proven wrong.
        condition: largest amplification of rounding in any tensor: rms(σ φ) / (u · rms(value)), where u is the
            profile's ``unit``.
    """

    budget: dict[str, Array]
    bound: dict[str, Array]
    condition: float


def budget(
    evaluate: Evaluate,
    values: Mapping[str, Array],
    profile: Profile,
    coarse: bool = False,
    sides: Collection[NearKink] = (),
) -> Budget:
    """Returns the budget of a correct run.

    Args:
        evaluate: computation to analyze. Called with different lifts.
        values: results of the computation in float64, by tensor name.
        profile: rounding constants of the implementation under test.
        coarse: whether the computation is large. Then the analysis runs in float32 if the tensors allow it, with fewer
            random errors, and without R, which is larger than the rest there. Otherwise only errors are in float32.
        sides: arguments near a kink, each on the side on which to put it. The analysis then omits R, which covers both
            sides.
    """
    samples = _random_errors(values, _COARSELY_AVERAGED_ERRORS if coarse else _AVERAGED_ERRORS)
    # To first order, errors scale with the unit roundoff. They are analyzed in units of it.
    unit, scaled = profile.unit, _in_units(profile)

    def analyse(dtype: str) -> dict[str, NDArray[np.floating]]:
        """Returns the errors of the first-order analysis, which has errors of a dtype."""
        # The fixed seed makes the budget a pure function of the problem.
        sampling = Sampling(scaled, samples, np.random.default_rng(0), dtype, unit, Kinks(sides) if sides else None)
        return _errors(evaluate(FirstOrder(sampling, np.zeros(1, dtype if coarse else "float64")).exact))

    analysis: dict[str, NDArray[np.floating]] = {}
    if all(map(_fits_float32, values.values())):
        # An intermediate result can still be too large.
        with np.errstate(over="ignore", invalid="ignore"):
            analysis = analyse("float32")
    if not (analysis and all(np.isfinite(error).all() for error in analysis.values())):
        analysis = analyse("float64")
    # An exploding radius overflows to infinity or NaN, which means no bound.
    with np.errstate(over="ignore", invalid="ignore"):
        radii = {} if coarse or sides else _errors(evaluate(Ball(profile, np.zeros(1)).exact))
    bounds = {
        name: np.where(np.isnan(radii[name]), np.inf, radii[name]) if radii else np.full(value.shape, np.inf)
        for name, value in values.items()
    }

    budgets: dict[str, Array] = {}
    condition = 0.0
    for name, value in values.items():
        error = analysis.pop(name)
        variance, deviations, skewed = error[0].astype(np.float64), error[1 : 1 + samples], error[1 + samples :]
        sigma = unit * np.sqrt(variance) * _phi(name, deviations, variance)
        rms_value, rms_sigma = _rms(value), _rms(sigma)
        if rms_value > 0:
            condition = max(condition, rms_sigma / (unit * rms_value))
        # A first-order analysis underestimates the error of an element whose derivatives are near 0.
        sigma = np.maximum(sigma, _MIN_RELATIVE_SIGMA * rms_sigma)
        allowed = _z(profile.z, value.size) * sigma + unit * np.abs(skewed).sum(0) + profile.floor
        # A variance below the smallest float32 number is 0.
        inexact = (variance > 0) | ((value != 0) & (np.abs(value) < _TINY))
        budgets[name] = np.where(inexact, np.minimum(bounds[name], allowed), 0.0)
    return Budget(budgets, bounds, condition)


class Sided(NamedTuple):
    """Results of a run with arguments on given sides of their kinks.

    Attributes:
        values: results in float64, by tensor name.
        reach: z standard deviations of the rounding error of each result, if all rounding errors were independent.
        near: arguments that rounding can move across a kink, in the order of computation.
    """

    values: dict[str, Array]
    reach: dict[str, Array]
    near: list[NearKink]


def choose_sides(evaluate: Evaluate, profile: Profile, sides: Collection[NearKink] = ()) -> Sided:
    """Runs the reference with arguments on given sides of their kinks.

    Args:
        evaluate: computation to run.
        profile: rounding constants of the implementation under test.
        sides: arguments near a kink, each on the side on which to put it.
    """
    kinks = Kinks(sides)
    sampling = Sampling(_in_units(profile), 0, np.random.default_rng(0), unit=profile.unit, kinks=kinks)
    results = {name: number.close_sum() for name, number in evaluate(FirstOrder(sampling, np.zeros(1)).exact).items()}
    reach = {name: np.broadcast_to(number.reach(), number.shape) for name, number in results.items()}
    return Sided({name: number.value for name, number in results.items()}, reach, kinks.near)


def _in_units(profile: Profile) -> Profile:
    """Returns a profile with constants in units of its unit roundoff."""
    constants = ("u", "u_acc", "u_op", "u_accw", "u_data", "floor")
    return replace(profile, **{name: getattr(profile, name) / profile.unit for name in constants})


def _errors(results: Mapping[str, Rounded[Any]]) -> dict[str, NDArray[np.floating]]:
    """Returns the error of each result, after rounding its open sum."""
    return {name: number.close_sum().full_error() for name, number in results.items()}


def _random_errors(values: Mapping[str, Array], averaged: int) -> int:
    """Returns the number of random errors of each value, K, so that each mean in ``_phi`` runs over ``averaged``."""
    smallest = min(array.size // (len(array) if name in _PHI_BY_FIRST_AXIS else 1) for name, array in values.items())
    affordable = _MAX_RANDOM_ERRORS_OF_ALL // sum(array.size for array in values.values())
    wanted = max(_RANDOM_ERRORS[0], min(-(-averaged // smallest), _RANDOM_ERRORS[-1]))
    return max(1, min(wanted, affordable))


def _z(z: float, elements: int) -> float:
    """Returns the number of standard deviations for a tensor with a number of elements.

    The expected number of normally distributed elements beyond it is that of ``_ELEMENTS`` elements beyond ``z``.
    """
    if elements <= _ELEMENTS:
        return z
    normal = NormalDist()
    return -normal.inv_cdf(normal.cdf(-z) * _ELEMENTS / elements)


def _fits_float32(array: Array) -> bool:
    low, high = _FLOAT32_RANGE
    return low <= (_rms(array) or 1.0) <= high


def _phi(name: str, deviations: NDArray[np.floating], variance: NDArray[np.floating]) -> Array:
    """Returns φ = max(1, rms(deviations) / rms(σ)), broadcastable to the tensor.

    The tensors in ``_PHI_BY_FIRST_AXIS`` have one φ for each index of the first axis. Other tensors have a single φ.

    Args:
        name: name of the tensor.
        deviations: random errors of the tensor (K, …).
        variance: σ² of the tensor (…).
    """
    groups, size = (len(variance), math.prod(variance.shape[1:])) if name in _PHI_BY_FIRST_AXIS else (1, variance.size)
    measured = np.square(deviations).reshape(len(deviations), groups, size).sum((0, 2)) / len(deviations)
    assumed = variance.reshape(groups, size).sum(1)
    ratio = np.divide(measured, assumed, out=np.ones_like(assumed), where=assumed > 0)
    phi: Array = np.sqrt(np.maximum(ratio, 1.0))
    return phi.reshape(groups, *[1] * (variance.ndim - 1))


def _rms(array: Array) -> float:
    flat = array.ravel()
    return math.sqrt(flat @ flat / flat.size) if flat.size else 0.0
