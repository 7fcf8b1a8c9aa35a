"""Mistakes as data: what is wrong, where, and under which condition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.verdict.values import valid_steps

Role = Literal["reads", "returns", "cotangents", "gradients", "lengths", "activation", "rounding", "history"]

GATES = ("input", "forget", "candidate", "output")
DIRECTIONS = ("forward", "reverse")
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
STATES = ("h_0", "c_0")
RESULTS = ("output", "h_n", "c_n")

Coordinates = Mapping[str, Any]
"""Coordinate of each element of an array, by axis."""


@dataclass(frozen=True)
class Place:
    """A condition on one coordinate of an element.

    Attributes:
        axis: ``layer``, ``direction``, ``gate``, ``unit``, ``row`` or ``step``.
        rule: ``is`` a value, ``among`` some, ``from`` a value on, ``up-to`` a value, ``last`` of its axis,
            ``not-last``, ``odd``, ``even``, in the ``tail`` after the last multiple of a value, the ``end`` of each
            row, or its ``padding``.
        value: the value, for ``is`` and ``from``, or the values, for ``among``.
    """

    axis: str
    rule: Literal["is", "among", "from", "up-to", "last", "not-last", "odd", "even", "tail", "end", "padding"] = "is"
    value: Any = 0

    def __str__(self) -> str:
        names = {"direction": DIRECTIONS, "gate": GATES}
        if self.axis in names:
            return f"the {names[self.axis][self.value]} {self.axis}"
        return {
            "is": f"{self.axis} {self.value}",
            "among": f"{self.axis}s {self.value}",
            "from": f"{self.axis}s from {self.value} on",
            "up-to": f"{self.axis}s up to {self.value}",
            "last": f"the last {self.axis}",
            "not-last": f"all {self.axis}s but the last",
            "odd": f"odd {self.axis}s",
            "even": f"even {self.axis}s",
            "tail": f"{self.axis}s after the last multiple of {self.value}",
            "end": "the last valid step of each row",
            "padding": "the padding",
        }[self.rule]

    def holds(self, at: Coordinates, case: Case) -> Any:
        """Returns where the condition holds."""
        if self.axis not in at:
            return False
        found = at[self.axis]
        if self.rule in ("end", "padding"):
            lengths = valid_steps(case)
            lengths = np.full(case.rows or 1, case.seq_len) if lengths is None else lengths
            ends = lengths[at["row"]]
            return found == ends - 1 if self.rule == "end" else found >= ends
        if self.rule == "among":
            return np.isin(found, self.value)
        counts = {"layer": case.num_layers, "row": case.rows or 1, "step": case.seq_len, "unit": case.hidden_sizes[0]}
        count = counts.get(self.axis, 4)
        if self.rule == "tail":
            return found >= count // self.value * self.value
        return {
            "is": found == self.value,
            "from": found >= self.value,
            "up-to": found <= self.value,
            "last": found == count - 1,
            "not-last": found < count - 1,
            "odd": found % 2 == 1,
            "even": found % 2 == 0,
        }[self.rule]


@dataclass(frozen=True)
class Change:
    """What takes the place of the elements.

    Attributes:
        verb: ``zero``, ``times``, ``reverse``, ``shift``, ``delay``, ``only``, ``order``, ``sum``, ``kind``, ``plus``,
            ``step-of-output``, ``transpose``, ``reshape``, ``directions-first`` or ``blocks``; for the other roles, the
            name of an activation, the target of a rounding, or the kind of memory.
        axis: axis along which elements move, or the gate of an activation.
        value: how much, or from where.
    """

    verb: str
    axis: str = ""
    value: Any = None

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.verb, self.axis, self.value) if part not in ("", None))


@dataclass(frozen=True)
class Term:
    """A condition on a case.

    Attributes:
        name: option or size; ``places`` is T · B.
        rule: ``is`` a value, at least ``from`` a value, or ``not-multiple`` of a value.
        value: the value.
    """

    name: str
    rule: Literal["is", "from", "not-multiple"]
    value: Any

    def __str__(self) -> str:
        words = {"is": "is", "from": "≥", "not-multiple": "is not a multiple of"}
        return f"{self.name} {words[self.rule]} {self.value}"

    def holds(self, case: Case) -> bool:
        """Returns whether a case meets the condition."""
        found = self._value(case)
        if self.rule == "is":
            return bool(found == self.value)
        return bool(found >= self.value if self.rule == "from" else found % self.value)

    def _value(self, case: Case) -> Any:
        return {
            "hidden_size": max(case.hidden_sizes),
            "batch": case.rows or 1,
            "places": case.seq_len * (case.rows or 1),
            "lengths": case.lengths is not None,
            "state": case.gives_state,
        }.get(self.name, getattr(case, self.name, None))


@dataclass(frozen=True)
class Mistake:
    """One mistake, and its true explanation.

    Attributes:
        role: what the LSTM does wrongly.
        kinds: kinds of the tensors: names without layer, direction and ``grad.``.
        change: what takes the place of the elements.
        where: conditions on the elements that change; empty for all.
        when: conditions on a case; empty for every case.
        follows: whether the gradients match the wrong forward pass. Otherwise gradients of what is read stay in their
            places, and those of results and activations are those of right ones.
    """

    role: Role
    kinds: tuple[str, ...]
    change: Change
    where: tuple[Place, ...] = ()
    when: tuple[Term, ...] = ()
    follows: bool = True

    def __str__(self) -> str:
        text = f"{self.role} {' and '.join(self.kinds)} {self.change}".strip()
        if self.where:
            text += f" in {', '.join(map(str, self.where))}"
        if self.when:
            text += f" where {' and '.join(map(str, self.when))}"
        return text + ("" if self.follows else " (forward only)")

    def applies_to(self, case: Case) -> bool:
        """Returns whether a case meets the conditions."""
        return all(term.holds(case) for term in self.when)

    def selects(self, at: Coordinates, case: Case, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Returns which elements change, as a mask."""
        mask = np.ones(shape, bool)
        for place in self.where:
            mask &= place.holds(at, case)
        return mask
