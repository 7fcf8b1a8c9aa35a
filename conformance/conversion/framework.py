"""Names and layouts of the weights of LSTMs in a framework's dictionary of arrays."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Self

import numpy as np

from conformance.adapters.layout import Layout, layer_parameters
from conformance.conversion.lstm import Array, Lstm
from conformance.errors import UserError
from reference.model import Model, Shape

Tensors = Mapping[str, Array]
Place = tuple[str, str, str]
"""Name of an LSTM, number of a layer (empty without numbers), and ending of a direction: empty or ``_reverse``."""

_COMMON = ("kernel", "bias", "w", "b")
"""Names of arrays that other layers have too."""


@dataclass(frozen=True)
class Names:
    """Names of the arrays of one layer in one direction.

    Attributes:
        separator: separator of the parts of a name.
        pattern: regular expression of the names, in which ``ROLES`` denotes the layout's names of arrays. Groups:
            ``role``, and if present ``name``, ``layer``, ``direction`` and ``cell``.
        one: template of the names in a layer with one direction.
        forward: template of the names of the forward direction in a bidirectional layer.
        backward: template of the names of the reverse direction in a bidirectional layer.
        numbered: template of the name of one layer of several.
        base: name of an LSTM without a name.
        aliases: other spellings of roles.
    """

    separator: str
    pattern: str
    one: str
    forward: str
    backward: str
    numbered: str = "{name}_l{layer}"
    base: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Framework:
    """The weights of a framework's LSTMs.

    Attributes:
        name: name on the command line.
        layer: what holds the weights, such as ``torch.nn.LSTM``.
        implementations: names of adapters that can run the weights, best first.
        layout: layout of one layer in one direction.
        names: names of the arrays.
        stacks: whether one object can have several layers.
        foreign: names which, beside the others, show that the weights are another framework's.
        distinctive: whether only LSTMs have these names. If not, an LSTM's name must contain ``lstm``.
        forget_bias: number that the framework adds to the forget gate at run time; None if the user chooses it.
    """

    name: str
    layer: str
    implementations: tuple[str, ...]
    layout: Layout
    names: Names
    stacks: bool = False
    foreign: tuple[str, ...] = ()
    distinctive: bool = True
    forget_bias: float | None = 0.0

    def find(self, tensors: Tensors, sure: bool = False) -> list[Lstm]:
        """Returns the LSTMs among tensors, in the order of the tensors.

        Args:
            tensors: arrays by name.
            sure: whether the tensors are known to be this framework's. Names need not contain ``lstm`` then.

        Raises:
            UserError: an LSTM is incomplete, or an array has a wrong shape.
        """
        parameters: dict[str, dict[str, Array]] = {}
        used: dict[str, list[str]] = {}
        for (name, layer, suffix), names in self._places(tensors).items():
            if not (self.distinctive or sure or not name or "lstm" in name.lower()):
                continue
            own = self.unpack(name, {role: tensors[tensor] for role, tensor in names.items()})
            parameters.setdefault(name, {}).update({f"{role}_l{layer or 0}{suffix}": own[role] for role in own})
            used.setdefault(name, []).extend(names.values() if own else ())
        return [self.found(name, own, used[name]) for name, own in parameters.items() if own]

    def found(self, name: str, parameters: Tensors, tensors: Iterable[str]) -> Lstm:
        """Returns a valid LSTM with the forget bias of this framework."""
        options = {"forget_bias": self.forget_bias} if self.forget_bias else {}
        return Lstm(name, parameters, options, tuple(tensors)).check()

    def pack(self, lstm: Lstm) -> dict[str, Array]:
        """Returns the arrays of an LSTM by the framework's names."""
        layout = self.layout_for(lstm)
        arrays: dict[str, Array] = {}
        for layer in range(lstm.model.num_layers):
            for suffix, own in directions(lstm, layer):
                both = self.names.backward if suffix else self.names.forward
                template = self.names.one if lstm.model.num_directions == 1 else both
                for role, array in layout.pack(own).items():
                    name = template.format(name=self.unit(lstm, layer), role=role, layer=layer)
                    arrays[name.removeprefix(self.names.separator)] = array
        return arrays

    def layout_for(self, lstm: Lstm) -> Layout:
        """Returns the layout that compensates for the forget bias of the framework, unless the LSTM has it too."""
        return replace(self.layout, forget_bias=(self.forget_bias or 0.0) - lstm.options.get("forget_bias", 0.0))

    def unit(self, lstm: Lstm, layer: int) -> str:
        """Returns the name of the object that holds a layer: ``encoder``, or ``encoder_l0`` if each layer has one."""
        name = re.sub(r"[./]", self.names.separator, lstm.name) or self.names.base
        if self.stacks or lstm.model.num_layers == 1:
            return name
        return self.names.numbered.format(name=name, layer=layer).lstrip("_" + self.names.separator)

    def unpack(self, name: str, arrays: Tensors) -> dict[str, Array]:
        """Returns the canonical parameters of one layer and direction; empty if the arrays are not those of an LSTM.

        Args:
            name: name of the LSTM, for messages.
            arrays: arrays by the layout's names.

        Raises:
            UserError: an array is missing or has a wrong shape.
        """
        where = f"{name or 'the LSTM'} ({self.name})"
        needed = _shapes(self.layout, Model(1, (1,), bias=self._is_joined))
        absent = [role for role in needed if role not in arrays]
        if any(role in arrays for role in self.foreign) or (absent and all(role in _COMMON for role in arrays)):
            return {}
        if absent:
            raise UserError(f"{where}: {absent[0]} is missing")
        model = self._model(where, arrays)
        if model is None:
            return {}
        for role, shape in _shapes(self.layout, model).items():
            if role not in arrays:
                raise UserError(f"{where}: {role} is missing")
            if arrays[role].shape != shape:
                raise UserError(f"{where}: {role} has shape {arrays[role].shape}, expected {shape}")
        return self.layout.unpack(arrays, model.input_size)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The layout's names of arrays."""
        whole = Model(1, (1,), proj_size=1, peepholes=True)
        return (*_shapes(self.layout, whole), *self.foreign, *self.names.aliases)

    def _model(self, where: str, arrays: Tensors) -> Model | None:
        """Returns the model of one layer from the shapes of its arrays; None if they are not those of an LSTM."""
        layout = self.layout
        gates, features = (1, 0) if layout.transposed else (0, 1)
        first = arrays[layout.weight_ih.format(gate="i")]
        second = arrays[layout.weight_hh.format(gate="i")]
        if first.ndim != 2 or second.ndim != 2:
            return None
        parts = 1 if "{gate}" in layout.weight_hh else 4
        biased = layout.bias_ih.format(gate="i") in arrays
        peepholes = layout.peephole in arrays
        if self._is_joined:
            hidden = first.shape[gates] // parts
            size = first.shape[features] - hidden
            fits = size > 0 and arrays[layout.bias_ih].shape == (parts * hidden,)
            return Model(size, (hidden,), bias=biased, peepholes=peepholes) if fits else None
        width = hidden = second.shape[features]
        if (projection := arrays.get(layout.weight_hr)) is not None:
            if projection.ndim != 2:
                raise UserError(f"{where}: {layout.weight_hr} has shape {projection.shape}, expected two axes")
            hidden = projection.shape[0 if layout.projection_transposed else 1]
        if second.shape[gates] in (hidden, 3 * hidden) and parts == 4:
            return None  # A simple recurrent network, or a GRU.
        if second.shape[gates] != parts * hidden:
            raise UserError(
                f"{where}: {layout.weight_hh.format(gate='i')} has shape {second.shape}, "
                f"which is not that of {parts} gates with {width} hidden features"
            )
        proj_size = 0 if projection is None else width
        return Model(first.shape[features], (hidden,), "forward", biased, proj_size, peepholes=peepholes)

    @property
    def _is_joined(self) -> bool:
        """Whether input and recurrent weights are one array. Such layers always have a bias."""
        return self.layout.weight_ih == self.layout.weight_hh

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        roles = "|".join(re.escape(role) for role in sorted(self.roles, key=len, reverse=True))
        return re.compile(self.names.pattern.replace("ROLES", roles))

    def _places(self, tensors: Tensors) -> dict[Place, dict[str, str]]:
        """Returns the names of the tensors of each layer and direction, by role."""
        matches = {tensor: _Match.of(found) for tensor in tensors if (found := self._pattern.fullmatch(tensor))}
        sides: dict[tuple[str, str], set[str]] = {}
        cells: dict[tuple[str, str, str], set[str]] = {}
        for match in matches.values():
            sides.setdefault((match.name, match.layer), set()).add(match.suffix)
            cells.setdefault((match.name, match.layer, match.direction), set()).add(match.cell)
        places: dict[Place, dict[str, str]] = {}
        for tensor, match in matches.items():
            both = len(sides[match.name, match.layer]) == 2
            # A direction without the other one, and cells beside each other, are parts of the name.
            several = len(cells[match.name, match.layer, match.direction]) > 1
            parts = (match.name, "" if both else match.direction, match.cell if several else "")
            name = self.names.separator.join(filter(None, parts))
            roles = places.setdefault((name, match.layer, match.suffix if both else ""), {})
            role = self.names.aliases.get(match.role, match.role)
            if role in roles:
                raise UserError(f"{roles[role]} and {tensor} denote the same weights of {name or 'the LSTM'}")
            roles[role] = tensor
        return places


