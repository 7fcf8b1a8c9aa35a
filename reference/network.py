"""A stack of LSTM layers and directions through time, forward and backward.

The code is independent of the kind of array. The reference runs on float64 arrays, its verification on long double and
complex arrays, the budget on the arrays of ``reference.arithmetic``, which carry their rounding error, and second
derivatives on those of ``reference.dual``, which carry their derivative along a direction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference.arithmetic import mark_over_time
from reference.cell import Cell
from reference.dual import Dual
from reference.layer import (
    Adjoint,
    Dialect,
    LayerDirection,
    Padding,
    Pass,
    Time,
    merge_steps_and_rows,
    propagate_backward,
    propagate_forward,
)
from reference.model import Model

Lift = Callable[[NDArray[np.floating]], Any]
"""Converts a NumPy array to the kind of array to compute with."""
Clock = Callable[[int, str], Time]
"""Creates the step order from the number of steps and the direction's suffix."""


def float64(array: ArrayLike) -> NDArray[np.float64]:
    """Converts an array to float64, the dtype of the reference."""
    return np.asarray(array, dtype=np.float64)


@dataclass(frozen=True)
class Trace:
    """Results of a forward pass, and its intermediate values for the backward pass.

    Attributes:
        model: options of the LSTM.
        outputs: ``output``, ``h_n`` and ``c_n``. If hidden sizes differ, ``h_n_l0``, ``h_n_l1``, … replace ``h_n``, and
            the same for ``c_n``, see ``Model.state_shapes``.
    """

    model: Model
    outputs: dict[str, Any]
    _lift: Lift
    _passes: list[list[Pass]] = field(repr=False)
    _masks: Mapping[str, NDArray[np.floating]]
    _padding: Padding | None
    _layout: "_Layout"


