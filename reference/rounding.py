"""The budget: how far a correct run in a given precision may stray from the reference, element by element.

    budget = min(R, z · φ · σ + s),   z = 5

σ is the spread that independent rounding errors cause (``Spread``), φ what Monte Carlo runs say it is short of because
errors meet again (``Perturbed``), s what activations add that err everywhere with one sign (``Skewed``), and R the
bound that no allowed evaluation exceeds (``Ball``). All four come from running the reference itself on such numbers.
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
"""How many standard deviations a correct run may be off."""
SAMPLES = 4
"""Monte Carlo runs behind φ."""
CHAOTIC = 1e4
"""A condition beyond which no rule is both sound and useful."""
_MEASURABLE = 2.0**-36

Evaluate = Callable[[Lift], Mapping[str, Any]]
"""Runs the reference on the numbers that a lift makes, and returns its results by name."""


@dataclass(frozen=True)
class Budget:
    """What a correct run may do, for each tensor of a solution, shaped like it.

    Attributes:
        budget: largest |deviation| that conforms; 0 where the value must be met exactly.
        bound: R: a deviation beyond it is proven wrong.
        condition: by how much rounding is amplified, at worst: the largest rms(σ φ) / (u · rms value) of a
            tensor, where u is the coarsest rounding of the profile.
    """

    budget: dict[str, Array]
    bound: dict[str, Array]
    condition: float


def budget(evaluate: Evaluate, values: Mapping[str, Array], profile: Profile) -> Budget:
    """The budget of a correct run under a profile.

    Args:
        evaluate: the computation, see ``Evaluate``.
        values: what it gives in float64.
        profile: how the implementation under test rounds.
    """
    spread = _settled(evaluate(Spread(profile, np.zeros(1)).exact))
    # A radius that grows without end overflows, and then bounds nothing.
    with np.errstate(over="ignore", invalid="ignore"):
        ball = _settled(evaluate(Ball(profile, np.zeros(1)).exact))
    # Float64 arithmetic would blur errors of its own size; to first order, larger ones differ in size alone.
    larger = max(1.0, _MEASURABLE / profile.u)
    scaled = replace(
        profile,
        u=larger * profile.u,
        u_acc=larger * profile.u_acc,
        u_op=larger * profile.u_op,
        u_accw=larger * profile.u_accw,
    )
    # The generator's state is part of the budget: the same problem has the same one in every run.
    perturbed = _settled(evaluate(Perturbed.source(scaled, SAMPLES, np.random.default_rng(0))))
    skewed = [_settled(evaluate(Skewed.source(scaled, kind))) for kind in ("sigmoid", "tanh")]

    budgets: dict[str, Array] = {}
    bounds: dict[str, Array] = {}
    condition = 0.0
    for name, value in values.items():
        variance = _error(spread[name])
        sigma = np.sqrt(variance) * _phi(name, (perturbed[name].value - value) / larger, variance)
        systematic = sum(np.abs(run[name].value - value) / larger for run in skewed)
        rms_value, rms_sigma = _rms(value), _rms(sigma)
        if rms_value > 0:
            condition = max(condition, rms_sigma / (max(profile.u, profile.u_op) * rms_value))
        # First order says nothing where a slope is 0; no element's σ is taken below a tenth of its tensor's.
        sigma = np.maximum(sigma, 0.1 * rms_sigma)
        inexact = variance > 0
        radius = _error(ball[name])
        bounds[name] = np.where(np.isnan(radius), np.inf, radius)
        budgets[name] = np.where(inexact, np.minimum(bounds[name], Z * sigma + systematic + profile.floor), 0.0)
    return Budget(budgets, bounds, condition)


def _settled(results: Mapping[str, Rounded]) -> dict[str, Rounded]:
    return {name: number.settled() for name, number in results.items()}


def _error(number: Rounded) -> Array:
    return np.zeros(number.shape) if number.error is None else np.broadcast_to(number.error, number.shape)


def _phi(name: str, deviations: Array, variance: Array) -> Array:
    """How much larger samples deviate (K, …) than σ says, and at least 1: for a tensor, or each step of a sequence.

    The two sequences are (T, …); with ``batch_first`` the slices are rows instead, which serve as well.
    """
    axes = tuple(range(1, variance.ndim)) if name in ("output", "grad.input") else tuple(range(variance.ndim))
    measured = np.mean(np.square(deviations), axis=(0, *(axis + 1 for axis in axes)), keepdims=True)[0]
    assumed = np.mean(variance, axis=axes, keepdims=True)
    ratio = np.divide(measured, assumed, out=np.ones_like(assumed), where=assumed > 0)
    phi: Array = np.sqrt(np.maximum(ratio, 1.0))
    return phi


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array)))) if array.size else 0.0
