"""Nonlinearities that are wrong, each with the derivative of what it computes.

Those that clamp or clip are right wherever no value goes as far: that is for the values to say, not for ``applies``.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue import needs
from conformance.defects.catalogue.parts import takes_steps
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell

Applies = Callable[[Case], bool]

identity = Activation("identity", lambda z: z, np.ones_like)
relu = Activation("relu", lambda z: np.maximum(z, 0.0), lambda y: (y > 0) * 1.0)
hard_tanh = Activation("hard tanh", lambda z: np.clip(z, -1.0, 1.0), lambda y: (np.abs(y) < 1) * 1.0)
softsign = Activation("softsign", lambda z: z / (1.0 + np.abs(z)), lambda y: np.square(1.0 - np.abs(y)))
one = Activation("one", np.ones_like, np.zeros_like)


def hard_sigmoid(slope: float) -> Activation:
    """A straight line through 1/2 at 0, cut at 0 and 1."""
    return Activation(
        "hard sigmoid", lambda z: np.clip(slope * z + 0.5, 0.0, 1.0), lambda y: slope * ((y > 0) & (y < 1))
    )


def clamped(activation: Activation, limit: float) -> Activation:
    """An increasing activation whose argument is held within ±limit."""

    def slope(y: Any) -> Any:
        low, high = activation(np.array([-limit, limit], y.dtype))
        return np.where((low < y) & (y < high), activation.slope(y), 0.0)

    return Activation(activation.name, lambda z: activation.value(np.clip(z, -limit, limit)), slope)


def twice(activation: Activation, inverse: Callable[[Any], Any]) -> Activation:
    """An activation of its own value."""
    return Activation(
        activation.name,
        lambda z: activation.value(activation.value(z)),
        lambda y: activation.slope(y) * activation.slope(inverse(y)),
    )


def approximated(
    activation: Activation, error: Callable[[Any], Any], slope: Callable[[Any], Any], size: float
) -> Activation:
    """The right value y plus size · error(y); its slope is right but for terms in size².

    Args:
        activation: what is approximated.
        error: of y.
        slope: the error's derivative by y.
        size: how large the error is.
    """

    def slope_at(value: Any) -> Any:
        y = value - size * error(value)
        return (1.0 + size * slope(y)) * activation.slope(y)

    def value_at(z: Any) -> Any:
        y = activation.value(z)
        return y + size * error(y)

    return Activation(activation.name, value_at, slope_at)


def _defect(name: str, what: str, cell: Cell, stands_for: str = "", applies: Applies = takes_steps) -> Defect:
    return Defect(id=name, what=what, stands_for=stands_for, applies=applies, cell=lambda _: cell)


def _gates(activation: Activation) -> Cell:
    return Cell(input_gate=activation, forget_gate=activation, output_gate=activation)


def _tanhs(activation: Activation) -> Cell:
    return Cell(candidate=activation, cell_state=activation)


def _each_gate(name: str, what: str, activation: Activation) -> list[Defect]:
    """A defect for each of the gates, with ``{}`` for the gate's name."""
    return [
        _defect(
            name.format(gate),
            what.format(gate),
            Cell(**{f"{gate}_gate": activation}),
            applies=needs.forgetting if gate == "forget" else takes_steps,
        )
        for gate in ("input", "forget", "output")
    ]


def _hard(slope: float, name: str, formula: str, stands_for: str) -> list[Defect]:
    hard = hard_sigmoid(slope)
    return [
        _defect(f"hard-sigmoid-{name}", f"whose gates are {formula}, cut at 0 and 1", _gates(hard), stands_for),
        *_each_gate(f"hard-sigmoid-{name}-of-{{}}-gate", f"whose {{}} gate is {formula}, cut at 0 and 1", hard),
    ]


def _wavy(y: Any) -> Any:
    """An error relative to a sigmoid's value y, of both signs."""
    return y * np.cos(2 * np.pi * y)


def _wavy_slope(y: Any) -> Any:
    return np.cos(2 * np.pi * y) - 2 * np.pi * y * np.sin(2 * np.pi * y)


