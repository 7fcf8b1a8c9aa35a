"""Activations with wrong curves, and cells that round."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.grammar.mistake import Change
from reference.activations import ACTIVATIONS, Activation, between, sigmoid, tanh
from reference.cell import Cell, Step, blocks

SIGMOIDS = ("input_gate", "forget_gate", "output_gate")
"""Fields of a cell whose activation is the sigmoid. That of the others is tanh."""


def curved(change: Change, follows: bool) -> Activation:
    """Returns the activation of a mistake.

    Args:
        change: the curve.
        follows: whether the derivative is that of the curve. Otherwise it is the right formula, of the wrong value.
    """
    right = sigmoid if change.axis in SIGMOIDS else tanh
    if change.verb in ACTIVATIONS:
        return ACTIVATIONS[change.verb]
    size = change.value
    values = {
        "saturates": lambda z: right.value(np.clip(z, -size, size)),
        "table": lambda z: _table(right, z, size),
        "slope": lambda z: right.value(z * size),
        "added": lambda z: right.value(z + size),
    }
    slopes = {
        "saturates": lambda y: right.slope(y) * between(y, *right.value(np.array([-size, size]))),
        "slope": lambda y: right.slope(y) * size,
    }
    slope = slopes.get(change.verb, right.slope) if follows else right.slope
    return replace(right, name=change.verb, value=values[change.verb], slope=slope)


def _table(right: Activation, z: Any, pieces: int) -> Any:
    """Interpolates between points of the curve from -8 to 8."""
    points = np.linspace(-8.0, 8.0, pieces + 1)
    return np.interp(z, points, right.value(points))


def round_to_bits(values: Any, bits: int) -> Any:
    """Rounds values to a number of significant bits."""
    fraction, exponent = np.frexp(np.asarray(values, np.float64))
    return np.ldexp(np.round(np.ldexp(fraction, bits)), exponent - bits)


@dataclass(frozen=True)
class RoundingCell(Cell):
    """A cell that rounds some of its values.

    Attributes:
        rounded: significant bits of ``gates``, ``c`` and ``h``, where they are rounded.
    """

    rounded: Mapping[str, int] = field(default_factory=dict)

    def step(self, z: Any, c_previous: Any) -> tuple[Any, Any, Step]:
        """Computes one step, see ``Cell.step``."""
        _, c, step = super().step(z, c_previous)
        if "gates" in self.rounded:
            step.gates[...] = round_to_bits(step.gates, self.rounded["gates"])
        i, f, g, o = blocks(step.gates, c.shape[-1])
        c = f * c_previous + i * g
        if "c" in self.rounded:
            c = round_to_bits(c, self.rounded["c"])
        squashed = self.cell_state(c)
        m = o * squashed
        if "h" in self.rounded:
            m = round_to_bits(m, self.rounded["h"])
        return m, c, step._replace(squashed=squashed)
