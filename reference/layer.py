"""One direction of one layer through time, forward and backward.

Written once for whatever numbers it is given, see ``reference.network``. What does not depend on the step before is
computed for many steps at once: the inputs' share of the gates, and the partial derivatives.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reference.arithmetic import reused
from reference.cell import Cell, Sensitivity, Step

_BLOCK = 8192
"""Elements of each partial derivative that are computed at once: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Dialect:
    """Documented conventions in which correct implementations differ.

    Attributes:
        padding: what ``output`` holds at steps that do not count: 0, or the last valid output again (``repeat``; 0
            where there was none yet, as in a direction that meets the padding first). Where its documentation does not
            say (``unspecified``), nothing is compared there, and nothing flows back from there.
        zero_length: ``h_n`` and ``c_n`` of a row without a valid step: its initial state, or 0.
        clip: what ``clip`` bounds: all that ``activations`` read, the cell state on its way out among it, or what those
            of the ``gates`` read.
        reverse_output: the order of the output of a layer that runs in reverse only: the ``input``'s, or that of
            ``processing``, last step first.
    """

    padding: Literal["zero", "repeat", "unspecified"] = "zero"
    zero_length: Literal["initial", "zero"] = "initial"
    clip: Literal["activations", "gates"] = "activations"
    reverse_output: Literal["input", "processing"] = "input"


class Time:
    """The order of steps in one direction, and where a state lies in the T + 1 states of a sequence."""

    def __init__(self, steps: int, suffix: str) -> None:
        reverse = suffix == "_reverse"
        self.suffix = suffix
        self.order = range(steps - 1, -1, -1) if reverse else range(steps)
        self.start, self.end = (steps, 0) if reverse else (0, steps)
        self.after = 0 if reverse else 1
        """From a step's index to that of the state it leaves."""
        past, later = slice(0, steps), slice(1, steps + 1)
        self.initials, self.results = (later, past) if reverse else (past, later)
        """The states before each step, and after it."""


class Pass(NamedTuple):
    """One direction of one layer, as it ran."""

    time: Time
    x: Any
    """What it read, flat: (T · B, ·)."""
    h: Any
    """Hidden states (T + 1, B, ·), the initial one included."""
    c: Any
    """Cell states (T + 1, B, H)."""
    m: Any
    """Hidden states before projection (T, B, H); None without one."""
    parts: Step
    weights: Mapping[str, Any]
    cell: Cell
    recurrent_mask: Any
    """What the hidden state is multiplied by before the recurrent weights (B, ·); None for nothing."""


class Adjoint(NamedTuple):
    """Gradients of one direction of one layer."""

    d_z: Any
    """By the gates' pre-activations, flat: (T · B, 4H)."""
    d_h: Any
    """By the projected hidden state, flat: (T · B, P); None without projection."""
    d_h_0: Any
    d_c_0: Any


