"""Arrays that carry a model of their rounding error. Running the reference on them yields its error analysis.

``Rounded`` overrides NumPy's operations through ``__array_ufunc__`` (NEP 13) and ``__array_function__`` (NEP 18).
``reference.error_models`` contains the models of rounding.

A sum, including a matrix product, stays *open* until an operation other than a sum uses it. Implementations add the
terms of W_ih x + b_ih + W_hh h + b_hh in any order, so the whole expression counts as one sum.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from reference.activations import Activation
from reference.profile import Profile

Array = NDArray[np.float64]


def mark_over_time(total: Any) -> Any:
    """Marks a sum over all time steps. Some implementations accumulate such sums in storage precision."""
    if isinstance(total, Rounded):
        total.over_time = True
    return total


def clip_with_slope(array: Any, bound: float) -> tuple[Any, Any]:
    """Returns an array clipped to ±bound, and the derivative of the clip: 1 where |x| < bound, else 0."""
    if isinstance(array, Rounded):
        return array.clip(bound), array.between(-bound, bound)
    unclipped = np.abs(array.real) < bound
    return np.where(unclipped, array, np.copysign(bound, array.real)), unclipped * 1.0


def buffer_like(array: Any) -> Any:
    """Returns a buffer with the shape of an array: the array itself if it is plain, a new one if it is ``Rounded``."""
    return np.empty_like(array, shape=array.shape) if isinstance(array, Rounded) else array


class Rounded(NDArrayOperatorsMixin):
    """An array with a model of its rounding error. Subclasses define the model.

    This class implements indexing, shapes, masks and the choice of the rounding rule for each NumPy operation.

    Attributes:
        profile: rounding constants.
        value: float64 values (…), or (K, …) with K samples if ``lead`` is 1.
        error: error of each value, shaped like ``value``. The subclass defines its meaning. None if exact.
        weight: for an open sum, the total weight of its terms, shaped like ``value``. The subclass defines the weight
            of a term. None if no sum is open.
        terms: number of terms of an open sum.
        over_time: whether the open sum runs over all time steps.
    """

    lead = 0
    """Number of sample axes in front of the array's own axes."""

    def __init__(
        self, profile: Profile, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0
    ) -> None:
        self.profile, self.value, self.error, self.weight, self.terms = profile, value, error, weight, terms
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

    def between(self, low: float, high: float) -> Self:
        """Returns 1 where low < value < high, else 0."""
        closed = self.close_sum()
        return closed.new(((closed.value > low) & (closed.value < high)).astype(np.float64))

    def clip(self, bound: float) -> Self:
        """Returns this array clipped to ±bound. Clipped elements are exact."""
        closed = self.close_sum()
        error = None if closed.error is None else np.where(np.abs(closed.value) > bound, 0.0, closed.error)
        value: Array = np.clip(closed.value, -bound, bound)
        return closed.new(value, error)

    # Shared by all models.

    def new(self, value: Array, error: Array | None = None, weight: Array | None = None, terms: int = 0) -> Self:
        """Returns an array of the same class and profile."""
        return type(self)(self.profile, value, error, weight, terms)

    def exact(self, array: Any) -> Self:
        """Converts an array to this class without error. Returns arrays of this class unchanged."""
        if isinstance(array, type(self)):
            return array
        return self.new(np.asarray(array, np.float64)[(None,) * self.lead])

    def close_sum(self) -> Self:
        """Rounds the open sum. Returns the array unchanged if no sum is open."""
        return self if self.weight is None else self._round_sum(self.terms, self.weight)

    def plus(self, other: Self) -> Self:
        """Returns the sum of two arrays: an open sum if one of them is an open sum, else a rounded one."""
        value, error = self.value + other.value, add_errors(self.error, other.error)
        error = None if error is None else np.broadcast_to(error, value.shape)
        if self.weight is None and other.weight is None:
            return self.new(value, error).rounded()
        weights = [part._term_weight() if part.weight is None else part.weight for part in (self, other)]
        return self.new(value, error, weights[0] + weights[1], max(self.terms, 1) + max(other.terms, 1))

    def sum(self, axis: int) -> Self:
        """Returns the open sum over an axis."""
        closed = self.close_sum()
        axis, error = axis + self.lead, closed.error
        weight = np.broadcast_to(closed._term_weight(), closed.value.shape)
        error = None if error is None else error.sum(axis)
        return self.new(closed.value.sum(axis), error, weight.sum(axis), closed.value.shape[axis])

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the sample axes."""
        return self.value.shape[self.lead :]

    @property
    def T(self) -> Self:  # noqa: N802 - NumPy's name
        """Transpose of the last two axes."""
        return self.swapaxes(-2, -1)

    def swapaxes(self, first: int, second: int) -> Self:
        """Returns the array with two axes swapped."""
        first, second = (axis + self.lead if axis >= 0 else axis for axis in (first, second))
        return self._map(lambda part: part.swapaxes(first, second))

    def reshape(self, *shape: int) -> Self:
        """Returns the array with a new shape."""
        return self._map(lambda part: part.reshape(*part.shape[: self.lead], *shape))

    def __getitem__(self, index: Any) -> Self:
        index = index if isinstance(index, tuple) else (index,)
        return self._map(lambda part: part[(slice(None),) * self.lead + index])

    def __setitem__(self, index: Any, number: Any) -> None:
        number = self.exact(number).close_sum()
        index = (slice(None),) * self.lead + (index if isinstance(index, tuple) else (index,))
        self.value[index] = number.value
        if self.error is not None:
            self.error[index] = 0.0 if number.error is None else number.error

    def _empty(self, shape: tuple[int, ...]) -> Self:
        """Returns an uninitialized array."""
        return self.new(np.empty(shape), np.empty(shape))

    def _map(self, change: Callable[[Array], Array]) -> Self:
        """Applies a function to the value, the error and the weight."""
        error, weight = (None if part is None else change(part) for part in (self.error, self.weight))
        return self.new(change(self.value), error, weight, self.terms)

    def _join(self, combine: Callable[[Sequence[Array]], Array], numbers: Sequence[Self]) -> Self:
        """Combines several arrays into one by applying a function to their values and to their errors."""
        numbers = [number.close_sum() for number in numbers]
        value = combine(self._match_samples([number.value for number in numbers]))
        if all(number.error is None for number in numbers):
            return self.new(value)
        errors = [np.zeros(n.value.shape) if n.error is None else n.error for n in numbers]
        return self.new(value, combine(self._match_samples(errors)))

    def _match_samples(self, arrays: list[Array]) -> list[Array]:
        """Broadcasts the sample axis of several arrays to the same size."""
        if not self.lead:
            return arrays
        samples = max(array.shape[0] for array in arrays)
        return [np.broadcast_to(array, (samples, *array.shape[1:])) if array.ndim > 1 else array for array in arrays]

    def __iadd__(self, other: Any) -> Self:
        return self + other  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> Any:
        if method != "__call__" or options:
            return NotImplemented
        numbers = [self.exact(operand) for operand in operands]
        if self.lead and ufunc is not np.matmul:
            ndim = max(len(number.shape) for number in numbers)
            numbers = [number.reshape(*(1,) * (ndim - len(number.shape)), *number.shape) for number in numbers]
        if ufunc is np.add:
            return numbers[0].plus(numbers[1])
        closed = [number.close_sum() for number in numbers]
        if ufunc is np.subtract:
            return closed[0].plus(closed[1].new(-closed[1].value, closed[1].error))
        if ufunc is np.multiply:
            return closed[0].times(closed[1]).rounded()
        if ufunc is np.square:
            return closed[0].squared().rounded()
        if ufunc is np.matmul:
            return closed[0].matmul(closed[1])
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.concatenate:
            axis = options["axis"] + (self.lead if options["axis"] >= 0 else 0)
            return self._join(lambda parts: np.concatenate(parts, axis=axis), [self.exact(part) for part in args[0]])
        if function is np.empty_like:
            return self._empty(options["shape"])
        if function is np.where:
            mask, chosen, other = args
            return self._join(lambda parts: np.where(mask, *parts), [self.exact(chosen), self.exact(other)])
        return NotImplemented


def add_errors(first: Array | None, second: Array | None) -> Array | None:
    """Returns the sum of two errors. None means exact."""
    if first is None or second is None:
        return second if first is None else first
    return first + second
