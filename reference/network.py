"""Layers × directions through time, forward and backward.

Written once for whatever numbers it is given: float64 arrays (the reference), long double or complex ones (its
verification), and the arrays of ``reference.arithmetic`` that carry their rounding error (the budget).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.arithmetic import over_time
from reference.cell import Cell
from reference.layer import Dialect, Padding, Pass, Time, back_through_time, through_time
from reference.model import Model

Lift = Callable[[NDArray[np.floating]], Any]
Clock = Callable[[int, str], Time]


def float64(array: ArrayLike) -> NDArray[np.float64]:
    """The reference's own numbers."""
    return np.asarray(array, dtype=np.float64)


@dataclass(frozen=True)
class Trace:
    """A forward run: its results, and what the way back needs.

    Attributes:
        outputs: ``output``, ``h_n`` and ``c_n`` (or ``h_n_l0`` … where hidden sizes differ).
    """

    model: Model
    outputs: dict[str, Any]
    _lift: Lift
    _passes: list[list[Pass]] = field(repr=False)
    _masks: Mapping[str, NDArray[np.floating]]
    _padding: Padding | None
    _steps: tuple[int, int]
    _batched: bool
    _flipped: bool


def forward(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    input: ArrayLike,  # noqa: A002 - the field's name for it
    initial_state: Mapping[str, ArrayLike] | None = None,
    *,
    lengths: ArrayLike | None = None,
    mask: NDArray[np.bool_] | None = None,
    dropout_masks: Mapping[str, NDArray[np.floating]] | None = None,
    dialect: Dialect | None = None,
    cell: Cell | Mapping[str, Cell] | None = None,
    clock: Clock = Time,
    lift: Lift = float64,
) -> Trace:
    """Runs an LSTM over a batch of sequences.

    Args:
        model: the architecture.
        parameters: by canonical name, see ``Model.parameter_shapes``.
        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0``, see ``Model.state_shapes``; None for zeros.
        lengths: valid steps of each row (B,); what lies beyond is not read.
        mask: instead of lengths, which steps of each row count (T, B).
        dropout_masks: what is multiplied by 0 or 1 / (1 - p): a layer's output (T, B, ·) before the next layer, by
            ``l0``, ``l1`` …; what a layer reads (B, ·), the same at each step, by ``input_l0``, ``input_l0_reverse`` …;
            and its hidden state before the recurrent weights (B, ·), by ``recurrent_l0`` ….
        dialect: conventions.
        cell: the cell, or those of each direction by the suffix of its parameters' names.
        clock: makes the order of steps from their number and the direction's suffix.
        lift: makes the numbers to compute with from an array.

    Raises:
        ValueError: a parameter is missing or an array has the wrong shape.
    """
    x = np.asarray(input)
    if x.ndim not in (2, 3):
        raise ValueError(f"input must have 3 axes, or 2 unbatched, not {x.ndim}")
    batched = x.ndim == 3
    x = x[:, None] if not batched else np.moveaxis(x, 0, 1) if model.batch_first else x
    steps, rows, _ = x.shape
    _check_shapes(model, parameters, initial_state, x, rows if batched else None)

    dialect = dialect or Dialect()
    padding = None
    if lengths is not None:
        mask = _counted(np.asarray(lengths), steps, rows)
    if mask is not None:
        if mask.shape != (steps, rows):
            raise ValueError(f"mask has shape {mask.shape}, expected {(steps, rows)}")
        padding = Padding.of(mask, dialect)
        x = np.where(padding.valid, x, np.zeros((), x.dtype))
    weights = {name: lift(np.asarray(array)) for name, array in parameters.items()}
    cells = cell if isinstance(cell, Mapping) else dict.fromkeys(model.suffixes, cell or Cell())
    masks = dropout_masks or {}

    def initial(name: str, layer: int, direction: int, width: int) -> Any:
        if initial_state is None:
            return lift(np.zeros((rows, width)))
        state = lift(np.asarray(model.state(initial_state, name, layer, direction)).reshape(rows, width))
        return state if padding is None else np.where(padding.starts, state, 0.0)

    x = lift(np.ascontiguousarray(x).reshape(steps * rows, -1))
    passes: list[list[Pass]] = []
    finals: dict[str, list[list[Any]]] = {"h_n": [], "c_n": []}
    # exp(-z) overflows to infinity for a saturated gate, and 1 / (1 + infinity) is the right 0.
    with np.errstate(over="ignore"):
        for layer, hidden in enumerate(model.hidden_sizes):
            outputs, h_n, c_n, ran = [], [], [], []
            for direction, suffix in enumerate(model.suffixes):
                end = f"_l{layer}{suffix}"
                own = {name.removesuffix(end): w for name, w in weights.items() if name.endswith(end)}
                own_cell = cells[suffix].with_peephole(own["peephole"]) if "peephole" in own else cells[suffix]
                h_0 = initial("h_0", layer, direction, model.state_size(layer))
                c_0 = initial("c_0", layer, direction, hidden)
                read = _masked(x, masks.get(f"input{end}"), steps)
                dropped = masks.get(f"recurrent{end}")
                one, y = through_time(own_cell, own, read, h_0, c_0, clock(steps, suffix), padding, dropped)
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
    flipped = model.direction == "reverse" and dialect.reverse_output == "processing"
    output = output[::-1] if flipped else output
    output = output[:, 0] if not batched else output.swapaxes(0, 1) if model.batch_first else output
    results = {"output": output}
    for name, layers in finals.items():
        results |= _stack(model, name, layers, batched)
    return Trace(model, results, lift, passes, masks, padding, (steps, rows), batched, flipped)


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
    d_output = (
        d_output[:, None] if not trace._batched else np.moveaxis(d_output, 0, 1) if model.batch_first else d_output
    )
    d_output = d_output[::-1] if trace._flipped else d_output
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
            adjoint = back_through_time(one, share, d_h_n, d_c_n, trace._padding)
            d_h_0.append(adjoint.d_h_0)
            d_c_0.append(adjoint.d_c_0)
            h_previous = one.h[one.time.initials]
            if one.recurrent_mask is not None:
                h_previous = h_previous * one.recurrent_mask
            h_previous = h_previous.reshape(steps * rows, width)
            own = {"weight_ih": adjoint.d_z.T @ one.x, "weight_hh": adjoint.d_z.T @ h_previous}
            if model.bias:
                own["bias_ih"] = own["bias_hh"] = adjoint.d_z.sum(axis=0)
            if model.peepholes:
                before, after = (
                    one.c[part].reshape(steps * rows, -1) for part in (one.time.initials, one.time.results)
                )
                own["peephole"] = one.cell.peephole_gradient(adjoint.d_z, before, after)
            if model.proj_size:
                own["weight_hr"] = adjoint.d_h.T @ one.m.reshape(steps * rows, -1)
            gradients |= {f"grad.{name}_l{layer}{suffix}": over_time(total) for name, total in own.items()}
            by_input = adjoint.d_z @ one.weights["weight_ih"]
            by_input = _masked(by_input, trace._masks.get(f"input_l{layer}{suffix}"), steps)
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


