"""Case to arrays. A problem is a pure function of its case: the same bytes on every machine."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from reference import Dialect
from reference.activations import ACTIVATIONS
from reference.cell import Cell
from reference.model import Shape
from reference.onnx_cell import OnnxCell

Array = NDArray[np.floating]
Tensors = Mapping[str, Array]

_STORED_AS = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": np.float32}


@dataclass(frozen=True)
class Problem:
    """A case made concrete. Arrays are read-only, C-contiguous and in the case's dtype.

    NumPy has no bfloat16: such values are rounded to bfloat16 and held in float32.

    Attributes:
        case: where it comes from.
        parameters: canonical name to array, gates in the order i, f, g, o (see ``reference.model``).
        input: (T, B, I); (B, T, I) with ``batch_first``; (T, I) unbatched.
        initial_state: ``h_0`` and ``c_0`` (L · D, B, ·), or ``h_0_l0`` … (D, B, ·) where hidden sizes
            differ; None when the case omits them.
        mask: which steps of each row count, time-major (T, B); None when all do.
        lengths: valid steps of each row (B,), where the padding comes after them; else None.
        dropout_masks: what is multiplied by 0 or 1 / (1 - p), in float64, where dropout acts. ``l0``, ``l1`` …: the
            output of that layer, time-major (T, B, ·), on its way to the next. ``input_l0``, ``input_l0_reverse`` …:
            what a layer reads in that direction (B, ·), the same at each step. ``recurrent_l0`` …: its hidden state
            (B, ·) before the recurrent weights, the same at each step.
        cotangents: of ``output``, ``h_n`` and ``c_n``, shaped like them.
        draw: which of the case's draws of values this is.
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

    def under(self, dialect: Dialect) -> "Problem":
        """The problem as it is put to an implementation of a dialect.

        Where that leaves open what the output holds at steps that do not count, no gradient comes from there.
        """
        shown = self.shown(dialect)
        if shown is None:
            return self
        output = self.cotangents["output"] * shown[..., None].astype(self.cotangents["output"].dtype)
        return replace(self, cotangents={**self.cotangents, "output": output})

    def shown(self, dialect: Dialect) -> NDArray[np.bool_] | None:
        """Where a dialect says what the output holds, by row and step in its own order; None for everywhere."""
        if dialect.padding != "unspecified" or self.mask is None:
            return None
        flipped = self.case.direction == "reverse" and dialect.reverse_output == "processing"
        shown = self.mask[::-1] if flipped else self.mask
        return shown.T if self.case.batch_first else shown

    @property
    def output_shape(self) -> Shape:
        """Shape of ``output``: the input's, with the last layer's width."""
        return (*self.input.shape[:-1], self.case.model.output_size())

    def expected_shapes(self) -> dict[str, Shape]:
        """Every tensor that a solution of this problem must hold, with its shape, in the order of comparison."""
        case, model = self.case, self.case.model
        shapes: dict[str, Shape] = {}
        if "output" in case.check:
            shapes["output"] = self.output_shape
        if "h_n" in case.check:
            shapes |= model.state_shapes("h_n", case.rows)
        if "c_n" in case.check:
            shapes |= model.state_shapes("c_n", case.rows)
        if "gradients" in case.check:
            shapes["grad.input"] = self.input.shape
            for name, array in (self.initial_state or {}).items():
                shapes[f"grad.{name}"] = array.shape
            for name, array in self.parameters.items():
                shapes[f"grad.{name}"] = array.shape
        return shapes


