"""A case: one configuration to check, with the consistency rules of its options."""

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from conformance.cases import uses
from conformance.cases.documented import Documented
from conformance.cases.uses import (
    OTHER_GRADIENTS,
    RESULTS,
    SAME_RESULTS,
    Batching,
    EarlierCall,
    Graph,
    Memory,
    Mistake,
    Result,
)
from reference.model import Direction, Model

DType = Literal["float64", "float32", "float16", "bfloat16"]
Check = Literal["output", "h_n", "c_n", "gradients", "jvp", "hvp"]
InitialState = Literal["omitted", "zero", "random", "h_0-only", "c_0-only", "h_0-given", "c_0-given"]
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
SizeOrZero = Annotated[int, Field(ge=0, le=65536)]
# YAML and JSON have only lists. A frozen case needs tuples.
_AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)

Probability = Annotated[float, Field(ge=0, le=1), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
Bound = Annotated[float, Field(ge=1e-3, le=1e3), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
Number = Annotated[float, Field(ge=-1e3, le=1e3), BeforeValidator(lambda v: float(v) if type(v) is int else v)]
_ACTIVATIONS: tuple[ActivationName, ...] = ("sigmoid", "tanh", "tanh")
_ALL_CHECKS: tuple[Check, ...] = ("output", "h_n", "c_n", "gradients")


class Case(Documented, BaseModel):
    """One configuration to check: options of the LSTM, input shape, distribution of values, and compared results."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    input_size: Size
    """Number of input features, I."""
    hidden_size: Size | Annotated[tuple[Size, ...], Field(min_length=1, max_length=64), _AsTuple]
    """Number of units, H: one number for all layers, or a list with one number for each layer."""
    reverse_hidden_size: Size | None = None
    """Number of units of the reverse direction of every layer; null for `hidden_size`. Requires two directions."""
    num_layers: Annotated[int, Field(ge=1, le=64)] = 1
    """Number of stacked layers, L. If `hidden_size` is a list, the default is its length."""
    direction: Direction = "forward"
    """Direction in which layers process the sequence. `bidirectional: true` is short for `direction: bidirectional`."""
    bias: bool = True
    """Whether the gates have biases."""
    batch_first: bool = False
    """Whether input and output have the axes (batch, time, features) instead of (time, batch, features)."""
    proj_size: Annotated[int, Field(ge=0, le=65536)] = 0
    """Width of the projected hidden state, P; 0 for no projection. Must be less than every hidden size."""
    dropout: Probability = 0.0
    """Probability of zeroing an element between two layers. Only in mode `train`."""
    input_dropout: Probability = 0.0
    """Probability of zeroing a feature of a layer's input, the same at each step. Only in mode `train`."""
    recurrent_dropout: Probability = 0.0
    """Probability of zeroing a unit of h before the recurrent weights, the same at each step. Only in mode `train`."""
    mode: Literal["train", "eval"] = "eval"
    """Whether the implementation runs in training mode or in inference mode."""

    peepholes: bool = False
    """Whether gates read the cell state: the input and forget gates the previous one, the output gate the new one."""
    coupled_gates: bool = False
    """Whether the forget gate is 1 minus the input gate. The weights of the forget gate exist but are not used."""
    activations: Annotated[tuple[ActivationName, ...], Field(min_length=3, max_length=6), _AsTuple] = _ACTIVATIONS
    """Activations of the gates, the candidate and the cell state. Six names set them for each direction separately."""
    clip: Bound | None = None
    """Bound on the absolute value of every activation's input, like `clip` of ONNX's LSTM; null for no bound."""
    cell_clip: Bound | None = None
    """Bound on the absolute value of the cell state, like `cell_clip` of TensorFlow's BlockLSTM; null for no bound."""
    forget_bias: Number = 0.0
    """Number that is added to the pre-activation of the forget gate at run time, in addition to the biases."""

    seq_len: SizeOrZero
    """Number of time steps, T. With 0, the final states are the initial states."""
    batch: SizeOrZero | Literal["unbatched"]
    """Number of rows, B, or `unbatched` for an input without a batch axis."""
    lengths: Annotated[tuple[Annotated[int, Field(ge=0)], ...], _AsTuple] | Literal["ragged"] | None = None
    """Number of valid steps of each row: a list, or `ragged` for unsorted numbers that include 1 and T."""
    mask: Mask = "right"
    """Position of the padding in a row with `lengths`: after the valid steps, before them, or among them."""
    padding: Padding = "large"
    """Values of the input in the padding: ordinary random numbers, large numbers (1e6; 1e4 in float16), or NaN."""
    input_nan: bool = False
    """Whether one element of the input is NaN. Exactly the results that depend on it must be NaN."""
    initial_state: InitialState = "random"
    """Values of h_0 and c_0: not passed, zeros, random numbers, or one random and the other zero or not passed."""
    dtype: DType = "float32"
    """Floating-point type of all values, in which the implementation computes."""
    values: Values = "scale-1"
    """Distribution of weights and biases: N(0, 1/fan_in) and N(0, 1/2), N(0, 4/fan_in) and N(0, 1), or U(±1/√H)."""
    seed: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Seed of the values, which they then keep if other options change; null for a seed from all options."""
    check: Annotated[tuple[Check, ...], Field(min_length=1), _AsTuple] = _ALL_CHECKS
    """Results to compare. `jvp` and `hvp` are derivatives along a direction: of the results, and of the gradients."""

    cotangents: Annotated[tuple[Result, ...], Field(min_length=1), _AsTuple] = RESULTS
    """Results that the loss reads. The others get no cotangent, not even zeros."""
    frozen: Annotated[tuple[str, ...], _AsTuple] = ()
    """Names of parameters, `input`, `h_0` or `c_0` that need no gradient. They must not get one."""
    built_seq_len: Size | None = None
    """Number of time steps for which the implementation is built, with a dynamic time axis; null for `seq_len`."""
    built_batch: Size | None = None
    """Number of rows for which the implementation is built, with a dynamic batch axis; null for `batch`."""
    chunks: Annotated[tuple[Size, ...], _AsTuple] = ()
    """Numbers of steps of the pieces in which the sequence is passed. Each piece starts from the last one's states."""
    earlier_calls: Annotated[tuple[EarlierCall, ...], Field(max_length=16), _AsTuple] = ()
    """Earlier calls of the same object: the same call, or one with other sizes, mode or weights, or an error."""
    saved: bool = False
    """Whether the implementation is saved and loaded by its framework's own means before it runs."""
    memory: Memory = "contiguous"
    """Memory of input and states: contiguous, transposed, one broadcast row, one array for both states, read-only."""
    batching: Batching = "together"
    """Whether the rows are passed together, one at a time, or in another order."""
    graph: Graph = "single"
    """Calls in the graph that is exported, compiled or traced: one, or two of one LSTM or of two LSTMs."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """Number of threads of a process of its own; null for the number that the environment sets, by default 1."""
    refuses: Mistake | None = None
    """Mistake in an argument that the implementation must refuse with an error; null for correct arguments."""

    tags: Annotated[tuple[str, ...], _AsTuple] = ()
    """Words to select cases by, with `--tag` or `-k`."""
    notes: str = ""
    """Purpose of the case."""
    links: Annotated[tuple[str, ...], _AsTuple] = ()
    """Issues that the case covers, as URLs."""

    name: str = ""
    """Name of the case, unique within its file."""
    file: str = ""
    """Path of the case file; empty for a case from elsewhere."""
    line: int = 0
    """Line in the case file, from 1; 0 for a case from elsewhere."""

    @model_validator(mode="before")
    @classmethod
    def _normalize(cls, options: Any) -> Any:
        """Replaces ``bidirectional`` by ``direction``, and equal hidden sizes by one number."""
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
        if isinstance(sizes, list | tuple) and sizes:
            options.setdefault("num_layers", len(sizes))
            if len(sizes) == options["num_layers"] and all(size == sizes[0] for size in sizes):
                options["hidden_size"] = sizes[0]
        alike = options.get("reverse_hidden_size") == options.get("hidden_size")
        if alike and options.get("direction") == "bidirectional":
            options["reverse_hidden_size"] = None
        return options

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        sizes = self.hidden_sizes
        if len(sizes) != self.num_layers:
            raise ValueError(f"hidden_size lists {len(sizes)} layers, but num_layers is {self.num_layers}")
        if self.reverse_hidden_size and self.direction != "bidirectional":
            raise ValueError(f"reverse_hidden_size requires direction: bidirectional, not {self.direction}")
        if self.proj_size >= min(sizes):
            raise ValueError(f"proj_size {self.proj_size} must be less than hidden_size {min(sizes)}")
        if self.proj_size and not self.model.is_uniform:
            raise ValueError("proj_size requires the same hidden_size in every layer and direction")
        if self.lengths is not None and self.batch == "unbatched":
            raise ValueError("lengths require a batch axis, but batch is 'unbatched'")
        if isinstance(self.lengths, tuple):
            if len(self.lengths) != self.batch:
                raise ValueError(f"lengths has {len(self.lengths)} entries, but batch is {self.batch}")
            if max(self.lengths) > self.seq_len:
                raise ValueError(f"lengths contains {max(self.lengths)}, but seq_len is {self.seq_len}")
        if self.mask != "right" and self.lengths is None:
            raise ValueError(f"mask: {self.mask} requires lengths")
        if len(self.activations) != 3 and (len(self.activations), self.direction) != (6, "bidirectional"):
            raise ValueError(
                f"activations lists {len(self.activations)} names, expected 3, or 6 with direction: bidirectional"
            )
        if not math.isfinite(self.forget_bias):
            raise ValueError("forget_bias must be finite")
        if self.input_nan and ("gradients" in self.check or self.lengths is not None or not self.is_plain):
            raise ValueError(
                "input_nan requires check without gradients, no lengths, and the defaults of peepholes, coupled_gates, "
                "activations, clip, cell_clip and forget_bias"
            )
        for name in ("check", *OTHER_GRADIENTS):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(f"{name} lists an item twice")
        uses.check_consistency(self)
        return self

    @property
    def hidden_sizes(self) -> tuple[int, ...]:
        """Number of units of each layer, in the forward direction if the directions differ."""
        return self.hidden_size if isinstance(self.hidden_size, tuple) else (self.hidden_size,) * self.num_layers

    @property
    def rows(self) -> int | None:
        """Number of rows, B; None if unbatched."""
        return None if self.batch == "unbatched" else self.batch

    @property
    def num_rows(self) -> int:
        """Number of rows, B; 1 if unbatched."""
        return 1 if self.rows is None else self.rows

    @property
    def is_empty(self) -> bool:
        """Whether there are no steps or no rows, so that nothing is computed."""
        return self.seq_len * self.num_rows == 0

    @property
    def given_states(self) -> tuple[Literal["h_0", "c_0"], ...]:
        """Names of the initial states that are passed to the implementation: ``h_0``, ``c_0``, both or none."""
        match self.initial_state:
            case "omitted":
                return ()
            case "h_0-given":
                return ("h_0",)
            case "c_0-given":
                return ("c_0",)
            case _:
                return ("h_0", "c_0")

    @property
    def gives_state(self) -> bool:
        """Whether an initial state is passed to the implementation."""
        return bool(self.given_states)

    @property
    def drops(self) -> bool:
        """Whether dropout zeroes any elements."""
        between = self.dropout > 0 and self.num_layers > 1
        return self.mode == "train" and (between or self.input_dropout > 0 or self.recurrent_dropout > 0)

    @property
    def has_direction(self) -> bool:
        """Whether the case compares derivatives along a direction: ``jvp`` or ``hvp``."""
        return not {"jvp", "hvp"}.isdisjoint(self.check)

    @property
    def is_plain(self) -> bool:
        """Whether all options of the cell have their defaults, which give the standard LSTM cell."""
        options = ("peepholes", "coupled_gates", "activations", "clip", "cell_clip", "forget_bias")
        return all(getattr(self, name) == type(self).model_fields[name].default for name in options)

    @cached_property
    def model(self) -> Model:
        """Architecture of the LSTM."""
        return Model(
            self.input_size,
            self.hidden_sizes,
            self.direction,
            self.bias,
            self.proj_size,
            self.batch_first,
            self.peepholes,
            self.reverse_hidden_size or 0,
        )

    @property
    def id(self) -> str:
        """Name of the case in messages and results: ``file::name``."""
        return f"{self.file}::{self.name}" if self.file else self.name

    @cached_property
    def canonical(self) -> str:
        """Options of the case as JSON, without its name, file, line, tags, notes and links.

        Options at their default are left out, so that a new option does not change existing keys.
        """
        excluded = {"name", "file", "line", "tags", "notes", "links"}
        options = self.model_dump(mode="json", exclude_defaults=True, exclude=excluded)
        return json.dumps(options, sort_keys=True, separators=(",", ":"))

    @cached_property
    def drawn_from(self) -> str:
        """Seed of the case's values: ``seed``, else the canonical form without what is compared and how it is used."""
        if self.seed is not None:
            return f"seed {self.seed}"
        options = json.loads(self.canonical)
        for name in ("check", "refuses", *OTHER_GRADIENTS, *SAME_RESULTS):
            options.pop(name, None)
        return json.dumps(options, sort_keys=True, separators=(",", ":"))

    def forward_only(self) -> Self | None:
        """Returns the case without gradients and with the same values; None if nothing of it is left.

        This is so if it compares only gradients, or if it differs from another case in its derivatives only.
        """
        rest = tuple(check for check in self.check if check != "gradients")
        only_gradients = self.cotangents != RESULTS or self.frozen or self.has_direction
        return self.model_copy(update={"check": rest}) if rest and not only_gradients else None

    @property
    def one_call(self) -> Self:
        """The case with the same results in which a fresh implementation is called once, in the ordinary way."""
        defaults = {name: type(self).model_fields[name].default for name in SAME_RESULTS}
        used = any(getattr(self, name) != default for name, default in defaults.items())
        return self.model_copy(update=defaults) if used else self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copies the case like pydantic, but without cached properties, such as the key of the original."""
        copied = super().model_copy(update=update, deep=deep)
        for name, member in vars(type(self)).items():
            if isinstance(member, cached_property):
                copied.__dict__.pop(name, None)
        return copied

    @cached_property
    def key(self) -> str:
        """Hash of the canonical case, 16 hexadecimal digits. It identifies the case in results files."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:16]