def _stack(model: Model, name: str, layers: list[list[Any]], batched: bool) -> dict[str, Any]:
    """States of all layers and directions as one tensor (L · D, B, ·), or one a layer where hidden sizes differ."""

    def stacked(parts: list[Any]) -> Any:
        rows, width = parts[0].shape
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=0)
        return whole.reshape(*((len(parts), rows) if batched else (len(parts),)), width)

    if model.is_uniform:
        return {name: stacked([part for layer in layers for part in layer])}
    return {f"{name}_l{k}": stacked(layer) for k, layer in enumerate(layers)}


def _counted(lengths: NDArray[np.integer], steps: int, rows: int) -> NDArray[np.bool_]:
    """Which steps count (T, B), for rows of these lengths (B,)."""
    if lengths.shape != (rows,) or not ((lengths >= 0) & (lengths <= steps)).all():
        raise ValueError(f"lengths must be {rows} numbers from 0 to {steps}, not {lengths.tolist()}")
    return np.arange(steps)[:, None] < lengths


def _masked(x: Any, mask: NDArray[np.floating] | None, steps: int) -> Any:
    """A sequence (T · B, ·) times a mask (B, ·), the same at each step."""
    if mask is None:
        return x
    return (x.reshape(steps, *mask.shape) * mask).reshape(-1, mask.shape[-1])


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
        expected |= {**model.state_shapes("h_0", rows), **model.state_shapes("c_0", rows)}
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