def make_problem(case: Case, draw: int = 0) -> Problem:
    """The problem that a case stands for.

    Args:
        case: the configuration.
        draw: 0 for the case's own values; other numbers give further, independent draws of them.
    """
    source = _Source(f"{case.drawn_from}#{draw}", case.dtype)
    model = case.model
    weights = {name: _parameter(source, case, name, shape) for name, shape in model.parameter_shapes().items()}
    mask = counted_steps(case)
    steps = (case.seq_len,) if case.rows is None else (case.seq_len, case.rows)
    output_shape = (*_major(case, steps), model.output_size())
    return Problem(
        case=case,
        parameters=weights,
        input=_input(source, case, mask, (*steps, model.input_size)),
        initial_state=_initial_state(source, case),
        mask=mask,
        lengths=valid_steps(case) if case.mask == "right" else None,
        dropout_masks=_dropout_masks(source, case),
        cotangents={
            "output": source.normal("cotangent.output", output_shape),
            **{
                name: source.normal(f"cotangent.{name}", shape)
                for state in ("h_n", "c_n")
                for name, shape in model.state_shapes(state, case.rows).items()
            },
        },
        draw=draw,
    )


class _Source:
    """Random values by name. Integers in, exactly rounded operations out: no machine's libm takes part.

    Each tensor has a stream of its own, so that adding one moves no other.
    """

    def __init__(self, seed: str, dtype: str) -> None:
        self._seed = seed
        self.dtype = dtype

    def _bits(self, name: str, count: int) -> NDArray[np.uint64]:
        key = int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest()[:16])
        # NumPy guarantees the raw stream of a bit generator, not those of Generator's methods.
        return np.random.Philox(key=key).random_raw(count)

    def uniform(self, name: str, shape: Shape, bound: float = 1.0) -> Array:
        """U(-bound, bound)."""
        return self._store(self._unit(name, shape) * bound)

    def normal(self, name: str, shape: Shape, variance: float = 1.0, rows: Array | None = None) -> Array:
        """Standard normal values times the square root of a variance, and times a factor for each row, if given."""
        values = self._gauss(name, shape) * np.sqrt(variance)
        return self._store(values if rows is None else values * rows)

    def kept(self, name: str, shape: Shape, drop: float) -> NDArray[np.bool_]:
        """True with probability 1 - drop."""
        return self._unit(name, shape) * 0.5 + 0.5 >= drop

    def _unit(self, name: str, shape: Shape) -> Array:
        bits = self._bits(name, prod(shape)) >> np.uint64(11)
        return (bits.astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)

    def _gauss(self, name: str, shape: Shape) -> Array:
        """The sum of 12 uniform numbers, less 6: variance 1, normal to within a percent up to 3 σ."""
        halves = self._bits(name, 6 * prod(shape)).view(np.uint32).reshape(*shape, 12)
        sums: Array = halves.sum(-1, dtype=np.int64).astype(np.float64)
        return sums * 2.0**-32 - 6.0

    def _store(self, values: Array) -> Array:
        array = np.ascontiguousarray(round_to(self.dtype, values))
        array.flags.writeable = False
        return array


def round_to(dtype: str, values: Array) -> Array:
    """Values rounded to a case's dtype, to nearest, ties to even; bfloat16 is held in float32."""
    stored = values.astype(_STORED_AS[dtype])
    if dtype != "bfloat16":
        return stored
    bits = stored.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(stored), stored, rounded.view(np.float32))


def _parameter(source: _Source, case: Case, name: str, shape: Shape) -> Array:
    """Distinct values in every gate, layer, direction, row and in both biases."""
    if case.values == "uniform":
        layer = int(name.split("_l")[1].split("_")[0])
        return source.uniform(name, shape, 1 / np.sqrt(case.hidden_sizes[layer]))
    scale = {"scale-1": 1.0, "scale-2": 2.0}[case.values]
    if name.startswith(("bias", "peephole")):
        return source.normal(name, shape, variance=scale / 2)
    return source.normal(name, shape, variance=scale**2 / shape[1])


def valid_steps(case: Case) -> NDArray[np.int64] | None:
    """Valid steps of each row (B,); None without lengths.

    ``ragged`` is T, 1 and values between, so ordered that neither sorting nor the maximum gives them back.
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


def counted_steps(case: Case) -> NDArray[np.bool_] | None:
    """Which steps of each row count (T, B); None without lengths.

    Holes are spread over a row of which the first step counts and the last does not, unless all do.
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


