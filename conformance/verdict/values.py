"""Values of a problem: random arrays for its parameters, input, states, masks and tangents."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.random_arrays import Array, RandomArrays, round_to
from reference.model import Shape


def draw_parameter(random: RandomArrays, case: Case, name: str, shape: Shape) -> Array:
    """Draws a parameter. All gates, layers, directions, rows and both biases get distinct values."""
    if case.values == "uniform":
        return random.uniform(name, shape, 1 / np.sqrt(case.model.hidden_size_of(name)))
    scale = {"scale-1": 1.0, "scale-2": 2.0}[case.values]
    if name.startswith(("bias", "peephole")):
        return random.normal(name, shape, variance=scale / 2)
    return random.normal(name, shape, variance=scale**2 / shape[1])


def draw_tangents(random: RandomArrays, case: Case) -> dict[str, Array]:
    """Draws a direction from N(0, 1), and from N(0, 1/fan_in) for weights. Each of its arrays has a similar effect."""
    if not case.has_direction:
        return {}
    model = case.model
    states = [shapes for state in case.given_states for shapes in model.state_shapes(state, case.rows).items()]
    steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
    shapes = {"input": (*leading_axes(case, steps), model.input_size), **dict(states), **model.parameter_shapes()}
    return {
        name: random.normal(f"tangent.{name}", shape, variance=1 / shape[1] if name.startswith("weight") else 1.0)
        for name, shape in shapes.items()
    }


def draw_input(random: RandomArrays, case: Case, mask: NDArray[np.bool_] | None, shape: Shape) -> Array:
    """Draws the input from N(0, 1), in time-major order, and fills the padding."""
    values = random.normal("input", shape)
    if mask is not None and case.padding != "random":
        garbage = np.nan if case.padding == "nan" else 1e4 if case.dtype == "float16" else 1e6
        values = round_to(case.dtype, np.where(mask[..., None], values, garbage))
    if case.input_nan:
        values = values.copy()
        values[case.seq_len // 2].flat[0] = np.nan
    moves = case.batch_first and case.rows is not None
    array = np.ascontiguousarray(np.moveaxis(values, 0, 1) if moves else values)
    array.flags.writeable = False
    return array


def draw_initial_state(random: RandomArrays, case: Case) -> dict[str, Array] | None:
    """Draws h_0 from U(-1, 1), the range of hidden states, and c_0 from N(0, 1), or N(0, 9) in every other row.

    States that share memory share their values.
    """
    if not case.gives_state:
        return None
    states: dict[str, Array] = {}
    for name in case.given_states:
        zero = case.initial_state not in ("random", f"{name}-only", f"{name}-given")
        for tensor, shape in case.model.state_shapes(name, case.rows).items():
            if zero:
                states[tensor] = random.uniform(tensor, shape, 0.0)
            elif name == "h_0":
                states[tensor] = random.uniform(tensor, shape)
            else:
                wide = None if case.rows is None else 1.0 + 2.0 * (np.arange(case.rows) % 2)[:, None]
                states[tensor] = random.normal(tensor, shape, rows=wide)
    if case.memory == "expanded":
        states = {name: frozen(np.repeat(state[:, :1], state.shape[1], axis=1)) for name, state in states.items()}
    elif case.memory == "aliased":
        states = {name: states[f"h_0{name[3:]}"] for name in states}
    return states


def draw_dropout_masks(random: RandomArrays, case: Case) -> dict[str, Array]:
    """Draws the dropout masks, see ``Problem``."""
    if case.mode == "eval":
        return {}
    model = case.model
    rows = case.num_rows
    masks: dict[str, Array] = {}

    def draw(name: str, shape: Shape, drop: float) -> None:
        if drop:
            scale = 0.0 if drop == 1.0 else 1.0 / (1.0 - drop)
            masks[name] = scale * random.kept(f"dropout.{name}", shape, drop)
            masks[name].flags.writeable = False

    for layer in range(case.num_layers):
        if layer < case.num_layers - 1:
            draw(f"l{layer}", (case.seq_len, rows, model.output_size(layer)), case.dropout)
        for direction, suffix in enumerate(model.suffixes):
            draw(f"input_l{layer}{suffix}", (rows, model.layer_input_size(layer)), case.input_dropout)
            draw(f"recurrent_l{layer}{suffix}", (rows, model.state_size(layer, direction)), case.recurrent_dropout)
    return masks


def valid_steps(case: Case) -> NDArray[np.int64] | None:
    """Returns the number of valid steps of each row (B,); None without lengths.

    From three rows on, ``ragged`` lengths include 1 and T and are not sorted.
    """
    if case.lengths is None:
        return None
    written = case.lengths
    if written == "ragged":
        rows, steps = case.rows or 1, case.seq_len
        between = [1 + (7 * row + steps // 2) % steps for row in range(rows)]
        written = (between[0], steps, 1, *between[1:])[:rows]
    lengths = np.array(written, dtype=np.int64)
    lengths.flags.writeable = False
    return lengths


def step_mask(case: Case) -> NDArray[np.bool_] | None:
    """Returns the valid steps (T, B); None without lengths.

    The mask ``holed`` spreads the valid steps over the row. The first step is valid and the last one is not, unless all
    or none are.
    """
    lengths = valid_steps(case)
    if lengths is None:
        return None
    steps = np.arange(case.seq_len)[:, None]
    if case.mask == "holed":
        before, after = (-(-count * lengths // case.seq_len) for count in (steps, steps + 1))
        mask = after > before
    else:
        mask = steps < lengths if case.mask == "right" else steps >= case.seq_len - lengths
    mask.flags.writeable = False
    return mask


def leading_axes(case: Case, steps: Shape) -> Shape:
    """Returns (T, B), or (B, T) with ``batch_first``."""
    return steps[::-1] if case.batch_first else steps


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Makes an array read-only."""
    array.flags.writeable = False
    return array
