"""Dropout within a layer that is ignored, unscaled, forgotten on the way back, or the same where it should differ."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.parts import both_ways, every, remembers
from conformance.defects.defect import Arrays, Change, Defect


def _drops(kind: str, all_too: bool = False) -> Callable[[Case], bool]:
    """Whether a kind of dropout, ``input`` or ``recurrent``, acts on something, and does not drop all of it."""

    def acts(case: Case) -> bool:
        probability = case.input_dropout if kind == "input" else case.recurrent_dropout
        some = 0 < probability <= 1 if all_too else 0 < probability < 1
        return case.mode == "train" and some and (kind == "input" or remembers(case))

    return acts


def _of(kind: str, change: Callable[[Any], Any]) -> Change:
    return lambda masks, _: {name: change(m) if name.startswith(kind) else m for name, m in masks.items()}


def _of_forward_direction(kind: str) -> Change:
    def change(masks: Arrays, case: Case) -> Arrays:
        del case
        same = {
            name: masks[name.removesuffix("_reverse")]
            for name in masks
            if name.startswith(kind) and masks[name.removesuffix("_reverse")].shape == masks[name].shape
        }
        return masks | same

    return change


def _in_inference(masks: Arrays, case: Case) -> Arrays:
    del masks
    model = case.model
    drawn = {}
    for layer in range(case.num_layers):
        for suffix in model.suffixes:
            widths = {"input": model.layer_input_size(layer), "recurrent": model.state_size(layer)}
            for kind, width in widths.items():
                kept = np.ones((case.rows or 1, width))
                kept[:, ::2] = 0.0
                drawn[f"{kind}_l{layer}{suffix}"] = kept
    return drawn


def _each(kind: str, what: str) -> Iterable[Defect]:
    drops = _drops(kind)
    yield Defect(
        id=f"{kind}-dropout-ignored",
        what=f"that drops nothing of {what} in training",
        applies=_drops(kind, all_too=True),
        masks=_of(kind, np.ones_like),
    )
    yield Defect(
        id=f"{kind}-dropout-unscaled",
        what=f"that does not scale up what dropout keeps of {what}",
        applies=drops,
        masks=_of(kind, lambda mask: (mask > 0) * 1.0),
    )
    yield Defect(
        id=f"{kind}-dropout-of-one-row-for-all",
        what=f"that drops the same of {what} in every row",
        applies=lambda case: drops(case) and (case.rows or 1) > 1,
        masks=_of(kind, lambda mask: np.broadcast_to(mask[:1], mask.shape)),
    )
    yield Defect(
        id=f"{kind}-dropout-alike-in-directions",
        what=f"that drops the same of {what} in both directions",
        applies=every(drops, both_ways),
        masks=_of_forward_direction(kind),
    )


DEFECTS = [
    *_each("input", "what a layer reads"),
    *_each("recurrent", "the hidden state"),
    Defect(
        id="cell-dropout-in-inference",
        what="that drops within a layer in inference too",
        applies=lambda case: case.mode == "eval" and (case.input_dropout > 0 or case.recurrent_dropout > 0),
        masks=_in_inference,
    ),
    Defect(
        id="grad-forgets-input-dropout",
        what="whose gradient goes back through what dropout has dropped of a layer's input",
        applies=every(_drops("input"), gradients),
        masks_back=_of("input", np.ones_like),
    ),
    Defect(
        id="grad-forgets-recurrent-dropout",
        what="whose gradient goes back through what dropout has dropped of the hidden state",
        applies=every(_drops("recurrent"), gradients),
        recalls=lambda one, _: one._replace(recurrent_mask=None),
    ),
]
