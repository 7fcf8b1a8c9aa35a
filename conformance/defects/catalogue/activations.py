"""Wrong activations, each with its own derivative.

A clamped activation is correct until its argument reaches the bound. That depends on the values of a case, which
``requires`` does not check.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.defects.catalogue.changed_cells import cell_defect
from conformance.defects.catalogue.conditions import forget_gate_matters, has_steps
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell

identity = Activation("identity", lambda z: z, np.ones_like)
relu = Activation("relu", lambda z: np.maximum(z, 0.0), lambda y: (y > 0) * 1.0)
hard_tanh = Activation("hard tanh", lambda z: np.clip(z, -1.0, 1.0), lambda y: (np.abs(y) < 1) * 1.0)
softsign = Activation("softsign", lambda z: z / (1.0 + np.abs(z)), lambda y: np.square(1.0 - np.abs(y)))
one = Activation("one", np.ones_like, np.zeros_like)


def hard_sigmoid(slope: float) -> Activation:
    """Returns the activation slope · z + 1/2, clipped to [0, 1]."""
    return Activation(
        "hard sigmoid", lambda z: np.clip(slope * z + 0.5, 0.0, 1.0), lambda y: slope * ((y > 0) & (y < 1))
    )


def clamped(activation: Activation, limit: float) -> Activation:
    """Returns an increasing activation with its argument clamped to ±limit."""

    def slope(y: Any) -> Any:
        low, high = activation(np.array([-limit, limit], y.dtype))
        return np.where((low < y) & (y < high), activation.slope(y), 0.0)

    return Activation(activation.name, lambda z: activation.value(np.clip(z, -limit, limit)), slope)


def applied_twice(activation: Activation, inverse: Callable[[Any], Any]) -> Activation:
    """Returns the activation f(f(z)), given f and its inverse."""
    return Activation(
        activation.name,
        lambda z: activation.value(activation.value(z)),
        lambda y: activation.slope(y) * activation.slope(inverse(y)),
    )


def approximated(
    activation: Activation, error: Callable[[Any], Any], slope: Callable[[Any], Any], size: float
) -> Activation:
    """Returns the activation y + size · error(y) for the correct value y. Its slope is exact up to terms in size².

    Args:
        activation: activation to approximate.
        error: error as a function of y.
        slope: derivative of ``error``.
        size: factor of the error.
    """

    def slope_at(value: Any) -> Any:
        y = value - size * error(value)
        return (1.0 + size * slope(y)) * activation.slope(y)

    def value_at(z: Any) -> Any:
        y = activation.value(z)
        return y + size * error(y)

    return Activation(activation.name, value_at, slope_at)


def _in_gates(activation: Activation) -> Cell:
    return Cell(input_gate=activation, forget_gate=activation, output_gate=activation)


def _in_place_of_tanh(activation: Activation) -> Cell:
    return Cell(candidate=activation, cell_state=activation)


def _for_each_gate(id: str, what: str, activation: Activation) -> list[Defect]:  # noqa: A002
    """Returns a defect for each gate. The gate's name replaces ``{}`` in ``id`` and ``what``."""
    return [
        cell_defect(
            id.format(gate),
            what.format(gate),
            Cell(**{f"{gate}_gate": activation}),
            forget_gate_matters if gate == "forget" else has_steps,
        )
        for gate in ("input", "forget", "output")
    ]


def _hard_sigmoids(slope: float, name: str, formula: str, represents: str) -> list[Defect]:
    hard, id_ = hard_sigmoid(slope), f"hard-sigmoid-{name}"
    return [
        cell_defect(id_, f"whose gates are {formula}, clipped to [0, 1]", _in_gates(hard), represents=represents),
        *_for_each_gate(f"{id_}-of-{{}}-gate", f"whose {{}} gate is {formula}, clipped to [0, 1]", hard),
    ]


def _wave(y: Any) -> Any:
    """Returns an error of either sign, proportional to a sigmoid's value y."""
    return y * np.cos(2 * np.pi * y)


def _wave_slope(y: Any) -> Any:
    return np.cos(2 * np.pi * y) - 2 * np.pi * y * np.sin(2 * np.pi * y)


