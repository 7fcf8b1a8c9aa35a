"""Dropout of a layer's input or hidden state that is missing, applied with a wrong mask, or ignored by gradients."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    Condition,
    alike_directions,
    all_of,
    checks_gradients,
    has_previous_h,
    several_rows,
)
from conformance.defects.catalogue.tensors import change_tensors
from conformance.defects.defect import Arrays, Change, Defect


def _drops(kind: str) -> Condition:
    """Returns the condition that a kind of dropout, ``input`` or ``recurrent``, drops nonzero elements."""

    def holds(case: Case) -> bool:
        probability = case.input_dropout if kind == "input" else case.recurrent_dropout
        return case.mode == "train" and probability > 0 and (kind == "input" or has_previous_h(case))

    return holds


def _keeps(kind: str) -> Condition:
    """Returns the condition that a kind of dropout keeps some elements."""
    return lambda case: (case.input_dropout if kind == "input" else case.recurrent_dropout) < 1


def _change(kind: str, change: Callable[[Any], Any]) -> Change:
    """Changes the masks (B, ·) of a kind of dropout."""
    return change_tensors(kind, lambda mask, _: change(mask))


def _repeat_forward(kind: str) -> Change:
    """Uses the forward direction's masks in both directions where their shapes match."""

    def change(masks: Arrays, case: Case) -> Arrays:
        del case
        same = {
            name: masks[name.removesuffix("_reverse")]
            for name in masks
            if name.startswith(kind) and masks[name.removesuffix("_reverse")].shape == masks[name].shape
        }
        return masks | same

    return change


def _every_other_element(masks: Arrays, case: Case) -> Arrays:
    """Returns masks that drop every other element of each layer's input and hidden state."""
    del masks
    model = case.model
    drawn = {}
    for layer in range(case.num_layers):
        for direction, suffix in enumerate(model.suffixes):
            widths = {"input": model.layer_input_size(layer), "recurrent": model.state_size(layer, direction)}
            for kind, width in widths.items():
                kept = np.ones((case.rows or 1, width))
                kept[:, ::2] = 0.0
                drawn[f"{kind}_l{layer}{suffix}"] = kept
    return drawn


def _dropout_defects(kind: str, name: str) -> Iterable[Defect]:
    """Yields the defects of one kind of dropout.

    Args:
        kind: ``input`` or ``recurrent``.
        name: name of the dropped tensor in the descriptions.
    """
    some = all_of(_drops(kind), _keeps(kind))
    yield Defect(
        id=f"{kind}-dropout-ignored",
        what=f"without dropout of {name} in training",
        requires=_drops(kind),
        dropout_masks=_change(kind, np.ones_like),
    )
    yield Defect(
        id=f"{kind}-dropout-unscaled",
        what=f"that does not scale up the elements of {name} that dropout keeps",
        requires=some,
        dropout_masks=_change(kind, lambda mask: (mask > 0) * 1.0),
    )
    yield Defect(
        id=f"{kind}-dropout-of-one-row-for-all",
        what=f"that drops the same elements of {name} in every row",
        requires=all_of(some, several_rows),
        dropout_masks=_change(kind, lambda mask: np.broadcast_to(mask[:1], mask.shape)),
    )
    yield Defect(
        id=f"{kind}-dropout-same-in-both-directions",
        what=f"that drops the same elements of {name} in both directions",
        requires=all_of(some, alike_directions),
        dropout_masks=_repeat_forward(kind),
    )


DEFECTS = [
    *_dropout_defects("input", "each layer's input"),
    *_dropout_defects("recurrent", "the hidden state"),
    Defect(
        id="cell-dropout-in-inference",
        what="with dropout of each layer's input and hidden state in inference too",
        requires=lambda case: case.mode == "eval" and (case.input_dropout > 0 or case.recurrent_dropout > 0),
        dropout_masks=_every_other_element,
    ),
    Defect(
        id="grad-ignores-input-dropout",
        what="whose gradient flows through the dropped elements of each layer's input too",
        requires=all_of(_drops("input"), _keeps("input"), checks_gradients),
        backward_masks=_change("input", np.ones_like),
    ),
    Defect(
        id="grad-ignores-recurrent-dropout",
        what="whose gradient flows through the dropped elements of the hidden state too",
        requires=all_of(_drops("recurrent"), _keeps("recurrent"), checks_gradients),
        saved=lambda layer_pass, _: layer_pass._replace(recurrent_mask=None),
    ),
]
