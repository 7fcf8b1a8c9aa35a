"""Problems: the arrays of a case. The same case and draw give the same bytes on every machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.mistakes import make_mistake
from conformance.verdict.random_arrays import RandomArrays, round_to
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell
from reference.model import Shape
from reference.onnx_cell import OnnxCell

Array = NDArray[np.floating]
Tensors = Mapping[str, Array]


@dataclass(frozen=True)
class Problem:
    """A case with concrete numbers.

    Arrays are read-only, C-contiguous and have the case's dtype. NumPy has no bfloat16, so bfloat16 values are stored
    as float32.

    Attributes:
        case: the case.
        parameters: parameters by canonical name, with the gates in the order i, f, g, o (see ``reference.model``).
        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0`` (L · D, B, ·), or ``h_0_l0`` … if hidden sizes differ, see ``Model``; None if
            the case omits them. One of them is missing if the case gives only the other.
        mask: valid steps, time-major (T, B); None if all steps are valid.
        lengths: number of valid steps of each row (B,), if the padding follows them; else None.
        dropout_masks: float64 factors 0 or 1 / (1 - p); empty without dropout. ``l0``, ``l1`` … multiply the output of
            a layer before the next layer reads it, time-major (T, B, ·). ``input_l0``, ``input_l0_reverse`` … multiply
            the input of one direction of a layer at every step (B, ·). ``recurrent_l0`` … multiply its hidden state
            before the recurrent weights at every step (B, ·).
        cotangents: cotangents of the results that the loss reads, by default of ``output``, ``h_n`` and ``c_n``, with
            their shapes.
        tangents: direction of the derivatives ``jvp`` and ``hvp``: an array for ``input``, each initial state that is
            given and each parameter, with their shapes; empty if the case compares neither.
        draw: number of the draw: 0 for the case's own values, others for further independent draws.
        wrong: array to pass in place of the one with that name, if the implementation must refuse it; else empty.
    """

    case: Case
    parameters: Tensors
    input: Array
    initial_state: Tensors | None
    mask: NDArray[np.bool_] | None
    lengths: NDArray[np.int64] | None
    dropout_masks: Tensors
    cotangents: Tensors
    draw: int = 0
    tangents: Tensors = field(default_factory=dict)
    wrong: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def under(self, dialect: Dialect) -> "Problem":
        """Returns the problem for an implementation that follows a dialect.

        If the dialect leaves the output in the padding unspecified, its cotangent there is 0.
        """
        specified = self.specified_steps(dialect)
        if specified is None or "output" not in self.cotangents:
            return self
        output = self.cotangents["output"] * specified[..., None].astype(self.cotangents["output"].dtype)
        return replace(self, cotangents={**self.cotangents, "output": output})

    def complete_state(self) -> Tensors:
        """Returns h_0 and c_0, with zeros in place of those that are not given."""
        return self._complete_state(self.initial_state or {})

    def complete_tangents(self) -> Tensors:
        """Returns the direction, with zeros for an initial state that is not given."""
        return {**self.tangents, **self._complete_state(self.tangents)}

    def _complete_state(self, given: Tensors) -> Tensors:
        """Returns arrays for h_0 and c_0, with zeros in place of those that are not given."""
        case = self.case
        shapes = {**case.model.state_shapes("h_0", case.rows), **case.model.state_shapes("c_0", case.rows)}
        return {name: given[name] if name in given else np.zeros(shape) for name, shape in shapes.items()}

    def complete_cotangents(self) -> Tensors:
        """Returns the cotangents of all results, with zeros for those that the loss does not read."""
        shapes = self.result_shapes()
        return {name: self.cotangents.get(name, np.zeros(shape)) for name, shape in shapes.items()}

    def result_shapes(self) -> dict[str, Shape]:
        """Returns the shapes of ``output``, ``h_n`` and ``c_n``."""
        case, model = self.case, self.case.model
        states = {**model.state_shapes("h_n", case.rows), **model.state_shapes("c_n", case.rows)}
        return {"output": self.output_shape, **states}

    def specified_steps(self, dialect: Dialect) -> NDArray[np.bool_] | None:
        """Returns the rows and steps of ``output`` that a dialect specifies, as a mask; None if it specifies all."""
        if dialect.padding != "unspecified" or self.mask is None:
            return None
        flipped = self.case.direction == "reverse" and dialect.reverse_output == "processing"
        specified = self.mask[::-1] if flipped else self.mask
        return specified.T if self.case.batch_first else specified

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns all arrays by unique names: ``input``, ``lengths``, ``h_0``, ``cotangent.output`` and so on."""
        optional = {"lengths": self.lengths, "mask": self.mask}
        return {
            "input": self.input,
            **{name: array for name, array in optional.items() if array is not None},
            **self.parameters,
            **(self.initial_state or {}),
            **{f"dropout_mask.{name}": mask for name, mask in self.dropout_masks.items()},
            **{f"cotangent.{name}": array for name, array in self.cotangents.items()},
            **{f"tangent.{name}": array for name, array in self.tangents.items()},
            **{f"wrong.{name}": array for name, array in self.wrong.items()},
        }

    @property
    def output_shape(self) -> Shape:
        """Shape of ``output``: that of the input, with the width of the last layer."""
        return (*self.input.shape[:-1], self.case.model.output_size())

    def expected_shapes(self) -> dict[str, Shape]:
        """Returns the shapes of the tensors that a solution must contain, in the order of comparison."""
        case = self.case
        shapes = {name: shape for name, shape in self.result_shapes().items() if kind_of(name) in case.check}
        leaves = {"input": self.input, **(self.initial_state or {}), **self.parameters}
        if "gradients" in case.check:
            shapes |= {f"grad.{name}": array.shape for name, array in leaves.items() if name not in case.frozen}
        if "jvp" in case.check:
            shapes |= {f"jvp.{name}": shape for name, shape in self.result_shapes().items()}
        if "hvp" in case.check:
            shapes |= {f"hvp.{name}": array.shape for name, array in leaves.items()}
        return shapes


