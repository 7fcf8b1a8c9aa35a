"""One direction of one layer through time, forward and backward.

For each time step (equations of one step: ``reference.cell``):

    z_t = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
    m_t, c_t = step(z_t, c_{t-1})
    h_t = m_t, or W_hr m_t with a projection

A padded step keeps the state: h_t = h_{t-1}, c_t = c_{t-1}.

The functions accept every kind of array listed in ``reference.network``. Terms that do not depend on the previous step
are computed for many steps at once: W_ih x_t + b_ih + b_hh, and the partial derivatives.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reference.arithmetic import buffer_like, transposed
from reference.cell import Cell, Sensitivity, Step

_BLOCK_ELEMENTS = 8192
"""Number of elements of each partial derivative to compute at once. Such a block fits in the processor's cache."""


@dataclass(frozen=True)
class Dialect:
    """Documented conventions in which correct implementations differ.

    Attributes:
        padding: content of ``output`` at padded steps. ``zero``: 0. ``repeat``: the last valid output in the order of
            processing, or 0 before the first valid step. ``unspecified``: the implementation's documentation does not
            say; these elements are not compared and have no cotangent.
        zero_length: content of ``h_n`` and ``c_n`` for a row without valid steps, or of every row of a sequence
            without steps: its initial state, or 0.
        clip: arguments that the option ``clip`` bounds. ``activations``: those of all activations. ``gates``: all
            except c_t in tanh(c_t).
        reverse_output: step order of ``output`` if the direction is ``reverse``. ``input``: the order of the input.
            ``processing``: last step first.
    """

    padding: Literal["zero", "repeat", "unspecified"] = "zero"
    zero_length: Literal["initial", "zero"] = "initial"
    clip: Literal["activations", "gates"] = "activations"
    reverse_output: Literal["input", "processing"] = "input"


class Time:
    """Step order of one direction, and positions in its sequence of T + 1 states.

    Attributes:
        suffix: suffix of the direction's parameter names.
        order: indices of the steps in the order of processing.
        start: position of the initial state.
        end: position of the final state.
        offset: position of the state after step t, minus t.
        before: positions of the states before each step, as a slice.
        after: positions of the states after each step, as a slice.
    """

    def __init__(self, steps: int, suffix: str) -> None:
        reverse = suffix == "_reverse"
        self.suffix = suffix
        self.order = range(steps - 1, -1, -1) if reverse else range(steps)
        self.start, self.end = (steps, 0) if reverse else (0, steps)
        self.offset = 0 if reverse else 1
        first, last = slice(0, steps), slice(1, steps + 1)
        self.before, self.after = (last, first) if reverse else (first, last)


class LayerDirection(NamedTuple):
    """Configuration of one direction of one layer."""

    time: Time
    weights: Mapping[str, Any]
    """Parameters by name without layer and direction: ``weight_ih``, ``weight_hh``, ``bias_ih``, …"""
    cell: Cell
    recurrent_mask: Any = None
    """Dropout mask of h_{t-1} before the recurrent weights (B, ·); None for no dropout."""


class Pass(NamedTuple):
    """Forward pass of one direction of one layer, recorded for the backward pass."""

    time: Time
    weights: Mapping[str, Any]
    cell: Cell
    recurrent_mask: Any
    x: Any
    """Input of the layer (T · B, ·)."""
    h: Any
    """Hidden states, including the initial state (T + 1, B, ·)."""
    c: Any
    """Cell states, including the initial state (T + 1, B, H)."""
    m: Any
    """Hidden states before the projection (T, B, H); None without a projection."""
    steps: Step
    """Activations of all steps, with a leading time axis."""


class Adjoint(NamedTuple):
    """Gradients of one direction of one layer."""

    d_z: Any
    """Gradient with respect to the pre-activations (T · B, 4H)."""
    d_h: Any
    """Gradient with respect to the projected hidden states (T · B, P); None without a projection."""
    d_h_0: Any
    """Gradient with respect to the initial hidden state (B, ·)."""
    d_c_0: Any
    """Gradient with respect to the initial cell state (B, H)."""


@dataclass(frozen=True)
class Padding:
    """Masks of a padded batch.

    Attributes:
        valid: True at valid steps (T, B, 1).
        shown: for each direction suffix, True where ``output`` contains h_t instead of 0 (T, B, 1).
        keeps_initial: True for rows that start from their initial state instead of 0 (B, 1).
    """

    valid: NDArray[np.bool_]
    shown: dict[str, NDArray[np.bool_]]
    keeps_initial: NDArray[np.bool_]

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], dialect: Dialect) -> "Padding":
        """Creates the masks from a mask (T, B) that is True at valid steps."""
        valid = mask[..., None]
        shown = {"": valid, "_reverse": valid}
        if dialect.padding == "repeat":
            shown = {"": np.maximum.accumulate(valid), "_reverse": np.maximum.accumulate(valid[::-1])[::-1]}
        keeps_initial = np.ones(valid.shape[1:], bool) if dialect.zero_length == "initial" else np.any(valid, axis=0)
        return cls(valid, shown, keeps_initial)