def concerning(case: Case, dialect: Dialect) -> Dialect:
    """The dialect as far as it concerns a case: what the case has no use for is at its default.

    Implementations of different dialects thus share what is computed for a case in which they do not differ.
    """
    lengths = valid_steps(case)
    usual = {
        "padding": lengths is None,
        "zero_length": lengths is None or bool(lengths.all()),
        "clip": case.clip is None,
        "reverse_output": case.direction != "reverse",
    }
    return replace(dialect, **{name: getattr(Dialect(), name) for name, holds in usual.items() if holds})


def cells(case: Case, dialect: Dialect) -> dict[str, Cell]:
    """The cell of each direction, by the suffix of its parameters' names."""
    if case.is_plain:
        return dict.fromkeys(case.model.suffixes, Cell())

    def stored(number: float | None) -> float | None:
        """What is left of a number in the case's dtype: where it binds, results equal it and have no budget."""
        return None if number is None else float(round_to(case.dtype, np.array(number)))

    found: dict[str, Cell] = {}
    for direction, suffix in enumerate(case.model.suffixes):
        named = case.activations[3 * direction : 3 * direction + 3] or case.activations
        gate, candidate, cell_state = (ACTIVATIONS[name] for name in named)
        found[suffix] = OnnxCell(
            gate,
            gate,
            candidate,
            gate,
            cell_state,
            coupled=case.coupled_gates,
            clip=stored(case.clip),
            clips_output=dialect.clip == "activations",
            cell_clip=stored(case.cell_clip),
            forget_bias=case.forget_bias,
        )
    return found


def _input(source: _Source, case: Case, mask: NDArray[np.bool_] | None, shape: Shape) -> Array:
    """Values of variance 1, time-major drawn; at steps that do not count, what the case puts there."""
    values = source.normal("input", shape)
    if mask is not None and case.padding != "random":
        garbage = np.nan if case.padding == "nan" else 1e4 if case.dtype == "float16" else 1e6
        values = round_to(case.dtype, np.where(mask[..., None], values, garbage))
    if case.input_nan:
        values = values.copy()
        values[case.seq_len // 2].flat[0] = np.nan
    array = np.ascontiguousarray(np.moveaxis(values, 0, 1) if case.batch_first and case.rows else values)
    array.flags.writeable = False
    return array


def _initial_state(source: _Source, case: Case) -> Tensors | None:
    """h_0 in (-1, 1), as a hidden state is; c_0 normal, three times as wide in every other row."""
    if case.initial_state == "omitted":
        return None
    states: dict[str, Array] = {}
    for name in ("h_0", "c_0"):
        zero = case.initial_state not in ("random", f"{name}-only")
        for tensor, shape in case.model.state_shapes(name, case.rows).items():
            if zero:
                states[tensor] = source.uniform(tensor, shape, 0.0)
            elif name == "h_0":
                states[tensor] = source.uniform(tensor, shape)
            else:
                wide = 1.0 + 2.0 * (np.arange(shape[-2] if case.rows else 1) % 2)
                states[tensor] = source.normal(tensor, shape, rows=wide[:, None] if case.rows else None)
    return states


def _dropout_masks(source: _Source, case: Case) -> Tensors:
    if case.mode == "eval":
        return {}
    model = case.model
    rows = case.rows or 1
    masks: dict[str, Array] = {}

    def draw(name: str, shape: Shape, drop: float) -> None:
        if drop:
            scale = 0.0 if drop == 1.0 else 1.0 / (1.0 - drop)
            masks[name] = scale * source.kept(f"dropout.{name}", shape, drop)
            masks[name].flags.writeable = False

    for layer in range(case.num_layers):
        if layer < case.num_layers - 1:
            draw(f"l{layer}", (case.seq_len, rows, model.output_size(layer)), case.dropout)
        for suffix in model.suffixes:
            draw(f"input_l{layer}{suffix}", (rows, model.layer_input_size(layer)), case.input_dropout)
            draw(f"recurrent_l{layer}{suffix}", (rows, model.state_size(layer)), case.recurrent_dropout)
    return masks


def _major(case: Case, steps: Shape) -> Shape:
    """(T, B) or, with ``batch_first``, (B, T)."""
    return steps[::-1] if case.batch_first else steps
