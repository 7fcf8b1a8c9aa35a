"""Arrays that carry a model of their rounding error. Running the reference on them yields its error analysis.

``Rounded`` overrides operators and, through ``__array_ufunc__`` (NEP 13) and ``__array_function__`` (NEP 18), NumPy's
functions.
``reference.error_models`` contains the models of rounding.

A sum, including a matrix product, stays *open* until an operation other than a sum uses it. Implementations add the
terms of W_ih x + b_ih + W_hh h + b_hh in any order, so the whole expression counts as one sum.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from reference.activations import Activation

Array = NDArray[np.floating]
Context = TypeVar("Context")

_OPERATORS: Mapping[np.ufunc, Callable[..., Any]] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.negative: operator.neg,
    np.multiply: operator.mul,
    np.matmul: operator.matmul,
}
"""Python's operators by NumPy's function. A NumPy array as the left operand calls the latter."""


def mark_over_time(total: Any) -> Any:
    """Marks a sum over all time steps. Some implementations accumulate such sums in storage precision."""
    if not isinstance(total, np.ndarray):
        total.mark_over_time()
    return total


def clip_with_slope(array: Any, bound: float) -> tuple[Any, Any]:
    """Returns an array clipped to ±bound, and the derivative of the clip: 1 where |x| < bound, else 0."""
    if not isinstance(array, np.ndarray):
        return array.clip_with_slope(bound)  # type: ignore[no-any-return]
    unclipped = np.abs(array.real) < bound
    return np.where(unclipped, array, np.copysign(bound, array.real)), unclipped * 1.0


def transposed(weights: Any) -> Any:
    """Returns the transpose of a matrix, contiguous in memory: a product with a few rows then takes half the time."""
    return np.ascontiguousarray(weights.T) if isinstance(weights, np.ndarray) else weights.transposed()


def buffer_like(array: Any) -> Any:
    """Returns a buffer with the shape of an array: the array itself if it is plain, else a new one."""
    return array if isinstance(array, np.ndarray) else np.empty_like(array, shape=array.shape)


class Rounded(Generic[Context]):
    """An array with a model of its rounding error. Subclasses define the model.

    This class implements indexing, shapes, masks and the choice of the rounding rule for each NumPy operation.

    Attributes:
        context: what all arrays of a run share, such as the rounding constants. The subclass defines it.
        value: values (…), as floating-point numbers of any precision.
        error: error of each value, (…) or (·, …) with ``lead`` = 1. The subclass defines its meaning. None if exact.
        weight: for an open sum, the total weight of its terms (…). The subclass defines the weight of a term. None if
            no sum is open.
        terms: number of terms of an open sum.
        over_time: whether the open sum runs over all time steps.
    """

    lead = 0
    """Number of axes of ``error`` in front of those of ``value``."""

    def __init__(
        self, context: Context, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0
    ) -> None:
        self.context, self.value, self.error, self.weight, self.terms = context, value, error, weight, terms
        self.over_time = False

    # The rounding model. Subclasses override these methods.

    def _term_weight(self) -> Array:
        """Returns the weight that this array has as a term of an open sum."""
        raise NotImplementedError

    def _round_sum(self, terms: int, weight: Array) -> Self:
        """Adds the rounding error of an open sum."""
        raise NotImplementedError

    def rounded(self) -> Self:
        """Adds one rounding error to the result of an elementwise operation."""
        raise NotImplementedError

    def times(self, other: Self) -> Self:
        """Returns the elementwise product before rounding."""
        raise NotImplementedError

    def matmul(self, other: Self) -> Self:
        """Returns the matrix product as an open sum."""
        raise NotImplementedError

    def squared(self) -> Self:
        """Returns the elementwise square before rounding."""
        raise NotImplementedError

    def activate(self, activation: Activation) -> Self:
        """Returns the activation's value, including the error of its evaluation."""
        raise NotImplementedError

    def negative(self) -> Self:
        """Returns the negated array."""
        return self.new(-self.value, self.error)

    def between(self, low: float, high: float) -> Self:
        """Returns 1 where low < value < high, else 0."""
        closed = self.close_sum()
        return closed.new(((closed.value > low) & (closed.value < high)).astype(closed.value.dtype))

    def clip_with_slope(self, bound: float) -> tuple[Self, Self]:
        """Returns this array clipped to ±bound, and the derivative of the clip."""
        return self.clip(bound), self.between(-bound, bound)

    def clip(self, bound: float) -> Self:
        """Returns this array clipped to ±bound. Clipped elements are exact."""
        closed = self.close_sum()
        error = None if closed.error is None else np.where(np.abs(closed.value) > bound, 0.0, closed.error)
        value: Array = np.clip(closed.value, -bound, bound)
        return closed.new(value, error)

    def quantize(self, half_step: float) -> Self:
        """Adds the error of rounding to multiples of a step."""
        raise NotImplementedError

    @property
    def half_step(self) -> float:
        """Half a quantization step of this array as the left operand of a matrix product; 0 if it is not quantized."""
        return 0.0

    # Shared by all models.

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """Returns an array of the same class and context."""
        return type(self)(self.context, value, error, weight, terms)

    def exact(self, array: Any) -> Self:
        """Converts an array to this class and precision, without error. Returns arrays of this class unchanged."""
        return array if isinstance(array, type(self)) else self.new(np.asarray(array, self.value.dtype))

    def close_sum(self) -> Self:
        """Rounds the open sum. Returns the array unchanged if no sum is open."""
        return self if self.weight is None else self._round_sum(self.terms, self.weight)

    def plus(self, other: Self) -> Self:
        """Returns the sum of two arrays: an open sum if one of them is an open sum, else a rounded one."""
        value, error = self.value + other.value, add_errors(self.error, other.error)
        if error is not None and error.shape[self.lead :] != value.shape:
            error = np.broadcast_to(error, (*error.shape[: self.lead], *value.shape))
        if self.weight is None and other.weight is None:
            return self.new(value, error).rounded()
        weights = [part._term_weight() if part.weight is None else part.weight for part in (self, other)]
        total = self.new(value, error, weights[0] + weights[1], max(self.terms, 1) + max(other.terms, 1))
        total.over_time = self.over_time or other.over_time
        return total

    def sum(self, axis: int) -> Self:
        """Returns the open sum over an axis."""
        closed = self.close_sum()
        error = None if closed.error is None else closed.error.sum(axis + self.lead)
        weight = np.broadcast_to(closed._term_weight(), closed.value.shape)
        return self.new(closed.value.sum(axis), error, weight.sum(axis), closed.value.shape[axis])

    def mark_over_time(self) -> None:
        """Marks the open sum as one over all time steps."""
        self.over_time = True

    def transposed(self) -> Self:
        """Returns the transpose of a matrix, contiguous in memory."""
        return self._map(lambda part: np.ascontiguousarray(part.swapaxes(-2, -1)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``value``."""
        return self.value.shape

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """Transpose of the last two axes."""
        return self.swapaxes(-2, -1)

    def swapaxes(self, first: int, second: int) -> Self:
        """Returns the array with two axes swapped."""
        ndim = self.value.ndim
        return self._map(lambda part: part.swapaxes(first % ndim - ndim, second % ndim - ndim))

    def reshape(self, *shape: int) -> Self:
        """Returns the array with a new shape."""
        ndim = self.value.ndim
        return self._map(lambda part: part.reshape(*part.shape[: part.ndim - ndim], *shape))

    def __getitem__(self, index: Any) -> Self:
        index = index if isinstance(index, tuple) else (index,)
        error = None if self.error is None else self.error[(slice(None),) * self.lead + index]
        return self.new(self.value[index], error, None if self.weight is None else self.weight[index], self.terms)

    def __setitem__(self, index: Any, number: Any) -> None:
        number = self.exact(number).close_sum()
        index = index if isinstance(index, tuple) else (index,)
        self.value[index] = number.value
        if self.error is not None:
            self.error[(slice(None),) * self.lead + index] = 0.0 if number.error is None else number.error

    def _empty(self, shape: tuple[int, ...]) -> Self:
        """Returns an uninitialized array."""
        return self.new(np.empty(shape, self.value.dtype), self._empty_error(shape))

    def _empty_error(self, shape: tuple[int, ...]) -> Array:
        """Returns uninitialized errors for values with a shape."""
        return np.empty(shape, self.value.dtype)

    def _zero_error(self, shape: tuple[int, ...]) -> Array:
        """Returns errors of 0 for values with a shape."""
        error = self._empty_error(shape)
        error.fill(0.0)
        return error

    def full_error(self) -> Array:
        """Returns the error of each value, also if all are exact."""
        zero = self._zero_error(self.shape)
        return zero if self.error is None else np.broadcast_to(self.error, zero.shape)

    def _with_axes(self, ndim: int) -> Self:
        """Returns the array with axes of size 1 in front, so that the errors of arrays with as many axes broadcast."""
        lacking = ndim - self.value.ndim
        return self.reshape(*(1,) * lacking, *self.shape) if lacking else self

    def _map(self, change: Callable[[Array], Array]) -> Self:
        """Applies a function to the value, the error and the weight."""
        error, weight = (None if part is None else change(part) for part in (self.error, self.weight))
        return self.new(change(self.value), error, weight, self.terms)

    def _concatenate(self, numbers: Sequence[Self], axis: int) -> Self:
        """Returns the concatenation of several arrays along an axis, counted from the last."""
        numbers = [number.close_sum() for number in numbers]
        value = np.concatenate([number.value for number in numbers], axis)
        if all(number.error is None for number in numbers):
            return self.new(value)
        errors = [self._zero_error(number.shape) if number.error is None else number.error for number in numbers]
        return self.new(value, np.concatenate(errors, axis))

    def _where(self, mask: NDArray[np.bool_], chosen: Self, other: Self) -> Self:
        """Returns the elements of one array where a mask is True, and those of another elsewhere."""
        chosen, other = chosen.close_sum(), other.close_sum()
        value = np.where(mask, chosen.value, other.value)
        if chosen.error is None and other.error is None:
            return self.new(value)
        return self.new(value, np.where(mask, *(0.0 if part.error is None else part.error for part in (chosen, other))))

    # Operators do not call ufuncs: their dispatch would take most of the time of a small array.

    def __add__(self, other: Any) -> Self:
        one, other = self._aligned(other)
        return one.plus(other)

    __radd__ = __iadd__ = __add__

    def __sub__(self, other: Any) -> Self:
        one, other = self._aligned(other)
        return one.close_sum().plus(other.close_sum().negative())

    def __rsub__(self, other: Any) -> Self:
        return self.exact(other) - self

    def __neg__(self) -> Self:
        return self.close_sum().negative()

    def __mul__(self, other: Any) -> Self:
        one, other = self._aligned(other)
        return one.close_sum().times(other.close_sum()).rounded()

    __rmul__ = __mul__

    def __matmul__(self, other: Any) -> Self:
        closed = self.close_sum()
        half_step = closed.half_step
        return (closed.quantize(half_step) if half_step else closed).matmul(self.exact(other).close_sum())

    def _aligned(self, other: Any) -> tuple[Self, Self]:
        """Returns this array and another operand so that their errors broadcast as their values do."""
        other = self.exact(other)
        if self.lead and self.value.ndim != other.value.ndim:
            ndim = max(self.value.ndim, other.value.ndim)
            return self._with_axes(ndim), other._with_axes(ndim)
        return self, other

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        numbers = [self.exact(operand) for operand in operands]
        if ufunc is np.square:
            return numbers[0].close_sum().squared().rounded()
        return _OPERATORS[ufunc](*numbers) if ufunc in _OPERATORS else NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.concatenate:
            numbers = [self.exact(part) for part in args[0]]
            ndim = numbers[0].value.ndim
            return self._concatenate(numbers, options["axis"] % ndim - ndim)
        if function is np.empty_like:
            return self._empty(options["shape"])
        if function is np.where:
            mask, chosen, other = args
            return self._where(mask, self.exact(chosen), self.exact(other))
        return NotImplemented


def add_errors(first: Array | None, second: Array | None) -> Array | None:
    """Returns the sum of two errors. None means exact."""
    if first is None or second is None:
        return second if first is None else first
    return first + second