def forward(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    input: ArrayLike,  # noqa: A002 - torch's name for it
    initial_state: Mapping[str, ArrayLike] | None = None,
    *,
    tangents: Mapping[str, ArrayLike] | None = None,
    lengths: ArrayLike | None = None,
    mask: NDArray[np.bool_] | None = None,
    dropout_masks: Mapping[str, NDArray[np.floating]] | None = None,
    dialect: Dialect | None = None,
    cell: Cell | Mapping[str, Cell] | None = None,
    clock: Clock = Time,
    lift: Lift = float64,
) -> Trace:
    """Runs an LSTM over a batch of sequences.

    For the equations see ``reference.cell`` and https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html.

    Args:
        model: options of the LSTM.
        parameters: arrays by name, with the shapes of ``Model.parameter_shapes``.
        input: input sequence (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0``, with the shapes of ``Model.state_shapes``; None for zeros.
        tangents: direction along which to differentiate: arrays for ``input``, all parameters and all given states. The
            results of ``forward`` and ``backward`` are then ``Dual`` arrays, which carry their derivatives.
        lengths: number of valid steps of each row (B,). Steps after them are padding, which is never read.
        mask: True at valid steps (T, B); replaces ``lengths``.
        dropout_masks: factors 0 or 1 / (1 - p). ``l0``, ``l1``, …: for the output of that layer (T, B, ·) on its way to
            the next layer. ``input_l0``, ``input_l0_reverse``, …: for the input of that layer and direction (B, ·),
            the same at each step. ``recurrent_l0``, …: for its h_{t-1} before the recurrent weights (B, ·).
        dialect: conventions; None for the defaults.
        cell: cell, or the cell of each direction by suffix; None for the standard LSTM cell.
        clock: creates the step order of a direction.
        lift: converts arrays to the kind of array to compute with.

    Returns:
        The outputs, and the intermediate values that ``backward`` needs.

    Raises:
        ValueError: a parameter or state is missing or unexpected, an array has the wrong shape, or a length is not in
            0 … T.
    """
    x = np.asarray(input)
    if x.ndim not in (2, 3):
        raise ValueError(f"input must have 3 axes, or 2 if unbatched, got shape {x.shape}")
    dialect = dialect or Dialect()
    layout = _Layout(
        batched=x.ndim == 3,
        batch_first=model.batch_first,
        flipped=model.direction == "reverse" and dialect.reverse_output == "processing",
    )
    x = layout.to_time_major(x)
    steps, rows, _ = x.shape
    _check_shapes(model, parameters, initial_state, x.shape[-1], rows if layout.batched else None)

    padding = None
    if lengths is not None:
        mask = _mask_from_lengths(np.asarray(lengths), steps, rows)
    if mask is None and steps == 0:
        mask = np.ones((steps, rows), dtype=bool)  # Every row is one of length 0.
    if mask is not None:
        if mask.shape != (steps, rows):
            raise ValueError(f"mask has shape {mask.shape}, expected {(steps, rows)}")
        padding = Padding.from_mask(mask, dialect)

    sources = {**parameters, **(initial_state or {}), "input": input}

    def lifted(select: Callable[[Mapping[str, Any]], Any]) -> Any:
        """Lifts what a function selects from the arrays and, if there is a direction, from their tangents."""
        value = lift(np.asarray(select(sources)))
        return value if tangents is None else Dual(value, lift(np.asarray(select(tangents))))

    def flat(arrays: Mapping[str, Any]) -> NDArray[Any]:
        """Returns the input (T · B, I), with zeros in the padding."""
        x = layout.to_time_major(np.asarray(arrays["input"]))
        if padding is not None:
            x = np.where(padding.valid, x, np.zeros((), x.dtype))
        flattened: NDArray[Any] = merge_steps_and_rows(np.ascontiguousarray(x))
        return flattened

    weights = {name: lifted(itemgetter(name)) for name in parameters}
    cells = cell if isinstance(cell, Mapping) else dict.fromkeys(model.suffixes, cell or Cell())
    masks = dropout_masks or {}

    def initial(name: str, layer: int, direction: int, width: int) -> Any:
        if initial_state is None:
            return lifted(lambda _: np.zeros((rows, width)))
        state = lifted(lambda arrays: np.asarray(model.state(arrays, name, layer, direction)).reshape(rows, width))
        return state if padding is None else np.where(padding.keeps_initial, state, 0.0)

    x = lifted(flat)
    passes: list[list[Pass]] = []
    h_n: list[list[Any]] = []
    c_n: list[list[Any]] = []
    # For a saturated gate exp(-z) overflows to infinity, and 1 / (1 + infinity) is the correct 0.
    with np.errstate(over="ignore"):
        for layer in range(model.num_layers):
            layer_passes, outputs = [], []
            for direction, suffix in enumerate(model.suffixes):
                key = f"l{layer}{suffix}"
                own = {name.removesuffix(f"_{key}"): w for name, w in weights.items() if name.endswith(f"_{key}")}
                own_cell = cells[suffix].with_peephole(own["peephole"]) if "peephole" in own else cells[suffix]
                configuration = LayerDirection(clock(steps, suffix), own, own_cell, masks.get(f"recurrent_{key}"))
                h_0 = initial("h_0", layer, direction, model.state_size(layer, direction))
                c_0 = initial("c_0", layer, direction, model.hidden_size(layer, direction))
                masked = _apply_mask(x, masks.get(f"input_{key}"), steps)
                layer_pass, y = propagate_forward(configuration, masked, h_0, c_0, padding)
                layer_passes.append(layer_pass)
                outputs.append(y)
            passes.append(layer_passes)
            h_n.append([each.h[each.time.end] for each in layer_passes])
            c_n.append([each.c[each.time.end] for each in layer_passes])
            x = np.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
            if f"l{layer}" in masks:
                x = x * masks[f"l{layer}"].reshape(x.shape)

    results = {"output": layout.from_time_major(layout.flip(x.reshape(steps, rows, model.output_size())))}
    results |= _stack_states(model, "h_n", h_n, layout.batched) | _stack_states(model, "c_n", c_n, layout.batched)
    constant = lift if tangents is None else lambda array: Dual(lift(array))
    return Trace(model, results, constant, passes, masks, padding, layout)