def kind_of(name: str) -> str:
    """Returns the result to which a tensor belongs: ``h_n`` for ``h_n_l1``."""
    return name if name == "output" else name[:3]


def source_of(name: str) -> str:
    """Returns a tensor's name without its prefix: ``input`` for ``grad.input``, ``output`` for ``jvp.output``."""
    return name.rpartition(".")[2]


def make_problem(case: Case, draw: int = 0) -> Problem:
    """Draws the values of a case.

    Args:
        case: the case.
        draw: number of the draw. Each number gives independent values; 0 gives the case's own.
    """
    random = RandomArrays(f"{case.drawn_from}#{draw}", case.dtype)
    model = case.model
    weights = {name: _draw_parameter(random, case, name, shape) for name, shape in model.parameter_shapes().items()}
    mask = step_mask(case)
    steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
    result_shapes = {
        "output": (*_leading_axes(case, steps), model.output_size()),
        **model.state_shapes("h_n", case.rows),
        **model.state_shapes("c_n", case.rows),
    }
    problem = Problem(
        case=case,
        parameters=weights,
        input=_draw_input(random, case, mask, (*steps, model.input_size)),
        initial_state=_draw_initial_state(random, case),
        mask=mask,
        lengths=valid_steps(case) if case.mask == "right" else None,
        dropout_masks=_draw_dropout_masks(random, case),
        cotangents={
            name: random.normal(f"cotangent.{name}", shape)
            for name, shape in result_shapes.items()
            if kind_of(name) in case.cotangents
        },
        draw=draw,
        tangents=_draw_tangents(random, case),
    )
    return replace(problem, wrong=make_mistake(case, problem.arrays())) if case.refuses else problem


def _draw_parameter(random: RandomArrays, case: Case, name: str, shape: Shape) -> Array:
    """Draws a parameter. All gates, layers, directions, rows and both biases get distinct values."""
    if case.values == "uniform":
        return random.uniform(name, shape, 1 / np.sqrt(case.model.hidden_size_of(name)))
    scale = {"scale-1": 1.0, "scale-2": 2.0}[case.values]
    if name.startswith(("bias", "peephole")):
        return random.normal(name, shape, variance=scale / 2)
    return random.normal(name, shape, variance=scale**2 / shape[1])


def _draw_tangents(random: RandomArrays, case: Case) -> Tensors:
    """Draws a direction from N(0, 1), and from N(0, 1/fan_in) for weights. Each of its arrays has a similar effect."""
    if not case.has_direction:
        return {}
    model = case.model
    states = [shapes for state in case.given_states for shapes in model.state_shapes(state, case.rows).items()]
    steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
    shapes = {"input": (*_leading_axes(case, steps), model.input_size), **dict(states), **model.parameter_shapes()}
    return {
        name: random.normal(f"tangent.{name}", shape, variance=1 / shape[1] if name.startswith("weight") else 1.0)
        for name, shape in shapes.items()
    }


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


def normalize_dialect(case: Case, dialect: Dialect) -> Dialect:
    """Replaces the conventions of a dialect that do not affect a case by their defaults.

    Implementations whose dialects do not differ for a case then share its expectation.
    """
    lengths = valid_steps(case)
    irrelevant = {
        "padding": lengths is None,
        "zero_length": case.seq_len > 0 and (lengths is None or bool(lengths.all())),
        "clip": case.clip is None,
        "reverse_output": case.direction != "reverse",
    }
    return replace(dialect, **{name: getattr(Dialect(), name) for name, holds in irrelevant.items() if holds})


def cells(case: Case, dialect: Dialect) -> dict[str, Cell]:
    """Returns the cell of each direction, by the suffix of its parameters' names."""
    if case.is_plain:
        return dict.fromkeys(case.model.suffixes, Cell())

    def round_bound(number: float | None) -> float | None:
        """Rounds a bound to the case's dtype. Clipped results must equal the rounded bound exactly."""
        return None if number is None else float(round_to(case.dtype, np.array(number)))

    found: dict[str, Cell] = {}
    for direction, suffix in enumerate(case.model.suffixes):
        names = case.activations[3 * direction : 3 * direction + 3] or case.activations
        gate, candidate, cell_state = (ACTIVATIONS[name] for name in names)
        found[suffix] = OnnxCell(
            gate,
            gate,
            candidate,
            gate,
            cell_state,
            coupled=case.coupled_gates,
            clip=round_bound(case.clip),
            clips_output=dialect.clip == "activations",
            cell_clip=round_bound(case.cell_clip),
            forget_bias=case.forget_bias,
        )
    return found


def _draw_input(random: RandomArrays, case: Case, mask: NDArray[np.bool_] | None, shape: Shape) -> Array:
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


def _draw_initial_state(random: RandomArrays, case: Case) -> Tensors | None:
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
        states = {name: _frozen(np.repeat(state[:, :1], state.shape[1], axis=1)) for name, state in states.items()}
    elif case.memory == "aliased":
        states = {name: states[f"h_0{name[3:]}"] for name in states}
    return states


def _frozen(array: Array) -> Array:
    """Makes an array read-only."""
    array.flags.writeable = False
    return array


def _draw_dropout_masks(random: RandomArrays, case: Case) -> Tensors:
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


def _leading_axes(case: Case, steps: Shape) -> Shape:
    """Returns (T, B), or (B, T) with ``batch_first``."""
    return steps[::-1] if case.batch_first else steps
