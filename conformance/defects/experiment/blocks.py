"""Blocks: the parts of tensors that an LSTM reads and returns, and linear maps between them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case

DIRECTIONS = ("forward", "reverse")
GATES = ("input", "forget", "candidate", "output")
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
RESULTS = ("output", "h_n", "c_n")

_STATES = ("h_0", "c_0", "h_n", "c_n")
_SUFFIXES = ("", "_reverse")


@dataclass(frozen=True)
class Block:
    """A block of a tensor. A coordinate is None if the tensor has no such axis.

    Attributes:
        kind: name of the tensor without layer and direction, such as ``bias_hh``, ``h_0`` or ``grad.weight_ih``.
        layer: index of the layer.
        direction: 0 for forward and 1 for reverse, also in a case with one direction.
        row: index of the batch row.
        step: index of the time step.
        gate: index of the gate in the order i, f, g, o.
    """

    kind: str
    layer: int | None = None
    direction: int | None = None
    row: int | None = None
    step: int | None = None
    gate: int | None = None

    @property
    def tensor(self) -> str:
        """Name of the tensor."""
        if bare_kind(self.kind) not in PARAMETERS:
            return self.kind
        return f"{self.kind}_l{self.layer}{_SUFFIXES[self.direction or 0]}"

    def select(self, tensors: Mapping[str, Any], case: Case) -> Any:
        """Returns the block as a view of its tensor."""
        bare, model = bare_kind(self.kind), case.model
        tensor, layer = tensors[self.tensor], self.layer or 0
        if bare in PARAMETERS:
            hidden = case.hidden_sizes[layer]
            return tensor[(self.gate or 0) * hidden : ((self.gate or 0) + 1) * hidden]
        rows = () if case.rows is None else (self.row,)
        moment = (*rows, self.step) if case.batch_first else (self.step, *rows)
        if bare == "input":
            return tensor[moment]
        place = model.suffixes.index(_SUFFIXES[self.direction or 0])
        if bare == "output":
            size = model.state_size(model.num_layers - 1)
            return tensor[(*moment, slice(place * size, (place + 1) * size))]
        return tensor[(layer * model.num_directions + place, *rows)]

    def width(self, case: Case) -> tuple[int, ...]:
        """Returns the shape of the block."""
        bare, model, layer = bare_kind(self.kind), case.model, self.layer or 0
        hidden = case.hidden_sizes[layer]
        if bare == "weight_ih":
            return hidden, model.layer_input_size(layer)
        if bare == "weight_hh":
            return hidden, model.state_size(layer)
        if bare in ("output", "h_0", "h_n"):
            return (model.state_size(model.num_layers - 1 if bare == "output" else layer),)
        return (case.input_size,) if bare == "input" else (hidden,)


@dataclass(frozen=True, eq=False)
class UnitMap:
    """A linear map of the units of a block, which are its first axis.

    Attributes:
        matrix: the matrix of the map.
    """

    matrix: NDArray[np.float64]

    def __mul__(self, block: Any) -> Any:
        if np.isfinite(block).all():
            return self.matrix @ block
        # A factor of 0 leaves out a unit, also one that is NaN.
        factors = self.matrix.reshape(self.matrix.shape + (1,) * (np.ndim(block) - 1))
        return np.multiply(factors, block, where=factors != 0, out=np.zeros(factors.shape[:1] + np.shape(block))).sum(1)

    def after(self, other: "float | UnitMap") -> "UnitMap":
        """Returns the map that applies another map, or a factor, before this one."""
        return UnitMap(self.matrix @ other.matrix if isinstance(other, UnitMap) else self.matrix * other)

    @property
    def T(self) -> "UnitMap":  # noqa: N802 - NumPy's name for it
        """The adjoint of the map."""
        return UnitMap(self.matrix.T)


Term = tuple[Block, float | UnitMap]
"""A block, and a factor or a map of its units."""
BlockMap = Mapping[Block, tuple[Term, ...]]
"""For each block that changes, the terms whose sum takes its place. No terms mean 0."""


def describe_block(block: Block) -> str:
    """Describes a block, such as ``c_0, layer 1, forward, row 0``."""
    words = {
        "layer": f"layer {block.layer}",
        "direction": DIRECTIONS[block.direction or 0],
        "gate": f"{GATES[block.gate or 0]} gate",
        "step": f"step {block.step}",
        "row": f"row {block.row}",
    }
    return ", ".join([block.kind, *(words[axis] for axis in axes(block.kind))])


def has_blocks(case: Case) -> bool:
    """Returns whether the tensors of a case consist of blocks: all layers share those of the states."""
    return case.model.is_uniform


def has_all_blocks(case: Case) -> bool:
    """Returns whether a case has blocks, and none of its tensors is left out."""
    one_state = case.initial_state.endswith(("-only", "-given"))
    return has_blocks(case) and case.cotangents == RESULTS and not (case.frozen or one_state)


def bare_kind(kind: str) -> str:
    """Returns a kind without the prefix of gradients and derivatives: ``h_0`` for ``grad.h_0`` and ``hvp.h_0``."""
    return kind.rpartition(".")[2]


def prefix_of(kind: str) -> str:
    """Returns the prefix of a kind: ``grad``, ``jvp`` or ``hvp``; empty for a tensor that is read or a result."""
    return kind.rpartition(".")[0]


def returned_kinds(case: Case) -> list[str]:
    """Returns the kinds of the tensors that an LSTM can return: results, gradients and derivatives."""
    derivatives = [f"jvp.{kind}" for kind in RESULTS] if "jvp" in case.check else []
    derivatives += [f"hvp.{kind}" for kind in read_kinds(case)] if "hvp" in case.check else []
    return [*RESULTS, *(f"grad.{kind}" for kind in read_kinds(case)), *derivatives]


def axes(kind: str) -> tuple[str, ...]:
    """Returns the coordinates that the blocks of a kind have."""
    bare = bare_kind(kind)
    if bare in PARAMETERS:
        return "layer", "direction", "gate"
    if bare in _STATES:
        return "layer", "direction", "row"
    return ("step", "row") if bare == "input" else ("step", "row", "direction")


def values(axis: str, case: Case) -> tuple[int, ...]:
    """Returns the values of a coordinate in a case."""
    if axis == "direction":
        return tuple(_SUFFIXES.index(suffix) for suffix in case.model.suffixes)
    return tuple(range({"layer": case.num_layers, "row": case.rows or 1, "step": case.seq_len, "gate": 4}[axis]))


def blocks(kind: str, case: Case) -> Iterator[Block]:
    """Yields the blocks of a kind."""
    names = axes(kind)
    for place in product(*(values(axis, case) for axis in names)):
        yield Block(kind, **dict(zip(names, place, strict=True)))


def tensors_of(kind: str, case: Case) -> list[str]:
    """Returns the names of the tensors of a kind."""
    if bare_kind(kind) not in PARAMETERS:
        return [kind]
    return [f"{kind}_l{layer}{suffix}" for layer in range(case.num_layers) for suffix in case.model.suffixes]


def read_kinds(case: Case) -> list[str]:
    """Returns the kinds of the tensors that an LSTM reads in the forward pass."""
    parameters = [kind for kind in PARAMETERS if case.bias or kind.startswith("weight")]
    return [*parameters, "input", *(("h_0", "c_0") if case.gives_state else ())]


def apply(block_map: BlockMap, tensors: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Applies a map to tensors."""
    changed = {name: np.array(array, np.float64) for name, array in tensors.items()}
    for target, terms in block_map.items():
        target.select(changed, case)[...] = sum(factor * source.select(tensors, case) for source, factor in terms)
    return changed


def compose(first: BlockMap, second: BlockMap) -> BlockMap:
    """Returns the map that applies one map after another."""
    composed = dict(first)
    for target, terms in second.items():
        composed[target] = tuple(
            (origin, _product(factor, inner))
            for source, factor in terms
            for origin, inner in first.get(source, ((source, 1.0),))
        )
    return composed


def _product(second: float | UnitMap, first: float | UnitMap) -> float | UnitMap:
    if isinstance(second, UnitMap):
        return second.after(first)
    return first.after(second) if isinstance(first, UnitMap) else second * first


def apply_adjoint(block_map: BlockMap, gradients: Mapping[str, Any], case: Case) -> dict[str, Any]:
    """Applies the adjoint of a map to gradients with respect to its results."""
    changed = {name: np.array(array, np.float64) for name, array in gradients.items()}
    for target in block_map:
        target.select(changed, case)[...] = 0.0
    for target, terms in block_map.items():
        for source, factor in terms:
            adjoint = factor.T if isinstance(factor, UnitMap) else factor
            source.select(changed, case)[...] += adjoint * target.select(gradients, case)
    return changed
