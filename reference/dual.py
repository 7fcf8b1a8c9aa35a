"""Arrays that carry their derivative along a direction, for forward-mode and second derivatives.

With a dot for the derivative along the direction, forward-mode differentiation turns the equations of one time step
(``reference.cell``) into

    ż_t = Ẇ_ih x_t + W_ih ẋ_t + ḃ_ih + Ẇ_hh h_{t-1} + W_hh ḣ_{t-1} + ḃ_hh
    i̇_t = σ'(z_i) ⊙ ż_i    and so on for f, g and o
    ċ_t = ḟ_t ⊙ c_{t-1} + f_t ⊙ ċ_{t-1} + i̇_t ⊙ g_t + i_t ⊙ ġ_t
    ṁ_t = ȯ_t ⊙ tanh(c_t) + o_t ⊙ tanh'(c_t) ⊙ ċ_t

and those of the backward pass (``Cell.step_back``) into

    δ̇c_t ← δ̇c_t + δ̇m_t ⊙ ∂m_t/∂c_t + δm_t ⊙ (∂m_t/∂c_t)˙
    δ̇z_k = δ̇c_t ⊙ ∂c_t/∂z_k + δc_t ⊙ (∂c_t/∂z_k)˙                     for k = i, f, g, and the same for δ̇z_o
    δ̇h_{t-1} = Ẇ_hhᵀ δz_t + W_hhᵀ δ̇z_t
    (∂L/∂W_hh)˙ = Σ_t δ̇z_t h_{t-1}ᵀ + δz_t ḣ_{t-1}ᵀ                      and so on for the other parameters

The derivatives of the outputs are the Jacobian-vector product. Those of the gradients are the Hessian-vector product,
forward over reverse. Both are ``Dual`` arithmetic: every operation of the reference also applies its rule of
differentiation. All options of the reference are therefore differentiated, and value and derivative cannot drift apart.

Sources: R. E. Wengert, A simple automatic derivative evaluation program (1964), for the forward mode;
B. A. Pearlmutter, Fast exact multiplication by the Hessian (1994), for the product with the Hessian.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from reference.activations import Activation, between
from reference.arithmetic import clip_with_slope, mark_over_time, transposed


class Dual(NDArrayOperatorsMixin):
    """An array and its derivative along a direction.

    Attributes:
        value: values: a NumPy array, or one of ``reference.arithmetic``.
        tangent: derivative of the values, an array of the same kind and shape; None if the values are constant.
    """

    def __init__(self, value: Any, tangent: Any = None) -> None:
        self.value, self.tangent = value, tangent

    @property
    def derivative(self) -> Any:
        """Derivative of the values: ``tangent``, with zeros in place of None."""
        return self.value * 0.0 if self.tangent is None else self.tangent

    def activate(self, activation: Activation) -> "Dual":
        """Returns f(z) and f'(z) ⊙ ż."""
        y = activation(self.value)
        return Dual(y, None if self.tangent is None else activation.slope(y) * self.tangent)

    def between(self, low: float, high: float) -> "Dual":
        """Returns 1 where low < value < high, else 0. Its derivative is 0."""
        return Dual(between(self.value, low, high))

    def clip_with_slope(self, bound: float) -> tuple["Dual", "Dual"]:
        """Returns this array clipped to ±bound, and the derivative of the clip, which is constant."""
        clipped, unclipped = clip_with_slope(self.value, bound)
        return Dual(clipped, None if self.tangent is None else unclipped * self.tangent), Dual(unclipped)

    def sum(self, axis: int) -> "Dual":
        """Returns the sum over an axis."""
        return self._map(lambda part: part.sum(axis))

    def mark_over_time(self) -> None:
        """Marks a sum over all time steps, see ``reference.arithmetic.mark_over_time``."""
        self._map(mark_over_time)

    def transposed(self) -> "Dual":
        """Returns the transpose of a matrix, contiguous in memory."""
        return self._map(transposed)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``value``."""
        return self.value.shape  # type: ignore[no-any-return]

    @property
    def T(self) -> "Dual":  # noqa: N802 - NumPy's name
        """Transpose of a matrix."""
        return self._map(lambda part: part.T)

    def swapaxes(self, first: int, second: int) -> "Dual":
        """Returns the array with two axes swapped."""
        return self._map(lambda part: part.swapaxes(first, second))

    def reshape(self, *shape: int) -> "Dual":
        """Returns the array with a new shape."""
        return self._map(lambda part: part.reshape(*shape))

    def __getitem__(self, index: Any) -> "Dual":
        return self._map(lambda part: part[index])

    def __setitem__(self, index: Any, array: Any) -> None:
        array = _dual(array)
        self.value[index] = array.value
        if self.tangent is not None:
            self.tangent[index] = 0.0 if array.tangent is None else array.tangent
        elif array.tangent is not None:
            raise ValueError("an element of a constant cannot have a tangent")

    def __iadd__(self, other: Any) -> "Dual":
        return self + other  # type: ignore[no-any-return]

    def _map(self, change: Callable[[Any], Any]) -> "Dual":
        """Applies a linear function to value and tangent."""
        return Dual(change(self.value), None if self.tangent is None else change(self.tangent))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options or ufunc not in _RULES:
            return NotImplemented
        return _RULES[ufunc](*map(_dual, operands))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.concatenate:
            return _concatenate([_dual(part) for part in args[0]], options["axis"])
        if function is np.empty_like:
            empty = [np.empty_like(self.value, shape=options["shape"]) for _ in range(2)]
            return Dual(*empty)
        if function is np.where:
            mask, chosen, other = args
            return _where(mask, _dual(chosen), _dual(other))
        return NotImplemented


def _dual(array: Any) -> Dual:
    """Returns an array as a ``Dual``: a constant, unless it is one already."""
    return array if isinstance(array, Dual) else Dual(array)


def _plus(first: Any, second: Any) -> Any:
    """Returns the sum of two tangents. None stands for 0."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


