"""Defects made of others: two at once, and the same one with its gradients left where they were read."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect, Wiring

_WORDS = frozenset({"id", "what", "stands_for", "applies", "size", "sized", "equivalent"})
_MECHANISMS = {item.name: item.default for item in fields(Defect) if item.name not in _WORDS}
_NAMED = frozenset({"reads", "answers"})
"""Mechanisms that give back only the tensors that they change."""
_IN_TURN = frozenset(
    {"scales", "shifts", "masks", "masks_back", "lengths", "mask", "cells", "cotangents", "gradients", "recalls"}
)
"""Mechanisms of two defects of which one can be applied to what the other gives."""
_ON_THE_WAY_BACK = frozenset({"masks_back", "recalls", "cotangents", "gradients"})
"""Mechanisms that change gradients alone."""


def compose(first: Defect, second: Defect) -> Defect | None:
    """An LSTM with both defects; None where they cannot be had at once, or where the other order is the same."""
    changed = {}
    shared = False
    for name, default in _MECHANISMS.items():
        one, other = getattr(first, name), getattr(second, name)
        if one is default or other is default:
            changed[name] = other if one is default else one
            continue
        if name not in _NAMED | _IN_TURN:
            return None
        shared = True
        changed[name] = _in_turn(one, other, name in _NAMED)
    if changed["cell"] and changed["cells"]:
        return None
    if changed["lift"] is not _MECHANISMS["lift"] and (changed["cell"] or changed["recalls"]):
        return None  # What is written for arrays cannot be had on other numbers.
    if not shared and first.id > second.id:
        return None
    return Defect(
        id=f"{first.id} + {second.id}",
        what=f"{first.what}, and {second.what}",
        applies=lambda case: first.concerns(case) and second.concerns(case),
        **changed,
    )


def errs_on_the_way_back_only(defect: Defect) -> bool:
    """Whether it is plain from its mechanisms that its results are right."""
    forward = _MECHANISMS.keys() - _ON_THE_WAY_BACK
    return all(getattr(defect, name) is _MECHANISMS[name] for name in forward)


def unreturned(defect: Defect) -> Defect | None:
    """The same defect with each gradient where the parameter was read, as a wrong loader leaves it.

    None where the defect reads nothing in the wrong place.
    """
    reads = defect.reads
    if reads is None or defect.gradients is not None:
        return None

    def gradients(found: Arrays, case: Case) -> Arrays:
        return Wiring.of(reads, found, case).forth(found)

    return replace(
        defect,
        id=f"{defect.id}-gradients-too",
        what=f"{defect.what}, with gradients left as they were read",
        gradients=gradients,
    )


def _in_turn(one: Callable[..., Any], other: Callable[..., Any], named: bool) -> Callable[[Any, Case], Any]:
    def both(what: Any, case: Case) -> Any:
        if not named:
            return other(one(what, case), case)
        read = what | one(dict(what), case)
        return read | other(dict(read), case)

    return both