@dataclass(frozen=True)
class _Match:
    """Parts of a tensor's name, see ``Names.pattern``. Missing parts are empty."""

    role: str
    name: str = ""
    layer: str = ""
    direction: str = ""
    cell: str = ""

    @classmethod
    def of(cls, match: re.Match[str]) -> Self:
        return cls(**{part: text or "" for part, text in match.groupdict().items()})

    @property
    def suffix(self) -> str:
        """Ending of the direction: empty or ``_reverse``."""
        return "_reverse" if "back" in self.direction or "reverse" in self.direction else ""


def directions(lstm: Lstm, layer: int) -> Iterator[tuple[str, dict[str, Array]]]:
    """Yields the ending (empty or ``_reverse``) and the parameters by role of each direction of a layer."""
    for suffix in lstm.model.suffixes:
        yield suffix, layer_parameters(lstm.parameters, f"l{layer}{suffix}")


def _shapes(layout: Layout, model: Model) -> dict[str, Shape]:
    """Returns the shapes of a layer's arrays by the layout's names."""
    [hidden] = model.hidden_sizes
    own = {
        _INPUT: model.input_size,
        _HIDDEN: hidden,
        _INPUT + _HIDDEN: model.input_size + hidden,
        3 * _HIDDEN: 3 * hidden,
        4 * _HIDDEN: 4 * hidden,
        _PROJECTION: model.proj_size,
        _INPUT + _PROJECTION: model.input_size + model.proj_size,
    }
    small = _small_shapes(layout, model.bias, model.proj_size > 0, model.peepholes)
    return {name: tuple(own[size] for size in shape) for name, shape in small.items()}


_INPUT, _HIDDEN, _PROJECTION = 7, 11, 13
"""Sizes of small arrays. All sizes that a layout makes of them are distinct: I, H, 3H, 4H, I + H, P, I + P."""


@lru_cache(maxsize=64)
def _small_shapes(layout: Layout, bias: bool, projection: bool, peepholes: bool) -> Mapping[str, Shape]:
    """Returns the shapes of small arrays in a layout. Packing arrays of a model's own size would take its memory."""
    model = Model(_INPUT, (_HIDDEN,), "forward", bias, _PROJECTION if projection else 0, peepholes=peepholes)
    zeros = {name.removesuffix("_l0"): np.zeros(shape) for name, shape in model.parameter_shapes().items()}
    return {name: array.shape for name, array in layout.pack(zeros).items()}