def _sigmoid_off(size: float) -> Defect:
    activation = approximated(sigmoid, _wave, _wave_slope, size)
    return Defect(
        id=f"sigmoid-off-by-{size:.0e}",
        what=f"whose sigmoid has relative errors of up to {size:.0e}, of either sign",
        requires=has_steps,
        cell=lambda _: _in_gates(activation),
        size=size,
        with_size=_sigmoid_off,
    )


def _sigmoid_high(size: float) -> Defect:
    activation = approximated(sigmoid, lambda y: y, np.ones_like, size)
    return Defect(
        id=f"sigmoid-high-by-{size:.0e}",
        what=f"whose sigmoid is scaled by 1 + {size:.0e}",
        requires=has_steps,
        cell=lambda _: _in_gates(activation),
        size=size,
        with_size=_sigmoid_high,
    )


def _tanh_off(size: float) -> Defect:
    # This cubic is odd, is 0 where tanh saturates, and is at most 1.
    scale = 1.5 * np.sqrt(3)
    activation = approximated(tanh, lambda y: scale * y * (1 - y * y), lambda y: scale * (1 - 3 * y * y), size)
    return Defect(
        id=f"tanh-off-by-{size:.0e}",
        what=f"whose tanh has absolute errors of up to {size:.0e}",
        requires=has_steps,
        cell=lambda _: _in_place_of_tanh(activation),
        size=size,
        with_size=_tanh_off,
    )


DEFECTS = [
    *_hard_sigmoids(0.2, "0.2", "0.2 z + 0.5", "tfjs-layers, whose LSTM uses it by default"),
    *_hard_sigmoids(1 / 6, "one-sixth", "z / 6 + 0.5", "keras#19477"),
    *_for_each_gate("tanh-{}-gate", "whose {} gate uses tanh instead of sigmoid", tanh),
    cell_defect(
        "sigmoid-of-sigmoid",
        "whose gates apply sigmoid twice",
        _in_gates(applied_twice(sigmoid, lambda y: np.log(y) - np.log1p(-y))),
    ),
    cell_defect("sigmoid-candidate", "whose candidate uses sigmoid instead of tanh", Cell(candidate=sigmoid)),
    cell_defect("relu-candidate", "whose candidate uses relu instead of tanh", Cell(candidate=relu)),
    cell_defect("identity-candidate", "whose candidate has no activation", Cell(candidate=identity)),
    cell_defect("identity-cell-state", "whose hidden state is o c, not o tanh(c)", Cell(cell_state=identity)),
    cell_defect("sigmoid-cell-state", "whose hidden state is o σ(c), not o tanh(c)", Cell(cell_state=sigmoid)),
    cell_defect(
        "tanh-of-tanh", "whose hidden state is o tanh(tanh(c))", Cell(cell_state=applied_twice(tanh, np.arctanh))
    ),
    cell_defect("hard-tanh", "whose tanh is the identity, clipped to [-1, 1]", _in_place_of_tanh(hard_tanh)),
    cell_defect("softsign", "whose tanh is z / (1 + |z|)", _in_place_of_tanh(softsign)),
    cell_defect("sigmoid-clamped-at-4", "whose sigmoid clamps its argument to ±4", _in_gates(clamped(sigmoid, 4.0))),
    cell_defect("sigmoid-clamped-at-8", "whose sigmoid clamps its argument to ±8", _in_gates(clamped(sigmoid, 8.0))),
    cell_defect("tanh-clamped-at-3", "whose tanh clamps its argument to ±3", _in_place_of_tanh(clamped(tanh, 3.0))),
    cell_defect("tanh-clamped-at-4", "whose tanh clamps its argument to ±4", _in_place_of_tanh(clamped(tanh, 4.0))),
    cell_defect(
        "pre-activations-clipped-at-1",
        "whose pre-activations are clipped to [-1, 1]",
        replace(_in_gates(clamped(sigmoid, 1.0)), candidate=clamped(tanh, 1.0)),
    ),
    *map(_sigmoid_off, (1e-4, 1e-5)),
    _sigmoid_high(1e-5),
    *map(_tanh_off, (1e-4, 1e-5)),
]
