"""Activations, with their derivatives written in terms of the activation's own value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Activation:
    """A gate's nonlinearity.

    Attributes:
        name: the field's name for it.
        value: f(z), elementwise, for any NumPy floating-point or complex dtype.
        slope: f'(z) as a function of y = f(z). It must not grow with |z|: the error analysis relies on it.
    """

    name: str
    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]

    def __call__(self, z: Any) -> Any:
        """f(z), for an array or for numbers that carry their error (``reference.rounding``)."""
        return self.value(z) if isinstance(z, np.ndarray) else z.activate(self)


def _sigmoid(z: Any) -> Any:
    """1 / (1 + e^-z): accurate in relative terms for every z; e^-z may overflow to the correct limit."""
    y = np.exp(np.negative(z))
    y += 1.0
    return np.reciprocal(y, out=y)


sigmoid = Activation("sigmoid", _sigmoid, lambda y: y * (1.0 - y))
tanh = Activation("tanh", np.tanh, lambda y: 1.0 - np.square(y))
