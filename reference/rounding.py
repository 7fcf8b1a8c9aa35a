"""The budget: how far a correct run in a given precision may deviate from the reference, for each element.

    budget = min(R, z · φ · σ + s),   z = 5

σ is the standard deviation due to independent rounding errors (``Spread``). φ ≥ 1 corrects σ for correlated errors and
comes from Monte Carlo runs (``Perturbed``). s is the effect of activations that err with one sign everywhere
(``Skewed``). R is the bound that no allowed evaluation exceeds (``Ball``). All four come from running the reference on
arrays of these classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference.arithmetic import Array, Rounded
from reference.error_models import Ball, Perturbed, Skewed, Spread
from reference.network import Lift
from reference.profile import Profile

Z = 5.0
"""Number of standard deviations φ · σ that a correct run may deviate, z."""
MONTE_CARLO_RUNS = 4
"""Number of Monte Carlo runs that determine φ, K."""
MAX_CONDITION = 1e4
"""Largest condition at which a case can be judged. Beyond it the case is chaotic: correct runs disagree."""
_MIN_SIMULATED_ROUNDOFF = 2.0**-36
"""Smallest unit roundoff that a simulation in float64 measures accurately."""
_MIN_RELATIVE_SIGMA = 0.1
"""Smallest σ of an element, relative to the rms σ of its tensor."""

Evaluate = Callable[[Lift], Mapping[str, Any]]
"""Runs the reference on arrays that a lift creates. Returns the results by name."""


@dataclass(frozen=True)
class Budget:
    """Allowed deviations, by tensor name. Each array has the shape of its tensor.

    Attributes:
        budget: largest |deviation| that conforms; 0 where the value must be exact.
        bound: rigorous bound R. A larger deviation is proven wrong.
        condition: largest amplification of rounding in any tensor: rms(σ φ) / (u · rms(value)), where u is the larger
            of the profile's ``u`` and ``u_op``.
    """

    budget: dict[str, Array]
    bound: dict[str, Array]
    condition: float


def budget(evaluate: Evaluate, values: Mapping[str, Array], profile: Profile) -> Budget:
    """Returns the budget of a correct run.

    Args:
        evaluate: computation to analyse. Called several times, with different lifts.
        values: results of the computation in float64, by tensor name.
        profile: rounding constants of the implementation under test.
    """
    spread = _close_sums(evaluate(Spread(profile, np.zeros(1)).exact))
    # An exploding radius overflows to infinity or NaN, which means no bound.
    with np.errstate(over="ignore", invalid="ignore"):
        ball = _close_sums(evaluate(Ball(profile, np.zeros(1)).exact))
    # Simulated errors near the roundoff of float64 would drown in it. To first order, deviations scale with the unit
    # roundoff, so a larger one is simulated and the deviations are divided by the factor.
    scale = max(1.0, _MIN_SIMULATED_ROUNDOFF / profile.u)
    scaled = replace(
        profile,
        u=scale * profile.u,
        u_acc=scale * profile.u_acc,
        u_op=scale * profile.u_op,
        u_accw=scale * profile.u_accw,
    )
    # The fixed seed makes the budget a pure function of the problem.
    perturbed = _close_sums(evaluate(Perturbed.make_lift(scaled, MONTE_CARLO_RUNS, np.random.default_rng(0))))
    skewed = [_close_sums(evaluate(Skewed.make_lift(scaled, kind))) for kind in ("sigmoid", "tanh")]

    budgets: dict[str, Array] = {}
    bounds: dict[str, Array] = {}
    condition = 0.0
    for name, value in values.items():
        variance = _error(spread[name])
        sigma = np.sqrt(variance) * _phi(name, (perturbed[name].value - value) / scale, variance)
        systematic = sum(np.abs(run[name].value - value) / scale for run in skewed)
        rms_value, rms_sigma = _rms(value), _rms(sigma)
        if rms_value > 0:
            condition = max(condition, rms_sigma / (max(profile.u, profile.u_op) * rms_value))
        # A first-order analysis underestimates the error of an element whose derivatives are near 0.
        sigma = np.maximum(sigma, _MIN_RELATIVE_SIGMA * rms_sigma)
        inexact = variance > 0
        radius = _error(ball[name])
        bounds[name] = np.where(np.isnan(radius), np.inf, radius)
        budgets[name] = np.where(inexact, np.minimum(bounds[name], Z * sigma + systematic + profile.floor), 0.0)
    return Budget(budgets, bounds, condition)


def _close_sums(results: Mapping[str, Rounded]) -> dict[str, Rounded]:
    return {name: number.close_sum() for name, number in results.items()}


def _error(number: Rounded) -> Array:
    return np.zeros(number.shape) if number.error is None else np.broadcast_to(number.error, number.shape)


def _phi(name: str, deviations: Array, variance: Array) -> Array:
    """Returns φ = max(1, rms(deviations) / rms(σ)), broadcastable to the tensor.

    ``output`` and ``grad.input`` have one φ for each index of the first axis (time, or row with ``batch_first``). Other
    tensors have a single φ.

    Args:
        name: name of the tensor.
        deviations: deviations of the Monte Carlo runs from the reference (K, …).
        variance: σ² of the tensor (…).
    """
    axes = tuple(range(1, variance.ndim)) if name in ("output", "grad.input") else tuple(range(variance.ndim))
    measured = np.mean(np.square(deviations), axis=(0, *(axis + 1 for axis in axes)), keepdims=True)[0]
    assumed = np.mean(variance, axis=axes, keepdims=True)
    ratio = np.divide(measured, assumed, out=np.ones_like(assumed), where=assumed > 0)
    phi: Array = np.sqrt(np.maximum(ratio, 1.0))
    return phi


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0
