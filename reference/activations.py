"""Activations, with their derivatives written in terms of the activation's own value.

Names and formulas are ONNX's, https://onnx.ai/onnx/operators/onnx__LSTM.html; the constants of those that take some are
fixed here, so that a name says all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Activation:
    """A nonlinearity. It never falls.

    Attributes:
        name: the field's name for it.
        value: f(z), elementwise, for any NumPy floating-point or complex dtype.
        slope: f'(z) as a function of y = f(z).
        constants: α and β, where it takes some.
        steepest: the largest slope of one that is made of pieces: there it may be constant, and is then exact; None for
            a smooth one, whose slope must be largest at 0 and fall with |z|. The error analysis relies on both.
        reach: how far apart two of its values can be.
        built_on: the function that it is a multiple of: an approximation of that errs with one sign.
    """

    name: str
    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    constants: tuple[float, ...] = ()
    steepest: float | None = None
    reach: float = 2.0
    built_on: str = ""

    def __call__(self, z: Any) -> Any:
        """f(z), for an array or for numbers that carry their error (``reference.rounding``)."""
        return self.value(z) if isinstance(z, np.ndarray) else z.activate(self)


def _sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z): accurate in relative terms for every z; e^-z may overflow to the correct limit."""
    y = np.exp(np.negative(z))
    y += 1.0
    return np.reciprocal(y, out=y)


def between(y: Any, low: float = 0.0, high: float = np.inf) -> Any:
    """1 where low < y < high, else 0: for an array, or for numbers that carry their error."""
    return ((y > low) & (y < high)) * 1.0 if isinstance(y, np.ndarray) else y.between(low, high)


sigmoid = Activation("sigmoid", _sigmoid, lambda y: y * (1.0 - y), built_on="sigmoid")
tanh = Activation("tanh", np.tanh, lambda y: 1.0 - np.square(y), built_on="tanh")


# Comparisons look at the real part, so that a complex step goes through.


def _relu() -> Activation:
    """max(z, 0)."""
    return Activation("relu", lambda z: np.where(z.real > 0, z, 0.0), between, steepest=1.0, reach=np.inf)


def _leaky_relu(alpha: float) -> Activation:
    """z, or α z where z < 0."""
    return Activation(
        "leaky_relu",
        lambda z: np.where(z.real > 0, z, alpha * z),
        lambda y: (1.0 - alpha) * between(y) + alpha,
        (alpha,),
        steepest=1.0,
        reach=np.inf,
    )


def _elu(alpha: float) -> Activation:
    """z, or α (e^z - 1) where z < 0."""
    return Activation(
        "elu",
        lambda z: np.where(z.real > 0, z, alpha * np.expm1(np.where(z.real > 0, 0.0, z))),
        lambda y: (1.0 - between(y)) * (y + alpha) + between(y),
        (alpha,),
        steepest=max(1.0, alpha),
        reach=np.inf,
    )


def _affine(alpha: float, beta: float) -> Activation:
    """α z + β."""
    return Activation(
        "affine", lambda z: alpha * z + beta, lambda y: y * 0.0 + alpha, (alpha, beta), steepest=alpha, reach=np.inf
    )


def _hard_sigmoid(name: str, alpha: float, beta: float) -> Activation:
    """α z + β, cut at 0 and 1."""
    return Activation(
        name,
        lambda z: np.where(z.real * alpha + beta > 0, np.where(z.real * alpha + beta < 1, z * alpha + beta, 1.0), 0.0),
        lambda y: between(y, 0.0, 1.0) * alpha,
        (alpha, beta),
        steepest=alpha,
    )


def _scaled_tanh(alpha: float, beta: float) -> Activation:
    """α tanh(β z)."""
    return Activation(
        "scaled_tanh",
        lambda z: alpha * np.tanh(beta * z),
        lambda y: (alpha - np.square(y) * (1.0 / alpha)) * beta,
        (alpha, beta),
        reach=2.0 * alpha,
        built_on="tanh",
    )


def _softsign() -> Activation:
    """Z / (1 + |z|)."""
    return Activation(
        "softsign",
        lambda z: z / (1.0 + np.where(z.real > 0, z, -z)),
        lambda y: np.square(1.0 - y * (2.0 * between(y) - 1.0)),
    )


ACTIVATIONS: dict[str, Activation] = {
    each.name: each
    for each in (
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
"""All of them by name. ``hard_sigmoid`` has the slope that ONNX and Keras 2 default to, ``hard_sigmoid_6`` Keras 3."""
