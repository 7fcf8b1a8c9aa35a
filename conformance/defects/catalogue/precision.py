"""Lower precision than the dtype of the case, such as undeclared TF32, in one place. Everything else is exact."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue.changed_cells import cell_defect
from conformance.defects.catalogue.conditions import Condition, double, single_or_double
from conformance.defects.catalogue.tensors import change_tensors
from conformance.defects.defect import Defect
from reference.activations import Activation
from reference.arithmetic import Rounded
from reference.cell import Cell, Step

Array = NDArray[np.float64]

SINGLE, TF32, HALF, BFLOAT16 = 24, 11, 11, 8
"""Significant bits of the formats. The exponent range is not modelled: no value overflows or underflows."""


def round_to_bits(values: Any, bits: int) -> Any:
    """Rounds values to a number of significant bits, to nearest, ties to even."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


class Exact(Rounded[None]):
    """An array on which every operation is exact. Subclasses round in one operation."""

    @classmethod
    def lift(cls, array: Any) -> Self:
        """Converts an array to this class."""
        return cls(None, np.asarray(array, np.float64))

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape))

    def rounded(self) -> Self:
        """Returns the array unchanged."""
        return self

    def times(self, other: Self) -> Self:
        """Returns the elementwise product."""
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        """Returns the squares."""
        return self.new(np.square(self.value))

    def sum(self, axis: int) -> Self:
        """Returns the sum over an axis."""
        return self.new(self.value.sum(axis))

    def matmul(self, other: Self) -> Self:
        """Returns the matrix product."""
        return self.new(self.value @ other.value)

    def activate(self, activation: Activation) -> Self:
        """Returns the activation's values."""
        return self.new(activation(self.value))


def rounding_operands(bits: int) -> type[Exact]:
    """Returns a class of arrays that round the operands of matrix products."""

    class RoundedOperands(Exact):
        def matmul(self, other: Self) -> Self:
            return self.new(round_to_bits(self.value, bits) @ round_to_bits(other.value, bits))

    return RoundedOperands


def rounding_sums(bits: int) -> type[Exact]:
    """Returns a class of arrays that sum matrix products term by term and round each partial sum."""

    class RoundedSums(Exact):
        def matmul(self, other: Self) -> Self:
            total = np.zeros((self.value.shape[0], other.value.shape[1]))
            for column, row in zip(self.value.T, other.value, strict=True):
                total = round_to_bits(total + np.outer(column, row), bits)
            return self.new(total)

    return RoundedSums


def rounding_activations(bits: int) -> type[Exact]:
    """Returns a class of arrays that round the values of activations."""

    class RoundedActivations(Exact):
        def activate(self, activation: Activation) -> Self:
            return self.new(round_to_bits(activation(self.value), bits))

    return RoundedActivations


class RoundedStates(Cell):
    """A cell that rounds its states at each step. Gradients flow through the rounding unchanged.

    Attributes:
        h_bits: significant bits of the hidden state before any projection; None to leave it exact.
        c_bits: significant bits of the cell state; None to leave it exact.
    """

    def __init__(self, h_bits: int | None = None, c_bits: int | None = None) -> None:
        super().__init__()
        self.h_bits, self.c_bits = h_bits, c_bits

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        m, c, step = super().step(z, c_previous)
        return (
            m if self.h_bits is None else round_to_bits(m, self.h_bits),
            c if self.c_bits is None else round_to_bits(c, self.c_bits),
            step,
        )


def _quantise(matrix: Any, case: Case) -> Any:
    """Rounds a matrix to 8-bit integers with a common scale."""
    del case
    scale = np.abs(matrix).max() / 127
    return np.round(matrix / scale) * scale


def _round(bits: int) -> Callable[[Any, Case], Any]:
    return lambda array, _: round_to_bits(array, bits)


_FORMATS: dict[str, tuple[int, Condition]] = {
    "bfloat16": (BFLOAT16, single_or_double),
    "float16": (HALF, single_or_double),
    "float32": (SINGLE, double),
}
"""Significant bits of each narrow format, and the condition that the dtype of the case is wider."""


def _in_format(name: str) -> list[Defect]:
    bits, requires = _FORMATS[name]
    return [
        Defect(
            id=f"accumulates-in-{name}",
            what=f"whose matrix products are accumulated in {name}",
            requires=requires,
            lift=rounding_sums(bits).lift,
        ),
        Defect(
            id=f"activations-in-{name}",
            what=f"whose activations are rounded to {name}",
            requires=requires,
            lift=rounding_activations(bits).lift,
        ),
        cell_defect(
            f"hidden-state-in-{name}",
            f"whose hidden state (before any projection) is stored in {name}",
            RoundedStates(h_bits=bits),
            requires,
        ),
        cell_defect(
            f"cell-state-in-{name}", f"whose cell state is stored in {name}", RoundedStates(c_bits=bits), requires
        ),
        Defect(
            id=f"parameters-in-{name}",
            what=f"whose parameters are rounded to {name}",
            # Values are drawn in the dtype of the case, so rounding to the same dtype would change nothing.
            requires=requires,
            shifts=change_tensors(("weight", "bias"), _round(bits)),
        ),
        Defect(
            id=f"input-in-{name}",
            what=f"whose input is rounded to {name}",
            requires=requires,
            shifts=change_tensors("input", _round(bits)),
        ),
    ]


DEFECTS = [
    Defect(
        id="operands-in-tf32",
        what="whose matrix products round their operands to TF32 without declaring it",
        requires=single_or_double,
        lift=rounding_operands(TF32).lift,
    ),
    Defect(
        id="operands-in-bfloat16",
        what="whose matrix products round their operands to bfloat16",
        requires=single_or_double,
        lift=rounding_operands(BFLOAT16).lift,
    ),
    Defect(
        id="operands-in-float32",
        what="whose matrix products round their operands to float32",
        requires=double,
        lift=rounding_operands(SINGLE).lift,
    ),
    *(defect for name in _FORMATS for defect in _in_format(name)),
    Defect(
        id="weights-in-int8",
        what="whose weights are quantised to 8 bits, with one scale per matrix",
        requires=single_or_double,
        shifts=change_tensors("weight", _quantise),
    ),
]