def backward(trace: Trace, cotangents: Mapping[str, ArrayLike]) -> dict[str, Any]:
    """Runs back-propagation through time.

    With L = Σ ⟨cotangent, output⟩ over ``output``, ``h_n`` and ``c_n``, the gradients of one direction of one layer are

        ∂L/∂W_ih = Σ_t δz_t x_tᵀ     ∂L/∂W_hh = Σ_t δz_t h_{t-1}ᵀ     ∂L/∂b_ih = ∂L/∂b_hh = Σ_t δz_t
        ∂L/∂W_hr = Σ_t δh_t m_tᵀ     ∂L/∂x_t = W_ihᵀ δz_t

    See ``reference.layer.propagate_backward`` for δz_t and δh_t.

    Args:
        trace: result of ``forward``.
        cotangents: cotangents of all ``trace.outputs``, with the same names and shapes.

    Returns:
        Gradients of L: ``grad.input``, ``grad.h_0``, ``grad.c_0`` and ``grad.`` followed by the name of each parameter.
        Each has the shape of the array to which it belongs. With ``tangents``, its derivative is the product of the
        Hessian of L with the direction.
    """
    model, layout = trace.model, trace._layout
    d_output = layout.flip(layout.to_time_major(np.asarray(cotangents["output"])))
    steps, rows, _ = d_output.shape
    d_y = trace._lift(merge_steps_and_rows(np.ascontiguousarray(d_output)))

    gradients: dict[str, Any] = {}
    d_h_0: list[list[Any]] = []
    d_c_0: list[list[Any]] = []
    for layer in reversed(range(model.num_layers)):
        if f"l{layer}" in trace._masks:
            d_y = d_y * trace._masks[f"l{layer}"].reshape(d_y.shape)
        d_x, adjoints = None, []
        for direction, (suffix, part) in enumerate(zip(model.suffixes, model.output_parts(layer), strict=True)):
            key, width = f"l{layer}{suffix}", model.state_size(layer, direction)
            layer_pass = trace._passes[layer][direction]
            d_h_n, d_c_n = (
                trace._lift(np.asarray(model.state(cotangents, name, layer, direction)).reshape(rows, size))
                for name, size in (("h_n", width), ("c_n", model.hidden_size(layer, direction)))
            )
            own_d_y = d_y[:, part].reshape(steps, rows, width)
            adjoint = propagate_backward(layer_pass, own_d_y, d_h_n, d_c_n, trace._padding)
            adjoints.append(adjoint)
            for name, gradient in _parameter_gradients(model, layer_pass, adjoint).items():
                gradients[f"grad.{name}_{key}"] = mark_over_time(gradient)
            own_d_x = adjoint.d_z @ layer_pass.weights["weight_ih"]
            own_d_x = _apply_mask(own_d_x, trace._masks.get(f"input_{key}"), steps)
            d_x = own_d_x if d_x is None else d_x + own_d_x
        d_h_0.insert(0, [adjoint.d_h_0 for adjoint in adjoints])
        d_c_0.insert(0, [adjoint.d_c_0 for adjoint in adjoints])
        d_y = d_x

    return (
        {"grad.input": layout.from_time_major(d_y.reshape(steps, rows, model.input_size))}
        | _stack_states(model, "grad.h_0", d_h_0, layout.batched)
        | _stack_states(model, "grad.c_0", d_c_0, layout.batched)
        | {f"grad.{name}": gradients[f"grad.{name}"] for name in model.parameter_shapes()}
    )


@dataclass(frozen=True)
class _Layout:
    """Axes and step order of ``input`` and ``output``.

    Attributes:
        batched: whether there is a batch axis.
        batch_first: whether the batch axis comes before the time axis.
        flipped: whether ``output`` is in the order of processing, last step first.
    """

    batched: bool
    batch_first: bool
    flipped: bool

    def to_time_major(self, array: Any) -> Any:
        """Returns a sequence as (T, B, ·)."""
        if not self.batched:
            return array[:, None]
        return array.swapaxes(0, 1) if self.batch_first else array

    def from_time_major(self, array: Any) -> Any:
        """Returns a sequence (T, B, ·) in this layout."""
        if not self.batched:
            return array[:, 0]
        return array.swapaxes(0, 1) if self.batch_first else array

    def flip(self, output: Any) -> Any:
        """Converts ``output`` (T, B, ·) between the step orders of the layer and of the dialect."""
        return output[::-1] if self.flipped else output


