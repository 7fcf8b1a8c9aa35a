"""Activation functions and their derivatives.

A derivative is a function of the activation's value y = f(z), so that the backward pass needs no pre-activations. Names
and formulas follow https://onnx.ai/onnx/operators/onnx__LSTM.html. The constants α and β are fixed, so that a name
identifies a function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Activation:
    """A non-decreasing elementwise function f.

    Attributes:
        name: name in case files.
        value: f(z) for any NumPy floating-point or complex dtype.
        slope: f'(z) as a function of y = f(z).
        constants: α and β; empty if f has none.
        max_slope: largest derivative of a piecewise f. Such an f may be constant on an interval, where it is exact.
            None for a smooth f; its derivative must be largest at 0 and decrease with |z|. The error analysis relies on
            these properties.
        max_difference: upper bound of |f(z_1) - f(z_2)|.
        built_on: function that f scales, ``sigmoid`` or ``tanh``; empty for none. The error analysis assumes that
            approximations of this function err with one sign.
        kinks: arguments at which f' or f'' jumps.
    """

    name: str
    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    constants: tuple[float, ...] = ()
    max_slope: float | None = None
    max_difference: float = 2.0
    built_on: str = ""
    kinks: tuple[float, ...] = ()

    def __call__(self, z: Any) -> Any:
        """Returns f(z) for a NumPy array, or an array of ``reference.arithmetic`` or ``reference.dual``."""
        return self.value(z) if isinstance(z, np.ndarray) else z.activate(self)


def between(y: Any, low: float = 0.0, high: float = np.inf) -> Any:
    """Returns 1 where low < y < high, else 0, for any kind of array."""
    return ((y > low) & (y < high)) * 1.0 if isinstance(y, np.ndarray) else y.between(low, high)


def _sigmoid(z: Any) -> Any:
    """Returns 1 / (1 + e^-z) with full relative accuracy for every z. If e^-z overflows, the result is a correct 0."""
    y = np.negative(z)
    np.exp(y, out=y)
    y += 1.0
    return np.reciprocal(y, out=y)


sigmoid = Activation("sigmoid", _sigmoid, lambda y: y * (1.0 - y), built_on="sigmoid")
tanh = Activation("tanh", np.tanh, lambda y: 1.0 - np.square(y), built_on="tanh")


# Comparisons use the real part, so that these functions also accept the complex arrays of a complex-step derivative.


def _relu() -> Activation:
    """Returns the activation max(z, 0)."""
    return Activation(
        "relu",
        lambda z: np.where(z.real > 0, z, 0.0),
        between,
        max_slope=1.0,
        max_difference=np.inf,
        kinks=(0.0,),
    )


def _leaky_relu(alpha: float) -> Activation:
    """Returns the activation z if z ≥ 0, else α z."""
    return Activation(
        "leaky_relu",
        lambda z: np.where(z.real > 0, z, alpha * z),
        lambda y: (1.0 - alpha) * between(y) + alpha,
        (alpha,),
        max_slope=1.0,
        max_difference=np.inf,
        kinks=(0.0,),
    )


def _elu(alpha: float) -> Activation:
    """Returns the activation z if z ≥ 0, else α (e^z - 1)."""
    return Activation(
        "elu",
        lambda z: np.where(z.real > 0, z, alpha * np.expm1(np.where(z.real > 0, 0.0, z))),
        lambda y: (1.0 - between(y)) * (y + alpha) + between(y),
        (alpha,),
        max_slope=max(1.0, alpha),
        max_difference=np.inf,
        kinks=(0.0,),
    )


def _affine(alpha: float, beta: float) -> Activation:
    """Returns the activation α z + β."""
    return Activation(
        "affine",
        lambda z: alpha * z + beta,
        lambda y: y * 0.0 + alpha,
        (alpha, beta),
        max_slope=alpha,
        max_difference=np.inf,
    )


def _hard_sigmoid(name: str, alpha: float, beta: float) -> Activation:
    """Returns the activation min(max(α z + β, 0), 1)."""
    return Activation(
        name,
        lambda z: np.where(z.real * alpha + beta > 0, np.where(z.real * alpha + beta < 1, z * alpha + beta, 1.0), 0.0),
        lambda y: between(y, 0.0, 1.0) * alpha,
        (alpha, beta),
        max_slope=alpha,
        kinks=(-beta / alpha, (1.0 - beta) / alpha),
    )


def _scaled_tanh(alpha: float, beta: float) -> Activation:
    """Returns the activation α tanh(β z)."""
    return Activation(
        "scaled_tanh",
        lambda z: alpha * np.tanh(beta * z),
        lambda y: (alpha - np.square(y) * (1.0 / alpha)) * beta,
        (alpha, beta),
        max_difference=2.0 * alpha,
        built_on="tanh",
    )


def _softsign() -> Activation:
    """Returns the activation z / (1 + |z|)."""
    return Activation(
        "softsign",
        lambda z: z / (1.0 + np.where(z.real > 0, z, -z)),
        lambda y: np.square(1.0 - y * (2.0 * between(y) - 1.0)),
        kinks=(0.0,),
    )


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        sigmoid,
        tanh,
        _relu(),
        _leaky_relu(0.1),
        _elu(1.0),
        _affine(0.75, 0.1),
        _hard_sigmoid("hard_sigmoid", 0.2, 0.5),
        _hard_sigmoid("hard_sigmoid_6", 1 / 6, 0.5),
        _scaled_tanh(1.2, 0.8),
        _softsign(),
    )
}
"""Activations by name. ``hard_sigmoid`` has the slope of ONNX and Keras 2, ``hard_sigmoid_6`` that of Keras 3."""
