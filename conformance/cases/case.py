"""A case: one configuration to check. Data, without behaviour beyond its own consistency."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from reference.model import Direction, Model

DType = Literal["float64", "float32", "float16", "bfloat16"]
Check = Literal["output", "h_n", "c_n", "gradients"]
InitialState = Literal["omitted", "zero", "random", "h_0-only", "c_0-only"]
Values = Literal["scale-1", "scale-2", "uniform"]
Padding = Literal["random", "large", "nan"]
Mask = Literal["right", "left", "holed"]
ActivationName = Literal[
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "affine",
    "hard_sigmoid",
    "hard_sigmoid_6",
    "scaled_tanh",
    "softsign",
]

Size = Annotated[int, Field(ge=1, le=65536)]
# YAML and JSON have lists only; a frozen case holds tuples.
_AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
# The reference and its budget hold each number several times over, in float64: this many take a few GiB.
MAX_NUMBERS = 2**25
Probability = Annotated[float, Field(ge=0, le=1), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
Bound = Annotated[float, Field(ge=1e-3, le=1e3), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
Number = Annotated[float, Field(ge=-1e3, le=1e3), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
_ACTIVATIONS: tuple[ActivationName, ...] = ("sigmoid", "tanh", "tanh")
_ALL_CHECKS: tuple[Check, ...] = ("output", "h_n", "c_n", "gradients")


class Case(BaseModel):
    """One configuration to check: the LSTM's options, the input's shape, how values are drawn, what is compared."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)

    input_size: Size
    """Features of the input, I."""
    hidden_size: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=64), _AsTuple]
    """Units, H: one number for all layers, or a list with one number for each layer."""
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    """Layers stacked on each other, L. With a list of hidden sizes it may be left out."""
    direction: Direction = "forward"
    """Which way each layer runs through time. `bidirectional: true` is short for `direction: bidirectional`."""
    bias: bool = True
    """Whether the gates have biases."""
    batch_first: bool = False
    """Whether input and output are (batch, time, features) instead of (time, batch, features)."""
    proj_size: Annotated[int, Field(ge=0, le=65536)] = 0
    """Width of the projected hidden state, P; 0 for no projection. Must be less than every hidden size."""
    dropout: Probability = 0.0
    """Probability of dropping an element between layers; acts in mode `train` only."""
    input_dropout: Probability = 0.0
    """Probability of dropping a feature of what a layer reads, the same at each step; acts in mode `train` only."""
    recurrent_dropout: Probability = 0.0
    """Probability of dropping a unit of the hidden state before the recurrent weights, the same at each step; acts in
    mode `train` only."""
    mode: Literal["train", "eval"] = "eval"
    """Whether the implementation runs as in training or as in inference."""

    peepholes: bool = False
    """Whether the gates see the cell state: the input and forget gates the one before, the output gate the new one."""
    coupled_gates: bool = False
    """Whether the forget gate is 1 minus the input gate. Its weights are there and are not read."""
    activations: Annotated[tuple[ActivationName, ...], Field(min_length=3, max_length=6), _AsTuple] = _ACTIVATIONS
    """Of the gates, of the candidate and of the cell state on its way out; six for two directions that differ."""
    clip: Bound | None = None
    """Bounds what activations read to within ± this number, as `clip` of ONNX's LSTM."""
    cell_clip: Bound | None = None
    """Bounds the cell state itself to within ± this number, as `cell_clip` of TensorFlow's BlockLSTM."""
    forget_bias: Number = 0.0
    """What is added to the forget gate's sum at run time, beside any bias."""

    seq_len: Size
    """Time steps, T."""
    batch: Size | Literal["unbatched"]
    """Rows, B; or `unbatched` for an input without that axis."""
    lengths: Annotated[tuple[Annotated[int, Field(ge=0)], ...], _AsTuple] | Literal["ragged"] | None = None
    """Valid steps of each row: a list, or `ragged` for unsorted ones that include 1 and T."""
    mask: Mask = "right"
    """Where a row's padding lies, when it has lengths: after its valid steps, before them, or as holes among them."""
    padding: Padding = "large"
    """What lies in the input at steps that do not count: ordinary values, large ones (1e6; 1e4 in float16), or NaN."""
    input_nan: bool = False
    """Whether one element of the input is NaN: it must show in all that depends on it, and in nothing else."""
    initial_state: InitialState = "random"
    """Whether h_0 and c_0 are left out, given as zeros, or given with values; or only one of them non-zero."""
    dtype: DType = "float32"
    """Floating-point type in which values are drawn and the implementation computes."""
    values: Values = "scale-1"
    """How weights are drawn: N(0, 1/fan_in) with biases N(0, 1/2); N(0, 4/fan_in) with N(0, 1); or U(±1/√H)."""
    check: Annotated[tuple[Check, ...], Field(min_length=1), _AsTuple] = _ALL_CHECKS
    """What is compared."""

    tags: Annotated[tuple[str, ...], _AsTuple] = ()
    """Words to select cases by."""
    notes: str = ""
    """Why the case is there."""
    links: Annotated[tuple[str, ...], _AsTuple] = ()
    """Threads that the case stands for."""

    name: str = ""
    """The case's name within its file."""
    file: str = ""
    """The file that it comes from."""
    line: int = 0
    """Where in that file, counted from 1."""

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, options: Any) -> Any:
        """Gives one form to what can be written in several: directions, and hidden sizes that are all equal."""
        if not isinstance(options, dict):
            return options
        options = dict(options)
        if "bidirectional" in options:
            flag = options.pop("bidirectional")
            if not isinstance(flag, bool):
                raise ValueError("bidirectional must be true or false")
            if flag and options.get("direction", "bidirectional") != "bidirectional":
                raise ValueError(f"bidirectional: true contradicts direction: {options['direction']}")
            if not flag and options.get("direction") == "bidirectional":
                raise ValueError("bidirectional: false contradicts direction: bidirectional")
            if flag:
                options["direction"] = "bidirectional"
        sizes = options.get("hidden_size")
        if isinstance(sizes, list | tuple):
            options.setdefault("num_layers", len(sizes))
            if len(sizes) == options["num_layers"] and all(size == sizes[0] for size in sizes):
                options["hidden_size"] = sizes[0]
        return options

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sizes = self.hidden_sizes
        if len(sizes) != self.num_layers:
            raise ValueError(f"hidden_size lists {len(sizes)} layers, num_layers is {self.num_layers}")
        if self.proj_size >= min(sizes):
            raise ValueError(f"proj_size {self.proj_size} must be less than hidden_size {min(sizes)}")
        if self.proj_size and len(set(sizes)) > 1:
            raise ValueError("proj_size needs the same hidden_size in every layer")
        if self.lengths is not None and self.batch == "unbatched":
            raise ValueError("lengths need a batch, this case is unbatched")
        if isinstance(self.lengths, tuple):
            if len(self.lengths) != self.batch:
                raise ValueError(f"lengths has {len(self.lengths)} entries, batch is {self.batch}")
            if max(self.lengths) > self.seq_len:
                raise ValueError(f"lengths has {max(self.lengths)}, seq_len is only {self.seq_len}")
        if self.mask != "right" and self.lengths is None:
            raise ValueError(f"mask: {self.mask} needs lengths")
        if len(self.activations) != 3 and (len(self.activations), self.direction) != (6, "bidirectional"):
            raise ValueError(f"activations lists {len(self.activations)}: give 3, or 6 with direction: bidirectional")
        if not math.isfinite(self.forget_bias):
            raise ValueError("forget_bias must be finite")
        if self.input_nan and ("gradients" in self.check or self.lengths is not None or not self.is_plain):
            raise ValueError("input_nan goes with a plain cell, without lengths, and with check: [output, h_n, c_n]")
        if len(set(self.check)) != len(self.check):
            raise ValueError("check names something twice")
        self._fits()
        return self

    def _fits(self) -> None:
        model = self.model
        rows = self.seq_len * (self.rows or 1)
        widths = [model.layer_input_size(layer) + 4 * model.output_size(layer) for layer in range(self.num_layers)]
        counts = {"parameters": model.parameter_count(), "values in the layers over time": rows * sum(widths)}
        what = max(counts, key=lambda name: counts[name])
        if sum(counts.values()) > MAX_NUMBERS:
            raise ValueError(f"too large: {counts[what]:,} {what}, a case may hold {MAX_NUMBERS:,} numbers")

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Units of each layer."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,) * self.num_layers

    @property
    def rows(self) -> int | None:
        """B, or None when unbatched."""
        return None if self.batch == "unbatched" else self.batch

    @property
    def gives_state(self) -> bool:
        """Whether the implementation is given an initial state."""
        return self.initial_state != "omitted"

    @property
    def drops(self) -> bool:
        """Whether dropout acts."""
        between = self.dropout > 0 and self.num_layers > 1
        return self.mode == "train" and (between or self.input_dropout > 0 or self.recurrent_dropout > 0)

    @property
    def is_plain(self) -> bool:
        """Whether the cell is the textbook's, without any option of its own."""
        options = ("peepholes", "coupled_gates", "activations", "clip", "cell_clip", "forget_bias")
        return all(getattr(self, name) == type(self).model_fields[name].default for name in options)

    @property
    def model(self) -> Model:
        """The architecture of this case."""
        return Model(
            self.input_size,
            self.hidden_sizes,
            self.direction,
            self.bias,
            self.proj_size,
            self.batch_first,
            self.peepholes,
        )

    @property
    def id(self) -> str:
        """How the case is named in messages and results: ``file::name``."""
        return f"{self.file}::{self.name}" if self.file else self.name

    @cached_property
    def canonical(self) -> str:
        """The case as JSON without what does not change its problem: name, place, tags, notes, links.

        Options at their default are left out, so that an option added later moves no key.
        """
        described = {"name", "file", "line", "tags", "notes", "links"}
        options = self.model_dump(mode="json", exclude_defaults=True, exclude=described)
        return json.dumps(options, sort_keys=True, separators=(",", ":"))

    @cached_property
    def drawn_from(self) -> str:
        """What seeds the case's values: all of its canonical form but what is compared."""
        options = json.loads(self.canonical)
        options.pop("check", None)
        return json.dumps(options, sort_keys=True, separators=(",", ":"))

    def forward_only(self) -> Self | None:
        """The case without its gradients, drawn alike; None when it compares nothing else."""
        rest = tuple(check for check in self.check if check != "gradients")
        return self.model_copy(update={"check": rest}) if rest else None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, yet without the properties that were cached for the original, its key among them."""
        copied = super().model_copy(update=update, deep=deep)
        for name, member in vars(type(self)).items():
            if isinstance(member, cached_property):
                copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def key(self) -> str:
        """What rows of results are matched by: a hash of the canonical case, 16 hexadecimal digits."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]
