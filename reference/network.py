"""Layers × directions through time, forward and backward.

Written once for whatever numbers it is given: float64 arrays (the reference), long double or complex ones (its
verification), and the arrays of ``reference.arithmetic`` that carry their rounding error (the budget).
Whatever does not depend on the step before is computed for all steps at once: the inputs' share of the gates,
the partial derivatives, the gradients of the weights.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.arithmetic import over_time, reused
from reference.cell import Cell, Sensitivity, Step
from reference.model import Model

Lift = Callable[[NDArray[np.floating]], Any]
_BLOCK = 8192


def float64(array: ArrayLike) -> NDArray[np.float64]:
    """The reference's own numbers."""
    return np.asarray(array, dtype=np.float64)


@dataclass(frozen=True)
class Dialect:
    """Documented conventions about padding, in which correct implementations differ.

    Attributes:
        padding: what ``output`` holds beyond a row's length: 0, or the last valid output again (``repeat``; 0 where
            there was none yet, as in a direction that meets the padding first).
        zero_length: ``h_n`` and ``c_n`` of a row of length 0: its initial state, or 0.
    """

    padding: Literal["zero", "repeat"] = "zero"
    zero_length: Literal["initial", "zero"] = "initial"


class _Time:
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


class _Pass(NamedTuple):
    """One direction of one layer, as it ran."""

    time: _Time
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


class _Adjoint(NamedTuple):
    """Gradients of one direction of one layer."""

    d_z: Any
    """By the gates' pre-activations, flat: (T · B, 4H)."""
    d_h: Any
    """By the projected hidden state, flat: (T · B, P); None without projection."""
    d_h_0: Any
    d_c_0: Any


@dataclass(frozen=True)
class _Padding:
    """Which steps of a padded batch count. Each mask is (T, B, 1), or (B, 1) for whole rows."""

    valid: NDArray[np.bool_]
    shown: dict[str, NDArray[np.bool_]]
    """By direction: where the output holds the hidden state, else 0."""
    starts: NDArray[np.bool_]
    """Rows whose initial state counts."""

    @classmethod
    def of(cls, lengths: NDArray[np.integer], steps: int, dialect: Dialect) -> "_Padding":
        valid = (np.arange(steps)[:, None] < lengths)[..., None]
        repeated = np.broadcast_to((lengths > 0)[:, None], valid.shape)
        starts = np.ones_like(valid[0]) if dialect.zero_length == "initial" else (lengths > 0)[:, None]
        return cls(valid, {"": repeated if dialect.padding == "repeat" else valid, "_reverse": valid}, starts)


@dataclass(frozen=True)
class Trace:
    """A forward run: its results, and what the way back needs.

    Attributes:
        outputs: ``output``, ``h_n`` and ``c_n`` (or ``h_n_l0`` … where hidden sizes differ).
    """

    model: Model
    outputs: dict[str, Any]
    _cell: Cell
    _lift: Lift
    _passes: list[list[_Pass]] = field(repr=False)
    _masks: Mapping[str, NDArray[np.floating]]
    _padding: _Padding | None
    _steps: tuple[int, int]
    _batched: bool