def propagate_forward(
    direction: LayerDirection, x: Any, h_0: Any, c_0: Any, padding: Padding | None
) -> tuple[Pass, Any]:
    """Runs one direction of one layer forward through time.

    Args:
        direction: parameters, cell and step order.
        x: input of the layer (T · B, ·).
        h_0: initial hidden state (B, ·).
        c_0: initial cell state (B, H).
        padding: masks of a padded batch; None if all steps are valid.

    Returns:
        The forward pass, and the output (T · B, ·).
    """
    time, weights, cell, recurrent_mask = direction
    (rows, width), steps = h_0.shape, len(time.order)
    z_input = x @ weights["weight_ih"].T
    if "bias_ih" in weights:
        z_input += weights["bias_ih"] + weights["bias_hh"]
    z_input = z_input.reshape(steps, rows, z_input.shape[-1])
    recurrent = transposed(weights["weight_hh"])
    projection = transposed(weights["weight_hr"]) if "weight_hr" in weights else None

    h, c = np.empty_like(h_0, shape=(steps + 1, rows, width)), np.empty_like(c_0, shape=(steps + 1, *c_0.shape))
    h[time.start], c[time.start] = h_0, c_0
    unclipped = np.empty_like(c_0, shape=(steps, rows, 6 * c_0.shape[-1])) if cell.clips else None
    # The gates of a step overwrite its z_input, which no later step reads.
    record = Step(buffer_like(z_input), np.empty_like(c_0, shape=(steps, *c_0.shape)), unclipped)
    m = None if projection is None else np.empty_like(c_0, shape=(steps, *c_0.shape))
    h_t, c_t = h_0, c_0
    for t in time.order:
        h_read = h_t if recurrent_mask is None else h_t * recurrent_mask
        z = h_read @ recurrent
        z += z_input[t]
        m_t, c_next, step = cell.step(z, c_t)
        record.gates[t], record.squashed[t] = step.gates, step.squashed
        if unclipped is not None:
            unclipped[t] = step.unclipped
        if m is not None:
            m[t] = m_t
        h_next = m_t if projection is None else m_t @ projection
        if padding is None:
            h_t, c_t = h_next, c_next
        else:
            valid = padding.valid[t]
            h_t, c_t = np.where(valid, h_next, h_t), np.where(valid, c_next, c_t)
        h[t + time.offset], c[t + time.offset] = h_t, c_t

    y = h[time.after]
    if padding is not None:
        y = np.where(padding.shown[time.suffix], y, 0.0)
    return Pass(*direction, x, h, c, m, record), merge_steps_and_rows(y)


def propagate_backward(forward: Pass, d_y: Any, d_h: Any, d_c: Any, padding: Padding | None) -> Adjoint:
    """Runs one direction of one layer backward through time.

        δh_t = δy_t + δh_t from step t + 1
        δm_t = W_hrᵀ δh_t with a projection, else δh_t
        δz_t, δc_{t-1} = adjoint of the step, from δm_t and δc_t
        δh_{t-1} = W_hhᵀ δz_t

    At a padded step δz_t = 0, δh_{t-1} = δh_t and δc_{t-1} = δc_t.

    Args:
        forward: forward pass.
        d_y: cotangent of the output (T, B, ·).
        d_h: cotangent of h_n (B, ·).
        d_c: cotangent of c_n (B, H).
        padding: masks of a padded batch; None if all steps are valid.
    """
    projection, recurrent = forward.weights.get("weight_hr"), forward.weights["weight_hh"]
    steps, rows, _ = d_y.shape
    if padding is not None:
        d_y = np.where(padding.shown[forward.time.suffix], d_y, 0.0)
    d_z = np.empty_like(d_c, shape=(steps, rows, recurrent.shape[0]))
    d_hs = None if projection is None else np.empty_like(d_h, shape=d_y.shape)
    for t, by in _sensitivities(forward):
        d_h = d_y[t] + d_h
        d_z_t, d_c_previous = forward.cell.step_back(by, d_h if projection is None else d_h @ projection, d_c)
        if d_hs is not None:
            d_hs[t] = d_h if padding is None else np.where(padding.valid[t], d_h, 0.0)
        valid = None if padding is None else padding.valid[t]
        if valid is not None:
            d_z_t = np.where(valid, d_z_t, 0.0)
        d_h_previous = d_z_t @ recurrent
        if forward.recurrent_mask is not None:
            d_h_previous = d_h_previous * forward.recurrent_mask
        if valid is None:
            d_h, d_c = d_h_previous, d_c_previous
        else:
            d_h, d_c = np.where(valid, d_h_previous, d_h), np.where(valid, d_c_previous, d_c)
        d_z[t] = d_z_t
    if padding is not None:
        d_h, d_c = np.where(padding.keeps_initial, d_h, 0.0), np.where(padding.keeps_initial, d_c, 0.0)
    return Adjoint(merge_steps_and_rows(d_z), None if d_hs is None else merge_steps_and_rows(d_hs), d_h, d_c)


def merge_steps_and_rows(array: Any) -> Any:
    """Returns an array (T, B, ·) as (T · B, ·)."""
    steps, rows, width = array.shape
    return array.reshape(steps * rows, width)


def _sensitivities(forward: Pass) -> Iterator[tuple[int, Sensitivity]]:
    """Yields each step and its partial derivatives, last step first. Computes ``_BLOCK_ELEMENTS`` elements at once."""
    steps, rows, hidden = forward.steps.squashed.shape
    c_previous = forward.c[forward.time.before]
    block = max(1, _BLOCK_ELEMENTS // max(1, rows * hidden))
    backwards = forward.time.order[::-1]
    for first in range(0, steps, block):
        times = backwards[first : first + block]
        low, high = min(times), max(times) + 1
        # A descending slice cannot stop before index 0, so it uses negative indices: t - steps instead of t.
        span = slice(low, high) if times.step > 0 else slice(high - steps - 1, low - steps - 1, -1)
        step = Step(*(part if part is None else part[span] for part in forward.steps))
        by = forward.cell.sensitivity(step, c_previous[span])
        yield from zip(times, map(Sensitivity, *by), strict=True)
