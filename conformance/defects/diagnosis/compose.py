"""Defects that are derived from other defects."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect, Rewire

_DESCRIPTIVE = frozenset({"id", "what", "represents", "requires", "size", "with_size", "equivalent"})
"""Fields of a defect that do not change the computation."""
_MECHANISMS = {item.name: item.default for item in fields(Defect) if item.name not in _DESCRIPTIVE}
"""Fields of a defect that change the computation, with their defaults."""
_PARTIAL = frozenset({"reads", "writes"})
"""Mechanisms that return only the tensors that they change."""
_COMPLETE = frozenset(
    {
        "scales",
        "shifts",
        "dropout_masks",
        "backward_masks",
        "lengths",
        "mask",
        "cells",
        "cotangents",
        "gradients",
        "saved",
        "tangents",
        "saved_tangents",
        "derivatives",
    }
)
"""Mechanisms that can be applied one after the other, because each returns everything that the next one needs."""
_BACKWARD = frozenset(
    {
        "backward_masks",
        "saved",
        "cotangents",
        "gradients",
        "gradients_as_read",
        "tangents",
        "saved_tangents",
        "derivatives",
    }
)
"""Mechanisms that change only gradients and derivatives along a direction."""


def compose(first: Defect, second: Defect) -> Defect | None:
    """Returns a defect that combines two others.

    Returns None if the two cannot be combined. Also returns None if their order does not matter and the ids are not in
    alphabetical order.
    """
    changed = {}
    shared = False
    for name, default in _MECHANISMS.items():
        one, other = getattr(first, name), getattr(second, name)
        if one is default or other is default:
            changed[name] = other if one is default else one
            continue
        if name not in _PARTIAL | _COMPLETE:
            return None
        shared = True
        changed[name] = _chain_partial(one, other) if name in _PARTIAL else _chain(one, other)
    if changed["cell"] and changed["cells"]:
        return None
    if changed["lift"] is not _MECHANISMS["lift"] and (changed["cell"] or changed["saved"]):
        return None  # Cells and ``saved`` require NumPy arrays.
    if not shared and first.id > second.id:
        return None
    return Defect(
        id=f"{first.id} + {second.id}",
        what=f"{first.what}, and {second.what}",
        requires=lambda case: first.applies_to(case) and second.applies_to(case),
        **changed,
    )


def changes_only_gradients(defect: Defect) -> bool:
    """Returns whether all mechanisms of a defect change only gradients and derivatives along a direction."""
    forward = _MECHANISMS.keys() - _BACKWARD
    return all(getattr(defect, name) is _MECHANISMS[name] for name in forward)


def with_gradients_as_read(defect: Defect) -> Defect | None:
    """Returns a defect whose gradients are in the wrong places from which the parameters are read.

    A wrong weight loader has this defect. Returns None if the defect does not change ``reads``, or if it changes
    ``gradients``.
    """
    if defect.reads is None or defect.gradients is not None:
        return None
    return replace(
        defect,
        id=f"{defect.id}-gradients-too",
        what=f"{defect.what}, with gradients left as they were read",
        gradients_as_read=True,
    )


def _chain(one: Callable[..., Any], other: Callable[..., Any]) -> Callable[[Any, Case], Any]:
    return lambda tensors, case: other(one(tensors, case), case)


def _chain_partial(one: Rewire, other: Rewire) -> Rewire:
    def both(tensors: Arrays, case: Case) -> Arrays:
        read = tensors | one(dict(tensors), case)
        return read | other(dict(read), case)

    return both