def _sigmoid_off(size: float) -> Defect:
    activation = approximated(sigmoid, _wavy, _wavy_slope, size)
    return Defect(
        id=f"sigmoid-off-by-{size:.0e}",
        what=f"whose sigmoid has relative errors of up to {size:.0e}, of either sign",
        applies=takes_steps,
        cell=lambda _: _gates(activation),
        size=size,
        sized=_sigmoid_off,
    )


def _sigmoid_high(size: float) -> Defect:
    activation = approximated(sigmoid, lambda y: y, np.ones_like, size)
    return Defect(
        id=f"sigmoid-high-by-{size:.0e}",
        what=f"whose sigmoid is {size:.0e} too large everywhere, in relative terms",
        applies=takes_steps,
        cell=lambda _: _gates(activation),
        size=size,
        sized=_sigmoid_high,
    )


def _tanh_off(size: float) -> Defect:
    # The cubic is odd, is 0 where tanh saturates, and is at most 1.
    scale = 1.5 * np.sqrt(3)
    activation = approximated(tanh, lambda y: scale * y * (1 - y * y), lambda y: scale * (1 - 3 * y * y), size)
    return Defect(
        id=f"tanh-off-by-{size:.0e}",
        what=f"whose tanh errs by up to {size:.0e}",
        applies=takes_steps,
        cell=lambda _: _tanhs(activation),
        size=size,
        sized=_tanh_off,
    )


DEFECTS = [
    *_hard(0.2, "0.2", "0.2 z + 0.5", "tfjs-layers, whose LSTM defaults to it"),
    *_hard(1 / 6, "one-sixth", "z / 6 + 0.5", "keras#19477"),
    *_each_gate("tanh-{}-gate", "whose {} gate is a tanh, not a sigmoid", tanh),
    _defect(
        "sigmoid-of-sigmoid",
        "whose gates are a sigmoid of a sigmoid",
        _gates(twice(sigmoid, lambda y: np.log(y) - np.log1p(-y))),
    ),
    _defect("sigmoid-candidate", "whose candidate is a sigmoid, not a tanh", Cell(candidate=sigmoid)),
    _defect("relu-candidate", "whose candidate is a relu, not a tanh", Cell(candidate=relu)),
    _defect("identity-candidate", "whose candidate is not squashed", Cell(candidate=identity)),
    _defect("identity-cell-state", "whose hidden state is o c, not o tanh(c)", Cell(cell_state=identity)),
    _defect("sigmoid-cell-state", "whose hidden state is o σ(c), not o tanh(c)", Cell(cell_state=sigmoid)),
    _defect("tanh-of-tanh", "whose hidden state is o tanh(tanh(c))", Cell(cell_state=twice(tanh, np.arctanh))),
    _defect("hard-tanh", "whose tanh is the identity, cut at ±1", _tanhs(hard_tanh)),
    _defect("softsign", "whose tanh is z / (1 + |z|)", _tanhs(softsign)),
    _defect("sigmoid-clamped-at-4", "whose sigmoid holds its argument within ±4", _gates(clamped(sigmoid, 4.0))),
    _defect("sigmoid-clamped-at-8", "whose sigmoid holds its argument within ±8", _gates(clamped(sigmoid, 8.0))),
    _defect("tanh-clamped-at-3", "whose tanh holds its argument within ±3", _tanhs(clamped(tanh, 3.0))),
    _defect("tanh-clamped-at-4", "whose tanh holds its argument within ±4", _tanhs(clamped(tanh, 4.0))),
    _defect(
        "gates-sums-clipped-at-1",
        "whose gates' sums are clipped to [-1, 1]",
        replace(_gates(clamped(sigmoid, 1.0)), candidate=clamped(tanh, 1.0)),
    ),
    *map(_sigmoid_off, (1e-4, 1e-5)),
    _sigmoid_high(1e-5),
    *map(_tanh_off, (1e-4, 1e-5)),
]