def forward(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    input: ArrayLike,  # noqa: A002 - the field's name for it
    initial_state: Mapping[str, ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    dropout_masks: Mapping[str, NDArray[np.floating]] | None = None,
    dialect: Dialect | None = None,
    cell: Cell | None = None,
    lift: Lift = float64,
) -> Trace:
    """Runs an LSTM over a batch of sequences.

    Args:
        model: the architecture.
        parameters: by canonical name, see ``Model.parameter_shapes``.
        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0``, see ``Model.state_shapes``; None for zeros.
        lengths: valid steps of each row (B,); what lies beyond is not read.
        dropout_masks: what a layer's output (T, B, ·) is multiplied by before the next layer, by ``l0``, ``l1`` ….
        dialect: conventions about padding.
        cell: the cell's nonlinearities.
        lift: makes the numbers to compute with from an array.

    Raises:
        ValueError: a parameter is missing or an array has the wrong shape.
    """
    x = np.asarray(input)
    batched = x.ndim == 3
    x = x[:, None] if not batched else np.moveaxis(x, 0, 1) if model.batch_first else x
    steps, rows, _ = x.shape
    _check_shapes(model, parameters, initial_state, x, rows if batched else None)

    padding = None
    if lengths is not None:
        padding = _Padding.of(np.asarray(lengths), steps, dialect or Dialect())
        x = np.where(padding.valid, x, np.zeros((), x.dtype))
    weights = {name: lift(np.asarray(array)) for name, array in parameters.items()}
    cell = cell or Cell()
    masks = dropout_masks or {}

    def initial(name: str, layer: int, direction: int, width: int) -> Any:
        if initial_state is None:
            return lift(np.zeros((rows, width)))
        state = lift(np.asarray(model.state(initial_state, name, layer, direction)).reshape(rows, width))
        return state if padding is None else np.where(padding.starts, state, 0.0)

    x = lift(np.ascontiguousarray(x).reshape(steps * rows, -1))
    passes: list[list[_Pass]] = []
    finals: dict[str, list[list[Any]]] = {"h_n": [], "c_n": []}
    # exp(-z) overflows to infinity for a saturated gate, and 1 / (1 + infinity) is the right 0.
    with np.errstate(over="ignore"):
        for layer, hidden in enumerate(model.hidden_sizes):
            outputs, h_n, c_n, ran = [], [], [], []
            for direction, suffix in enumerate(model.suffixes):
                end = f"_l{layer}{suffix}"
                own = {name.removesuffix(end): w for name, w in weights.items() if name.endswith(end)}
                h_0 = initial("h_0", layer, direction, model.state_size(layer))
                c_0 = initial("c_0", layer, direction, hidden)
                one, y = _forward(cell, own, x, h_0, c_0, suffix, padding)
                outputs.append(y)
                h_n.append(one.h[one.time.end])
                c_n.append(one.c[one.time.end])
                ran.append(one)
            passes.append(ran)
            finals["h_n"].append(h_n)
            finals["c_n"].append(c_n)
            x = np.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
            if f"l{layer}" in masks:
                x = x * masks[f"l{layer}"].reshape(steps * rows, -1)

    output = x.reshape(steps, rows, -1)
    output = output[:, 0] if not batched else output.swapaxes(0, 1) if model.batch_first else output
    results = {"output": output}
    for name, layers in finals.items():
        results |= _stack(model, name, layers, batched)
    return Trace(model, results, cell, lift, passes, masks, padding, (steps, rows), batched)


def backward(trace: Trace, cotangents: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """Back-propagation through time.

    Args:
        trace: a forward run.
        cotangents: of each of ``trace.outputs``, shaped like it.

    Returns:
        Gradients of Σ ⟨cotangent, output⟩: ``grad.input``, ``grad.h_0``, ``grad.c_0`` and ``grad.`` with each
        parameter's name, shaped like what they are the gradient of.
    """
    model, (steps, rows) = trace.model, trace._steps
    d_output = np.asarray(cotangents["output"])
    d_output = d_output[:, None] if not trace._batched else np.moveaxis(d_output, 0, 1) if model.batch_first else d_output
    d_y = trace._lift(np.ascontiguousarray(d_output).reshape(steps * rows, -1))

    gradients: dict[str, Any] = {}
    initials: dict[str, list[list[Any]]] = {"grad.h_0": [], "grad.c_0": []}
    for layer in reversed(range(model.num_layers)):
        if f"l{layer}" in trace._masks:
            d_y = d_y * trace._masks[f"l{layer}"].reshape(steps * rows, -1)
        width = model.state_size(layer)
        d_x, d_h_0, d_c_0 = None, [], []
        for direction, suffix in enumerate(model.suffixes):
            one = trace._passes[layer][direction]
            d_h_n, d_c_n = (
                trace._lift(np.asarray(model.state(cotangents, name, layer, direction)).reshape(rows, -1))
                for name in ("h_n", "c_n")
            )
            share = d_y[:, direction * width : (direction + 1) * width].reshape(steps, rows, width)
            adjoint = _backward(trace._cell, one, share, d_h_n, d_c_n, trace._padding)
            d_h_0.append(adjoint.d_h_0)
            d_c_0.append(adjoint.d_c_0)
            h_previous = one.h[one.time.initials].reshape(steps * rows, width)
            own = {"weight_ih": adjoint.d_z.T @ one.x, "weight_hh": adjoint.d_z.T @ h_previous}
            if model.bias:
                own["bias_ih"] = own["bias_hh"] = adjoint.d_z.sum(axis=0)
            if model.proj_size:
                own["weight_hr"] = adjoint.d_h.T @ one.m.reshape(steps * rows, -1)
            gradients |= {f"grad.{name}_l{layer}{suffix}": over_time(total) for name, total in own.items()}
            by_input = adjoint.d_z @ one.weights["weight_ih"]
            d_x = by_input if d_x is None else d_x + by_input
        initials["grad.h_0"].insert(0, d_h_0)
        initials["grad.c_0"].insert(0, d_c_0)
        d_y = d_x

    d_input = d_y.reshape(steps, rows, -1)
    d_input = d_input[:, 0] if not trace._batched else d_input.swapaxes(0, 1) if model.batch_first else d_input
    results = {"grad.input": d_input}
    for name, layers in initials.items():
        results |= _stack(model, name, layers, trace._batched)
    return results | {f"grad.{name}": gradients[f"grad.{name}"] for name in model.parameter_shapes()}


def _forward(
    cell: Cell, weights: Mapping[str, Any], x: Any, h_0: Any, c_0: Any, suffix: str, padding: _Padding | None
) -> tuple[_Pass, Any]:
    """One direction of one layer: what it did, and its output (T · B, ·)."""
    rows, width = h_0.shape
    inputs = x @ weights["weight_ih"].T
    if "bias_ih" in weights:
        inputs += weights["bias_ih"] + weights["bias_hh"]
    inputs = inputs.reshape(-1, rows, inputs.shape[-1])
    steps = inputs.shape[0]
    recurrent = weights["weight_hh"].T
    projection = weights["weight_hr"].T if "weight_hr" in weights else None

    time = _Time(steps, suffix)
    h, c = np.empty_like(h_0, shape=(steps + 1, rows, width)), np.empty_like(c_0, shape=(steps + 1, *c_0.shape))
    h[time.start], c[time.start] = h_0, c_0
    parts = Step(reused(inputs), np.empty_like(c_0, shape=(steps, *c_0.shape)))
    m = None if projection is None else np.empty_like(c_0, shape=(steps, *c_0.shape))
    h_t, c_t = h_0, c_0
    for t in time.order:
        m_t, c_next, step = cell.step(inputs[t] + h_t @ recurrent, c_t)
        parts.gates[t], parts.squashed[t] = step
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
        y = np.where(padding.shown[suffix], y, 0.0)
    return _Pass(time, x, h, c, m, parts, weights), y.reshape(steps * rows, width)


def _backward(cell: Cell, one: _Pass, d_y: Any, d_h: Any, d_c: Any, padding: _Padding | None) -> "_Adjoint":
    """One direction of one layer.

    Args:
        cell: the cell that ran.
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
    for t, by in _sensitivities(cell, one):
        d_h = d_y[t] + d_h
        d_z_t, d_c_previous = cell.step_back(by, d_h if projection is None else d_h @ projection, d_c)
        if d_hs is not None:
            d_hs[t] = d_h if padding is None else np.where(padding.valid[t], d_h, 0.0)
        if padding is None:
            d_h, d_c = d_z_t @ recurrent, d_c_previous
        else:
            valid = padding.valid[t]
            d_z_t = np.where(valid, d_z_t, 0.0)
            d_h, d_c = np.where(valid, d_z_t @ recurrent, d_h), np.where(valid, d_c_previous, d_c)
        d_z[t] = d_z_t
    if padding is not None:
        d_h, d_c = np.where(padding.starts, d_h, 0.0), np.where(padding.starts, d_c, 0.0)
    return _Adjoint(d_z.reshape(steps * rows, -1), None if d_hs is None else d_hs.reshape(steps * rows, -1), d_h, d_c)


def _sensitivities(cell: Cell, one: _Pass) -> Iterator[tuple[int, Sensitivity]]:
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
        by = cell.sensitivity(Step(one.parts.gates[span], one.parts.squashed[span]), c_previous[span])
        yield from zip(times, map(Sensitivity, *by), strict=True)


def _stack(model: Model, name: str, layers: list[list[Any]], batched: bool) -> dict[str, Any]:
    """States of all layers and directions as one tensor (L · D, B, ·), or one a layer where hidden sizes differ."""

    def stacked(parts: list[Any]) -> Any:
        rows, width = parts[0].shape
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=0)
        return whole.reshape(*((len(parts), rows) if batched else (len(parts),)), width)

    if model.is_uniform:
        return {name: stacked([part for layer in layers for part in layer])}
    return {f"{name}_l{k}": stacked(layer) for k, layer in enumerate(layers)}


def _check_shapes(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    initial_state: Mapping[str, ArrayLike] | None,
    x: NDArray[Any],
    rows: int | None,
) -> None:
    if x.shape[-1] != model.input_size:
        raise ValueError(f"input has {x.shape[-1]} features, the model reads {model.input_size}")
    expected = dict(model.parameter_shapes())
    given = {name: np.shape(array) for name, array in parameters.items()}
    if initial_state is not None:
        expected |= model.state_shapes("h_0", rows) | model.state_shapes("c_0", rows)
        given |= {name: np.shape(array) for name, array in initial_state.items()}
    if given == expected:
        return
    for name, shape in expected.items():
        if name not in given:
            raise ValueError(f"{name} is missing, expected with shape {shape}")
        if given[name] != shape:
            raise ValueError(f"{name} has shape {given[name]}, expected {shape}")
    for name in given.keys() - expected.keys():
        raise ValueError(f"{name} is not a tensor of this model")
