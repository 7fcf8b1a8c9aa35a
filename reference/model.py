"""Options of an LSTM, and the names and shapes of its parameters and states.

Names follow ``torch.nn.LSTM``: ``weight_ih_l0``, ``bias_hh_l1_reverse``, ``weight_hr_l0`` (projection). Gates are
stacked in the order input, forget, candidate, output: i, f, g, o. ``peephole_l0``, which torch does not have, stacks
the peephole weights of the gates i, f and o.

Shapes use T (time steps), B (batch rows), I (input size), H (hidden size), P (projection size), L (layers) and
D (directions). A dot (·) is a size that depends on the model.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise, product, starmap
from math import prod
from types import MappingProxyType
from typing import Any, Literal

Direction = Literal["forward", "reverse", "bidirectional"]
Shape = tuple[int, ...]

_SUFFIXES: dict[Direction, tuple[str, ...]] = {
    "forward": ("",),
    "reverse": ("_reverse",),
    "bidirectional": ("", "_reverse"),
}


@dataclass(frozen=True)
class Model:
    """A stack of LSTM layers.

    Attributes:
        input_size: number of input features, I.
        hidden_sizes: hidden size of each layer, H. The length of the tuple is the number of layers, L.
        direction: direction in which every layer runs through time. ``bidirectional`` runs both (D = 2, else 1).
        bias: whether each layer has ``bias_ih`` and ``bias_hh``.
        proj_size: size of the projected hidden state, P; 0 for no projection.
        batch_first: whether input and output have the shape (B, T, ·) instead of (T, B, ·). Does not affect states.
        peepholes: whether the gates i, f and o of each unit also read the unit's own cell state.
        reverse_hidden_size: hidden size of the reverse direction of every layer, if it is not that of the forward
            direction; else 0. Requires ``bidirectional``.
    """

    input_size: int
    hidden_sizes: tuple[int, ...]
    direction: Direction = "forward"
    bias: bool = True
    proj_size: int = 0
    batch_first: bool = False
    peepholes: bool = False
    reverse_hidden_size: int = 0

    def __getstate__(self) -> dict[str, Any]:
        """Returns the options alone to pickle: cached shapes are read-only views, which cannot be pickled."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def num_layers(self) -> int:
        """Number of layers, L."""
        return len(self.hidden_sizes)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Parameter-name suffix of each direction (``""`` or ``"_reverse"``), in the order of concatenation."""
        return _SUFFIXES[self.direction]

    @property
    def num_directions(self) -> int:
        """Number of directions, D."""
        return len(self.suffixes)

    @property
    def is_uniform(self) -> bool:
        """Whether all layers and directions have the same hidden size, so that their states form one tensor."""
        return len(self.distinct_hidden_sizes) == 1

    @property
    def distinct_hidden_sizes(self) -> set[int]:
        """Hidden sizes of all layers and directions."""
        return {*self.hidden_sizes, self.reverse_hidden_size} - {0}

    def hidden_size(self, layer: int, direction: int = 0) -> int:
        """Returns the hidden size of one direction of a layer.

        Args:
            layer: index of the layer.
            direction: index of the direction in ``suffixes``.
        """
        return (self.reverse_hidden_size if direction else 0) or self.hidden_sizes[layer]

    def hidden_size_of(self, parameter: str) -> int:
        """Returns the hidden size of the layer and direction of a parameter, such as ``bias_ih_l0_reverse``."""
        layer, _, reverse = parameter.rpartition("_l")[2].partition("_")
        return self.hidden_size(int(layer), self.suffixes.index(f"_{reverse}" if reverse else ""))

    def state_size(self, layer: int, direction: int = 0) -> int:
        """Returns the size of h in one direction of a layer: P with a projection, else H."""
        return self.proj_size or self.hidden_size(layer, direction)

    def layer_input_size(self, layer: int) -> int:
        """Returns the input size of a layer: I for the first layer, else the output size of the layer below."""
        return self.input_size if layer == 0 else self.output_size(layer - 1)

    def output_size(self, layer: int = -1) -> int:
        """Returns the output size of a layer: D · P with a projection, else D · H, the sum over its directions."""
        return sum(self.state_size(layer, direction) for direction in range(self.num_directions))

    def output_parts(self, layer: int = -1) -> list[slice]:
        """Returns the part of the last axis of a layer's output that each direction fills."""
        ends = accumulate((self.state_size(layer, direction) for direction in range(self.num_directions)), initial=0)
        return list(starmap(slice, pairwise(ends)))

    def parameter_shapes(self) -> Mapping[str, Shape]:
        """Returns the shape of each parameter by name, in the order of ``torch.nn.LSTM``."""
        return self._parameter_shapes

    @cached_property
    def _parameter_shapes(self) -> Mapping[str, Shape]:
        shapes: dict[str, Shape] = {}
        for layer in range(self.num_layers):
            for direction, suffix in enumerate(self.suffixes):
                key, hidden = f"l{layer}{suffix}", self.hidden_size(layer, direction)
                shapes[f"weight_ih_{key}"] = (4 * hidden, self.layer_input_size(layer))
                shapes[f"weight_hh_{key}"] = (4 * hidden, self.state_size(layer, direction))
                if self.bias:
                    shapes[f"bias_ih_{key}"] = (4 * hidden,)
                    shapes[f"bias_hh_{key}"] = (4 * hidden,)
                if self.peepholes:
                    shapes[f"peephole_{key}"] = (3 * hidden,)
                if self.proj_size:
                    shapes[f"weight_hr_{key}"] = (self.proj_size, hidden)
        return MappingProxyType(shapes)

    def parameter_count(self) -> int:
        """Returns the number of scalar parameters."""
        return sum(prod(shape) for shape in self.parameter_shapes().values())

    def state_shapes(self, name: Literal["h_0", "c_0", "h_n", "c_n"], batch: int | None) -> Mapping[str, Shape]:
        """Returns the shapes of the tensors that hold a state, by name.

        Layers of equal size share one tensor (L · D, B, ·). If hidden sizes differ, each layer has its own tensor
        (D, B, ·), named ``h_n_l0``, ``h_n_l1`` and so on. If those of the directions differ, each direction of each
        layer has its own tensor (1, B, ·), named ``h_n_l0``, ``h_n_l0_reverse`` and so on.

        Args:
            name: name of the state. The last axis has size P for h with a projection, else H.
            batch: number of rows, B; None for unbatched states, which lack that axis.
        """
        return _state_shapes(self, name, batch)

    @cached_property
    def state_places(self) -> Mapping[str, tuple[tuple[int, int], ...]]:
        """Layer and direction of each entry of the first axis of a state's tensors, by the ends of their names."""
        layers, directions = range(self.num_layers), range(self.num_directions)
        if self.is_uniform:
            return {"": tuple(product(layers, directions))}
        if self.reverse_hidden_size:
            return {f"_l{layer}{self.suffixes[k]}": ((layer, k),) for layer, k in product(layers, directions)}
        return {f"_l{layer}": tuple(product((layer,), directions)) for layer in layers}

    def state(self, states: Mapping[str, Any], name: str, layer: int, direction: int) -> Any:
        """Returns the state (B, ·) of one direction of one layer.

        Args:
            states: tensors as described by ``state_shapes``.
            name: name of the state, such as ``h_0``.
            layer: index of the layer.
            direction: index of the direction in ``suffixes``.
        """
        place = (layer, direction)
        [end] = (end for end, places in self.state_places.items() if place in places)
        return states[name + end][self.state_places[end].index(place)]


@lru_cache(maxsize=256)
def _state_shapes(model: Model, name: str, batch: int | None) -> Mapping[str, Shape]:
    rows = () if batch is None else (batch,)
    size = model.state_size if name[0] == "h" else model.hidden_size
    return MappingProxyType(
        {f"{name}{end}": (len(places), *rows, size(*places[0])) for end, places in model.state_places.items()}
    )