def _parameter_gradients(model: Model, layer_pass: Pass, adjoint: Adjoint) -> dict[str, Any]:
    """Returns the parameter gradients of one direction of one layer, by name without layer and direction."""
    h_previous = layer_pass.h[layer_pass.time.before]
    if layer_pass.recurrent_mask is not None:
        h_previous = h_previous * layer_pass.recurrent_mask
    h_previous = merge_steps_and_rows(h_previous)
    gradients = {"weight_ih": adjoint.d_z.T @ layer_pass.x, "weight_hh": adjoint.d_z.T @ h_previous}
    if model.bias:
        gradients["bias_ih"] = gradients["bias_hh"] = adjoint.d_z.sum(axis=0)
    if model.peepholes:
        c_previous, c = (
            merge_steps_and_rows(layer_pass.c[positions])
            for positions in (layer_pass.time.before, layer_pass.time.after)
        )
        gradients["peephole"] = layer_pass.cell.peephole_gradient(adjoint.d_z, c_previous, c)
    if model.proj_size:
        gradients["weight_hr"] = adjoint.d_h.T @ merge_steps_and_rows(layer_pass.m)
    return gradients


def _stack_states(model: Model, name: str, layers: list[list[Any]], batched: bool) -> dict[str, Any]:
    """Joins the states (B, ·) of all layers and directions into the tensors that ``Model.state_shapes`` describes."""

    def stack(states: list[Any]) -> Any:
        rows, width = states[0].shape
        joined = states[0] if len(states) == 1 else np.concatenate(states, axis=0)
        return joined.reshape(*((len(states), rows) if batched else (len(states),)), width)

    return {
        f"{name}{end}": stack([layers[layer][direction] for layer, direction in places])
        for end, places in model.state_places.items()
    }


def _mask_from_lengths(lengths: NDArray[np.integer], steps: int, rows: int) -> NDArray[np.bool_]:
    """Returns a mask (T, B) that is True for the first ``lengths`` (B,) steps of each row."""
    if lengths.shape != (rows,) or not ((lengths >= 0) & (lengths <= steps)).all():
        raise ValueError(f"lengths must be {rows} integers from 0 to {steps}, got {lengths.tolist()}")
    return np.arange(steps)[:, None] < lengths


def _apply_mask(x: Any, mask: NDArray[np.floating] | None, steps: int) -> Any:
    """Multiplies each step of a sequence (T · B, ·) by a mask (B, ·)."""
    if mask is None:
        return x
    return merge_steps_and_rows(x.reshape(steps, *mask.shape) * mask)


def _check_shapes(
    model: Model,
    parameters: Mapping[str, ArrayLike],
    initial_state: Mapping[str, ArrayLike] | None,
    input_size: int,
    rows: int | None,
) -> None:
    """Raises ``ValueError`` if a tensor is missing or unexpected or has the wrong shape."""
    if input_size != model.input_size:
        raise ValueError(f"input has {input_size} features, expected {model.input_size}")
    expected = dict(model.parameter_shapes())
    actual = {name: np.shape(array) for name, array in parameters.items()}
    if initial_state is not None:
        expected |= {**model.state_shapes("h_0", rows), **model.state_shapes("c_0", rows)}
        actual |= {name: np.shape(array) for name, array in initial_state.items()}
    if actual == expected:
        return
    for name, shape in expected.items():
        if name not in actual:
            raise ValueError(f"{name} is missing, expected shape {shape}")
        if actual[name] != shape:
            raise ValueError(f"{name} has shape {actual[name]}, expected {shape}")
    for name in actual:
        if name not in expected:
            raise ValueError(f"{name} is not a parameter or state of this model")