def _sum(a: Dual, b: Dual) -> Dual:
    return Dual(a.value + b.value, _plus(a.tangent, b.tangent))


def _negative(a: Dual) -> Dual:
    return a._map(np.negative)


def _product(multiply: Callable[[Any, Any], Any]) -> Callable[[Dual, Dual], Dual]:
    """Returns the product rule (ab)˙ = ȧb + aḃ of an elementwise or a matrix product."""

    def rule(a: Dual, b: Dual) -> Dual:
        left = None if a.tangent is None else multiply(a.tangent, b.value)
        right = None if b.tangent is None else multiply(a.value, b.tangent)
        return Dual(multiply(a.value, b.value), _plus(left, right))

    return rule


def _square(a: Dual) -> Dual:
    return Dual(np.square(a.value), None if a.tangent is None else 2.0 * a.value * a.tangent)


_RULES: dict[Any, Callable[..., Dual]] = {
    np.add: _sum,
    np.subtract: lambda a, b: _sum(a, _negative(b)),
    np.negative: _negative,
    np.multiply: _product(np.multiply),
    np.matmul: _product(np.matmul),
    np.square: _square,
}
"""Rules of differentiation of the operations that the reference uses."""


def _concatenate(arrays: Sequence[Dual], axis: int) -> Dual:
    value = np.concatenate([array.value for array in arrays], axis=axis)
    if all(array.tangent is None for array in arrays):
        return Dual(value)
    return Dual(value, np.concatenate([array.derivative for array in arrays], axis=axis))


def _where(mask: Any, chosen: Dual, other: Dual) -> Dual:
    value = np.where(mask, chosen.value, other.value)
    if chosen.tangent is None and other.tangent is None:
        return Dual(value)
    return Dual(value, np.where(mask, chosen.derivative, other.derivative))