@dataclass(frozen=True)
class Padding:
    """Which steps of a padded batch count. Each mask is (T, B, 1), or (B, 1) for whole rows."""

    valid: NDArray[np.bool_]
    shown: dict[str, NDArray[np.bool_]]
    """By direction: where the output holds the hidden state, else 0."""
    starts: NDArray[np.bool_]
    """Rows whose initial state counts."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_], dialect: Dialect) -> "Padding":
        """The masks for a batch of which these steps count (T, B)."""
        valid = mask[..., None]
        shown = {"": valid, "_reverse": valid}
        if dialect.padding == "repeat":
            shown = {"": np.maximum.accumulate(valid), "_reverse": np.maximum.accumulate(valid[::-1])[::-1]}
        starts = np.ones_like(valid[0]) if dialect.zero_length == "initial" else np.any(valid, axis=0)
        return cls(valid, shown, starts)


def through_time(
    cell: Cell,
    weights: Mapping[str, Any],
    x: Any,
    h_0: Any,
    c_0: Any,
    time: Time,
    padding: Padding | None,
    recurrent_mask: Any = None,
) -> tuple[Pass, Any]:
    """One direction of one layer: what it did, and its output (T · B, ·)."""
    rows, width = h_0.shape
    inputs = x @ weights["weight_ih"].T
    if "bias_ih" in weights:
        inputs += weights["bias_ih"] + weights["bias_hh"]
    inputs = inputs.reshape(-1, rows, inputs.shape[-1])
    steps = inputs.shape[0]
    recurrent = weights["weight_hh"].T
    projection = weights["weight_hr"].T if "weight_hr" in weights else None

    h, c = np.empty_like(h_0, shape=(steps + 1, rows, width)), np.empty_like(c_0, shape=(steps + 1, *c_0.shape))
    h[time.start], c[time.start] = h_0, c_0
    free = np.empty_like(c_0, shape=(steps, rows, 6 * c_0.shape[-1])) if cell.clips else None
    parts = Step(reused(inputs), np.empty_like(c_0, shape=(steps, *c_0.shape)), free)
    m = None if projection is None else np.empty_like(c_0, shape=(steps, *c_0.shape))
    h_t, c_t = h_0, c_0
    for t in time.order:
        h_read = h_t if recurrent_mask is None else h_t * recurrent_mask
        m_t, c_next, step = cell.step(inputs[t] + h_read @ recurrent, c_t)
        parts.gates[t], parts.squashed[t] = step.gates, step.squashed
        if free is not None:
            free[t] = step.free
        if m is not None:
            m[t] = m_t
        h_next = m_t if projection is None else m_t @ projection
        if padding is None:
            h_t, c_t = h_next, c_next
        else:
            valid = padding.valid[t]
            h_t, c_t = np.where(valid, h_next, h_t), np.where(valid, c_next, c_t)
        h[t + time.after], c[t + time.after] = h_t, c_t

    y = h[time.results]
    if padding is not None:
        y = np.where(padding.shown[time.suffix], y, 0.0)
    return Pass(time, x, h, c, m, parts, weights, cell, recurrent_mask), y.reshape(steps * rows, width)


def back_through_time(one: Pass, d_y: Any, d_h: Any, d_c: Any, padding: Padding | None) -> Adjoint:
    """One direction of one layer.

    Args:
        one: what it did.
        d_y: cotangents of its output (T, B, ·).
        d_h: cotangent of its h_n (B, ·).
        d_c: cotangent of its c_n (B, ·).
        padding: which steps count.
    """
    projection, recurrent = one.weights.get("weight_hr"), one.weights["weight_hh"]
    steps, rows, _ = d_y.shape
    if padding is not None:
        d_y = np.where(padding.shown[one.time.suffix], d_y, 0.0)
    d_z = np.empty_like(d_c, shape=(steps, rows, recurrent.shape[0]))
    d_hs = None if projection is None else np.empty_like(d_h, shape=d_y.shape)
    for t, by in _sensitivities(one):
        d_h = d_y[t] + d_h
        d_z_t, d_c_previous = one.cell.step_back(by, d_h if projection is None else d_h @ projection, d_c)
        if d_hs is not None:
            d_hs[t] = d_h if padding is None else np.where(padding.valid[t], d_h, 0.0)
        valid = None if padding is None else padding.valid[t]
        if valid is not None:
            d_z_t = np.where(valid, d_z_t, 0.0)
        d_h_previous = d_z_t @ recurrent
        if one.recurrent_mask is not None:
            d_h_previous = d_h_previous * one.recurrent_mask
        if valid is None:
            d_h, d_c = d_h_previous, d_c_previous
        else:
            d_h, d_c = np.where(valid, d_h_previous, d_h), np.where(valid, d_c_previous, d_c)
        d_z[t] = d_z_t
    if padding is not None:
        d_h, d_c = np.where(padding.starts, d_h, 0.0), np.where(padding.starts, d_c, 0.0)
    return Adjoint(d_z.reshape(steps * rows, -1), None if d_hs is None else d_hs.reshape(steps * rows, -1), d_h, d_c)


def _sensitivities(one: Pass) -> Iterator[tuple[int, Sensitivity]]:
    """The partial derivatives of each step, last step first: as many at once as stay in the processor's cache."""
    steps, rows, hidden = one.parts.squashed.shape
    c_previous = one.c[one.time.initials]
    block = max(1, _BLOCK // (rows * hidden))
    backwards = one.time.order[::-1]
    for first in range(0, steps, block):
        times = backwards[first : first + block]
        low, high = min(times), max(times) + 1
        # Counted from the end where it runs down, so that -1 is one before the first step, not the last one.
        span = slice(low, high) if times.step > 0 else slice(high - steps - 1, low - steps - 1, -1)
        step = Step(*(part if part is None else part[span] for part in one.parts))
        by = one.cell.sensitivity(step, c_previous[span])
        yield from zip(times, map(Sensitivity, *by), strict=True)
