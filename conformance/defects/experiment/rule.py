"""Rules: what an implementation reads or returns wrongly, as a change of the reference."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import (
    Block,
    BlockMap,
    Term,
    axes,
    bare_kind,
    blocks,
    has_blocks,
    prefix_of,
    values,
)
from conformance.defects.experiment.compute import Computation
from conformance.defects.experiment.move import Move, Terms, in_units
from conformance.defects.experiment.moves import ZEROS
from conformance.defects.experiment.places import UNIT, Scope, describe_scope

Role = Literal["reads", "returns", "cotangents", "lengths", "computes"]
Lengths = NDArray[np.int64]

_EVERY = {
    "layer": "every layer",
    "direction": "both directions",
    "row": "every row",
    "step": "every step",
    "gate": "every gate",
    "unit": "every unit",
}


@dataclass(frozen=True)
class Rule:
    """One thing that an implementation reads or returns wrongly, independent of the sizes of a case.

    Attributes:
        role: whether the implementation reads tensors, returns tensors, reads cotangents or lengths, or computes
            wrongly.
        kinds: kinds of the tensors, see ``Block``.
        move: where the blocks are taken from.
        scope: places of the elements that change; empty for all.
        adjoint: whether the gradients match the wrong forward pass, as with automatic differentiation.
        lengths: change to the lengths, for that role.
        computation: wrong computation, for that role. The words of the move describe it.
        requires: condition that a case must meet for the wrong computation to differ from the right one.
    """

    role: Role
    kinds: tuple[str, ...]
    move: Move
    scope: Scope = ()
    adjoint: bool = True
    lengths: Callable[[Lengths, Case], Lengths] | None = field(default=None, compare=False)
    computation: Computation | None = field(default=None, compare=False)
    requires: Callable[[Case], bool] = field(default=lambda _: True, compare=False)

    @classmethod
    def computing(cls, words: str, computation: Computation, requires: Callable[[Case], bool]) -> "Rule":
        """Creates a rule about a wrong computation."""
        return cls("computes", ("cell",), Move(words, lambda *_: None), computation=computation, requires=requires)

    def __str__(self) -> str:
        if self.role == "computes":
            return self.move.words
        every = self.move.constant and all(place.axis != self.move.constant for place in self.scope)
        names = _join(self.kinds) + describe_scope(self.scope, f" of {_EVERY[self.move.constant]}" if every else "")
        if self.role == "cotangents":
            names = f"the cotangents of {names}"
        if self.role == "returns":
            return f"returns {names} {self.move.words}" + ("" if self.adjoint else "; the gradients are correct")
        if self.move.words == ZEROS:
            return f"ignores {names}" + ("" if self.adjoint else ", but returns gradients as if it read them")
        follows = "" if self.adjoint else "; the gradients do not follow"
        return f"reads {names} {self.move.words}{follows}"

    def block_map(self, case: Case) -> BlockMap:
        """Returns the blocks that change in a case, with the terms that take their place."""
        changed: dict[Block, tuple[Term, ...]] = {}
        places = [place for place in self.scope if place.axis != UNIT]
        known = _KnownBlocks(case)
        for kind in self.kinds:
            for block in blocks(kind, case) if is_present(kind, case) else ():
                if not all(place.holds(block, case) for place in places):
                    continue
                terms = self._terms(block, case)
                if terms is None or terms == ((block, 1.0),):
                    continue
                if all(known.has(source) and known.width(source) == known.width(block) for source, _ in terms):
                    changed[block] = terms
        return changed

    def _terms(self, block: Block, case: Case) -> Terms | None:
        """Returns the terms that take the place of a block; None if it does not change."""
        terms = self.move.terms(block, case)
        for place in self.scope:
            if place.axis == UNIT and terms is not None:
                terms = in_units(block, terms, place.among(block.width(case)[0]))
        return terms

    def applies_to(self, case: Case) -> bool:
        """Returns whether the rule changes what is read or returned in a case."""
        if self.role == "lengths":
            return case.lengths is not None and case.mask == "right"
        if self.role == "computes":
            return self.requires(case) and not case.has_direction
        if not has_blocks(case):
            return False
        if self.role == "cotangents" and "gradients" not in case.check:
            return False
        return bool(self.block_map(case))


def is_present(kind: str, case: Case) -> bool:
    """Returns whether a case has the tensors of a kind."""
    bare, prefix = bare_kind(kind), prefix_of(kind)
    if prefix and ("gradients" if prefix == "grad" else prefix) not in case.check:
        return False
    if bare in ("h_0", "c_0"):
        return bare in case.given_states
    return case.bias or not bare.startswith("bias")


def length_rules() -> Iterator[Rule]:
    """Yields the ways in which lengths can be read wrongly."""
    changes: dict[str, Callable[[Lengths, Case], Lengths]] = {
        "as T in every row": lambda lengths, case: np.full_like(lengths, case.seq_len),
        "one too large": lambda lengths, case: np.minimum(lengths + 1, case.seq_len),
        "one too small": lambda lengths, _: np.maximum(lengths - 1, 0),
        "with its rows in reverse order": lambda lengths, _: lengths[::-1],
        "from row 0": lambda lengths, _: np.full_like(lengths, lengths[0]),
        "in ascending order": lambda lengths, _: np.sort(lengths),
        "in descending order": lambda lengths, _: np.sort(lengths)[::-1],
    }
    for words, change in changes.items():
        yield Rule("lengths", ("lengths",), Move(words, lambda *_: None), lengths=change)


def axes_of(kinds: Sequence[str]) -> tuple[str, ...]:
    """Returns the coordinates that the blocks of all these kinds have."""
    return tuple(axis for axis in axes(kinds[0]) if all(axis in axes(kind) for kind in kinds))


def _join(kinds: Sequence[str]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} and {last}" if first else last


class _KnownBlocks:
    """Blocks of a case and their shapes."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._values = {axis: values(axis, case) for axis in _EVERY if axis != UNIT}
        self._present: dict[str, bool] = {}
        self._widths: dict[tuple[str, int | None], tuple[int, ...]] = {}

    def has(self, block: Block) -> bool:
        """Returns whether the case has a block."""
        if block.kind not in self._present:
            self._present[block.kind] = is_present(block.kind, self._case)
        places = ((getattr(block, axis), self._values[axis]) for axis in axes(block.kind))
        return self._present[block.kind] and all(place in every for place, every in places)

    def width(self, block: Block) -> tuple[int, ...]:
        """Returns the shape of a block."""
        key = (block.kind, block.layer)
        if key not in self._widths:
            self._widths[key] = block.width(self._case)
        return self._widths[key]
