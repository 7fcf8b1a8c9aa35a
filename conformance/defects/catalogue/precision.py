"""Less precision than the case's: undeclared TF32 or 16 bits somewhere inside. All else is exact."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.defect import Arrays, Defect
from reference import PROFILES
from reference.activations import Activation
from reference.arithmetic import Rounded
from reference.cell import Cell, Step

Array = NDArray[np.float64]

SINGLE, TF32, HALF, BFLOAT16 = 24, 11, 11, 8
"""Significant bits. What overflows or underflows is left as it is: it does not occur at the sizes met here."""


def rounded(values: Any, bits: int) -> Any:
    """Values rounded to so many significant bits, to nearest, ties to even."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


class Habit(Rounded):
    """Exact but for one habit of rounding, which subclasses have: the base has none."""

    @classmethod
    def lift(cls, array: Any) -> Self:
        """An array as such numbers."""
        return cls(PROFILES["float64"], np.asarray(array, np.float64))

    def _empty(self, shape: tuple[int, ...]) -> Self:
        return self.new(np.empty(shape))

    def rounded(self) -> Self:
        """As it is."""
        return self

    def times(self, other: Self) -> Self:
        """The product."""
        return self.new(self.value * other.value)

    def squared(self) -> Self:
        """The square."""
        return self.new(np.square(self.value))

    def sum(self, axis: int) -> Self:
        """The sum over an axis."""
        return self.new(self.value.sum(axis))

    def matmul(self, other: Self) -> Self:
        """The matrix product."""
        return self.new(self.value @ other.value)

    def activate(self, activation: Activation) -> Self:
        """The activation's value."""
        return self.new(activation(self.value))


def operands(bits: int) -> type[Habit]:
    """Numbers that are rounded when they become operands of matrix products."""

    class Operands(Habit):
        def matmul(self, other: Self) -> Self:
            return self.new(rounded(self.value, bits) @ rounded(other.value, bits))

    return Operands


def accumulated(bits: int) -> type[Habit]:
    """Numbers whose matrix products are summed term by term, each partial sum rounded."""

    class Accumulated(Habit):
        def matmul(self, other: Self) -> Self:
            total = np.zeros((self.value.shape[0], other.value.shape[1]))
            for column, row in zip(self.value.T, other.value, strict=True):
                total = rounded(total + np.outer(column, row), bits)
            return self.new(total)

    return Accumulated


def activated(bits: int) -> type[Habit]:
    """Numbers whose activations are rounded."""

    class Activated(Habit):
        def activate(self, activation: Activation) -> Self:
            return self.new(rounded(activation(self.value), bits))

    return Activated


class StoredState(Cell):
    """A cell that keeps a state in fewer bits from one step to the next; its gradient passes through unchanged."""

    def __init__(self, h_bits: int | None = None, c_bits: int | None = None) -> None:
        super().__init__()
        self.h_bits, self.c_bits = h_bits, c_bits

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """One step forward."""
        m, c, step = super().step(z, c_previous)
        return (
            m if self.h_bits is None else rounded(m, self.h_bits),
            c if self.c_bits is None else rounded(c, self.c_bits),
            step,
        )


def _quantised(tensors: Arrays, case: Case) -> Arrays:
    """Each matrix to 8-bit integers times one scale."""
    del case

    def quantise(array: Any) -> Any:
        scale = np.abs(array).max() / 127
        return np.round(array / scale) * scale

    return {name: quantise(array) if name.startswith("weight") else array for name, array in tensors.items()}


def _narrowed(names: tuple[str, ...], bits: int) -> Callable[[Arrays, Case], Arrays]:
    """Tensors stored in fewer bits before the run."""

    def narrow(tensors: Arrays, case: Case) -> Arrays:
        del case
        return {name: rounded(array, bits) if name.startswith(names) else array for name, array in tensors.items()}

    return narrow


_FORMATS: dict[str, tuple[int, Callable[[Case], bool]]] = {
    "bfloat16": (BFLOAT16, needs.single),
    "float16": (HALF, needs.single),
    "float32": (SINGLE, needs.double),
}


def _in(name: str) -> list[Defect]:
    """What can be in a narrower format than the case's."""
    bits, applies = _FORMATS[name]
    return [
        Defect(
            id=f"accumulates-in-{name}",
            what=f"whose matrix products are accumulated in {name}",
            applies=applies,
            lift=accumulated(bits).lift,
        ),
        Defect(
            id=f"activations-in-{name}",
            what=f"whose activations are rounded to {name}",
            applies=applies,
            lift=activated(bits).lift,
        ),
        Defect(
            id=f"hidden-state-in-{name}",
            what=f"whose hidden state (before any projection) is kept in {name}",
            applies=applies,
            cell=lambda _: StoredState(h_bits=bits),
        ),
        Defect(
            id=f"cell-state-in-{name}",
            what=f"whose cell state is kept in {name}",
            applies=applies,
            cell=lambda _: StoredState(c_bits=bits),
        ),
        Defect(
            id=f"parameters-in-{name}",
            what=f"whose parameters are rounded to {name}",
            # The values of a float64 case have more bits than float32 holds; those of a float32 case are as they are.
            applies=applies,
            shifts=_narrowed(("weight", "bias"), bits),
        ),
        Defect(
            id=f"input-in-{name}",
            what=f"whose input is rounded to {name}",
            applies=applies,
            shifts=_narrowed(("input",), bits),
        ),
    ]


DEFECTS = [
    Defect(
        id="operands-in-tf32",
        what="whose matrix products round their operands to TF32, undeclared",
        applies=needs.single,
        lift=operands(TF32).lift,
    ),
    Defect(
        id="operands-in-bfloat16",
        what="whose matrix products round their operands to bfloat16",
        applies=needs.single,
        lift=operands(BFLOAT16).lift,
    ),
    Defect(
        id="operands-in-float32",
        what="whose matrix products round their operands to float32",
        applies=needs.double,
        lift=operands(SINGLE).lift,
    ),
    *(defect for name in _FORMATS for defect in _in(name)),
    Defect(
        id="weights-in-int8",
        what="whose weights are quantised to 8 bits, with one scale for each matrix",
        applies=needs.single,
        shifts=_quantised,
    ),
]
