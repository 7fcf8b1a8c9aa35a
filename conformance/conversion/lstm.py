"""An LSTM with its weights, independent of a framework."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from conformance.cases.case import Case
from conformance.errors import UserError
from reference.model import Direction, Model

Array = NDArray[Any]

DTYPES = ("float64", "float32", "float16", "bfloat16")
_END = re.compile(r"_l(\d+)(_reverse)?$")


@dataclass(frozen=True)
class Lstm:
    """An LSTM found in a checkpoint.

    Attributes:
        name: its name in the checkpoint; empty if the checkpoint is a single LSTM.
        parameters: its parameters by canonical name, see ``reference.model``.
        options: options of its cell that are not the defaults, as fields of ``Case``.
        tensors: names of the checkpoint's tensors that hold the parameters.
    """

    name: str
    parameters: Mapping[str, Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    tensors: tuple[str, ...] = ()

    @cached_property
    def model(self) -> Model:
        """Architecture, as the names and shapes of the parameters show it."""
        ends = [found.groups() for name in self.parameters if (found := _END.search(name))]
        reverse = {bool(suffix) for _, suffix in ends}
        direction: Direction = "bidirectional" if len(reverse) == 2 else "reverse" if True in reverse else "forward"
        suffix = "_reverse" if direction == "reverse" else ""
        hidden_sizes = self._hidden_sizes(suffix)
        reverse_sizes = self._hidden_sizes("_reverse") if len(reverse) == 2 else hidden_sizes
        projection = self.parameters.get(f"weight_hr_l0{suffix}")
        return Model(
            input_size=self.parameters[f"weight_ih_l0{suffix}"].shape[1],
            hidden_sizes=hidden_sizes,
            reverse_hidden_size=0 if reverse_sizes == hidden_sizes else reverse_sizes[0],
            direction=direction,
            bias=f"bias_ih_l0{suffix}" in self.parameters,
            proj_size=0 if projection is None else len(projection),
            peepholes=f"peephole_l0{suffix}" in self.parameters,
        )

    def _hidden_sizes(self, suffix: str) -> tuple[int, ...]:
        """Returns the hidden size of one direction of each layer.

        Raises:
            KeyError: a layer has no input weights.
        """
        layers = range(1 + max(int(found[1]) for name in self.parameters if (found := _END.search(name))))
        return tuple(len(self.parameters[f"weight_ih_l{layer}{suffix}"]) // 4 for layer in layers)

    @property
    def label(self) -> str:
        """The name, to begin a message with; empty without a name."""
        return f"{self.name}: " if self.name else ""

    @property
    def dtype(self) -> str:
        """Dtype of the parameters."""
        return next(iter(self.parameters.values())).dtype.name

    def case(self) -> Case:
        """Returns a case with this architecture and these options, of a few rows and steps.

        Raises:
            UserError: a case cannot have these sizes.
        """
        try:
            return self._case(self.dtype, self.model)
        except ValidationError as error:
            raise UserError(f"{self.label}{error.errors()[0]['msg']}") from error

    def outline(self) -> Case:
        """Returns a case with the same features, apart from the dtype, and the smallest sizes."""
        model = self.model
        small = {size: 2 + rank for rank, size in enumerate(sorted(model.distinct_hidden_sizes))}
        smallest = replace(
            model,
            input_size=1,
            hidden_sizes=tuple(small[size] for size in model.hidden_sizes),
            reverse_hidden_size=small.get(model.reverse_hidden_size, 0),
            proj_size=min(model.proj_size, 1),
        )
        return self._case("float32", smallest)

    def _case(self, dtype: str, model: Model) -> Case:
        return Case.model_validate(
            {
                "input_size": model.input_size,
                "hidden_size": model.hidden_sizes,
                "reverse_hidden_size": model.reverse_hidden_size or None,
                "proj_size": model.proj_size,
                "direction": model.direction,
                "bias": model.bias,
                "peepholes": model.peepholes,
                "dtype": dtype,
                "seq_len": 5,
                "batch": 3,
                "check": ("output", "h_n", "c_n"),
                **self.options,
            }
        )

    def check(self) -> "Lstm":
        """Returns the LSTM if its parameters form a stack of layers.

        Raises:
            UserError: a parameter is missing, has a wrong shape or dtype, or is not finite.
        """
        where = self.name or "the LSTM"
        try:
            expected = self.model.parameter_shapes()
        except KeyError as error:
            raise UserError(f"{where}: {error.args[0]} is missing") from error
        sizes = self._hidden_sizes("_reverse") if self.model.reverse_hidden_size else ()
        if len(set(sizes)) > 1:
            raise UserError(
                f"{where}: the reverse directions of its layers have {', '.join(map(str, sizes))} units. If these are "
                "not those of the forward directions, they must be the same in every layer"
            )
        for name, shape in expected.items():
            if name not in self.parameters:
                raise UserError(f"{where}: {name} is missing")
            if (found := self.parameters[name].shape) != shape:
                raise UserError(f"{where}: {name} has shape {found}, expected {shape}")
        if unknown := sorted(self.parameters.keys() - expected.keys()):
            raise UserError(f"{where}: {unknown[0]} exists in some layers or directions only")
        dtypes = {array.dtype.name for array in self.parameters.values()}
        if len(dtypes) > 1 or self.dtype not in DTYPES:
            raise UserError(f"{where}: dtype {', '.join(sorted(dtypes))}, expected one of {', '.join(DTYPES)}")
        for name, array in self.parameters.items():
            if wrong := int((~np.isfinite(array)).sum()):
                raise UserError(f"{where}: {name} contains NaN or infinity ({wrong} of {array.size} elements)")
        return self

    def equals(self, other: "Lstm") -> bool:
        """Returns whether another LSTM has the same parameters, to the bit, and the same options."""
        return (
            self.options == other.options
            and self.parameters.keys() == other.parameters.keys()
            and all(
                array.dtype == other.parameters[name].dtype and np.array_equal(array, other.parameters[name])
                for name, array in self.parameters.items()
            )
        )

    def describe(self) -> str:
        """Describes the architecture in one line."""
        model = self.model
        sizes = sorted(set(model.hidden_sizes))
        layers = f"{model.num_layers} layer{'s' if model.num_layers > 1 else ''}"
        parts = [layers, model.direction, f"I = {model.input_size}", f"H = {', '.join(map(str, sizes))}"]
        parts += [f"H = {model.reverse_hidden_size} in reverse"] if model.reverse_hidden_size else []
        parts += [self.dtype]
        parts += [f"P = {model.proj_size}"] if model.proj_size else []
        parts += ["peepholes"] if model.peepholes else []
        parts += [] if model.bias else ["no bias"]
        parts += [f"{name}: {_plain(value)}" for name, value in self.options.items()]
        return ", ".join(parts)


def _plain(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)


def reverse(lstm: Lstm) -> Lstm:
    """Returns a forward LSTM with its parameters as those of the reverse direction."""
    return replace(lstm, parameters={f"{name}_reverse": array for name, array in lstm.parameters.items()})


def join_directions(lstms: Sequence[Lstm]) -> list[Lstm]:
    """Joins each two consecutive forward LSTMs to a bidirectional one: first forward, then reverse.

    Raises:
        UserError: the LSTMs do not form pairs.
    """
    if len(lstms) % 2 or any(lstm.model.direction != "forward" or lstm.model.num_layers > 1 for lstm in lstms):
        names = ", ".join(lstm.name for lstm in lstms)
        raise UserError(f"pairs of directions need an even number of forward layers, found {len(lstms)}: {names}")
    return [_merge(first, reverse(second)) for first, second in zip(lstms[::2], lstms[1::2], strict=True)]


def join_layers(lstms: Sequence[Lstm]) -> list[Lstm]:
    """Joins LSTMs to one LSTM with all their layers, in this order. Returns a list with that LSTM.

    Raises:
        UserError: a layer does not fit onto the one below it.
    """
    whole = lstms[0]
    for above in lstms[1:]:
        upper, lower = above.model, whole.model
        if upper.direction != lower.direction:
            raise UserError(f"cannot stack {above.name} ({upper.direction}) on {whole.name} ({lower.direction})")
        if upper.input_size != lower.output_size():
            raise UserError(
                f"cannot stack {above.name} on the layers before it: it reads {upper.input_size} features, "
                f"and they return {lower.output_size()}. Use `--layer` to select and order the layers"
            )
        whole = _merge(whole, _raise(above, lower.num_layers))
    return [whole]


def _raise(lstm: Lstm, layers: int) -> Lstm:
    """Returns an LSTM with the numbers of its layers increased."""
    parameters = {}
    for name, array in lstm.parameters.items():
        role, number, suffix = _END.split(name)[:3]
        parameters[f"{role}_l{int(number) + layers}{suffix or ''}"] = array
    return replace(lstm, parameters=parameters)


def _merge(first: Lstm, second: Lstm) -> Lstm:
    if first.options != second.options:
        raise UserError(f"cannot join {first.name} and {second.name}: their options differ")
    parameters = {**first.parameters, **second.parameters}
    return Lstm(first.name, parameters, first.options, first.tensors + second.tensors).check()
