"""The architecture: an LSTM's options, and the names, shapes and counts of its parameters and states.

Names follow ``torch.nn.LSTM``: ``weight_ih_l0``, ``bias_hh_l1_reverse``, ``weight_hr_l0`` (the projection).
Gates are stacked in the order input, forget, candidate, output: i, f, g, o. ``peephole_l0``, which torch does not have,
stacks those of i, f and o.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
        input_size: features of the input, I.
        hidden_sizes: units of each layer, H; the number of entries is the number of layers, L.
        direction: which way each layer runs through time; both ways when bidirectional (D = 2, else 1).
        bias: whether each layer has ``bias_ih`` and ``bias_hh``.
        proj_size: width of the projected hidden state, P; 0 for no projection.
        batch_first: whether input and output are (B, T, ·) instead of (T, B, ·). States are not affected.
        peepholes: whether the gates i, f and o see the cell state, each unit its own.
    """

    input_size: int
    hidden_sizes: tuple[int, ...]
    direction: Direction = "forward"
    bias: bool = True
    proj_size: int = 0
    batch_first: bool = False
    peepholes: bool = False

    @property
    def num_layers(self) -> int:
        """L."""
        return len(self.hidden_sizes)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What ends the parameter names of each direction, in the order in which outputs are concatenated."""
        return _SUFFIXES[self.direction]

    @property
    def num_directions(self) -> int:
        """D."""
        return len(self.suffixes)

    @property
    def is_uniform(self) -> bool:
        """Whether all layers have the same hidden size, so that their states stack into one tensor."""
        return len(set(self.hidden_sizes)) == 1

    def state_size(self, layer: int) -> int:
        """Width of h in one direction of a layer: P with a projection, else H."""
        return self.proj_size or self.hidden_sizes[layer]

    def layer_input_size(self, layer: int) -> int:
        """Width of what a layer reads: I for the first one, D · (P or H) of the layer below for the others."""
        return self.input_size if layer == 0 else self.output_size(layer - 1)

    def output_size(self, layer: int = -1) -> int:
        """Width of a layer's output, both directions concatenated."""
        return self.num_directions * self.state_size(layer)

    def parameter_shapes(self) -> Mapping[str, Shape]:
        """Every parameter's shape by its canonical name, in ``torch.nn.LSTM``'s order."""
        return self._parameter_shapes

    @cached_property
    def _parameter_shapes(self) -> Mapping[str, Shape]:
        shapes: dict[str, Shape] = {}
        for layer, hidden in enumerate(self.hidden_sizes):
            for suffix in self.suffixes:
                end = f"l{layer}{suffix}"
                shapes[f"weight_ih_{end}"] = (4 * hidden, self.layer_input_size(layer))
                shapes[f"weight_hh_{end}"] = (4 * hidden, self.state_size(layer))
                if self.bias:
                    shapes[f"bias_ih_{end}"] = (4 * hidden,)
                    shapes[f"bias_hh_{end}"] = (4 * hidden,)
                if self.peepholes:
                    shapes[f"peephole_{end}"] = (3 * hidden,)
                if self.proj_size:
                    shapes[f"weight_hr_{end}"] = (self.proj_size, hidden)
        return MappingProxyType(shapes)

    def parameter_count(self) -> int:
        """Number of scalar parameters."""
        return sum(prod(shape) for shape in self.parameter_shapes().values())

    def state_shapes(self, name: Literal["h_0", "c_0", "h_n", "c_n"], batch: int | None) -> Mapping[str, Shape]:
        """Shapes of a state: one tensor (L · D, B, ·), or one (D, B, ·) a layer where hidden sizes differ.

        With layers of different sizes the tensors are named ``h_n_l0``, ``h_n_l1`` and so on.

        Args:
            name: which state; h is P wide under a projection, c always H.
            batch: B, or None when unbatched: the axis is then missing.
        """
        return _state_shapes(self, name, batch)

    def state(self, states: Mapping[str, Any], name: str, layer: int, direction: int) -> Any:
        """One layer's and direction's rows (B, ·) of a state, however its tensors are stacked."""
        if self.is_uniform:
            return states[name][layer * self.num_directions + direction]
        return states[f"{name}_l{layer}"][direction]


@lru_cache(maxsize=256)
def _state_shapes(model: Model, name: str, batch: int | None) -> Mapping[str, Shape]:
    rows = () if batch is None else (batch,)
    layers = range(model.num_layers)
    widths = [model.state_size(k) if name[0] == "h" else model.hidden_sizes[k] for k in layers]
    if model.is_uniform:
        return MappingProxyType({name: (model.num_layers * model.num_directions, *rows, widths[0])})
    return MappingProxyType({f"{name}_l{k}": (model.num_directions, *rows, widths[k]) for k in layers})
