"""Dropout where there should be none, none where it should be, or with another mask than the one that was drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.parts import both_ways, every, several_rows
from conformance.defects.defect import Arrays, Change, Defect

_GOLDEN = (5**0.5 - 1) / 2


def _drops(case: Case) -> bool:
    """Dropout acts between layers."""
    return case.mode == "train" and case.dropout > 0 and case.num_layers > 1


def _some(case: Case) -> bool:
    """Something is dropped, and something is kept."""
    return _drops(case) and case.dropout < 1


def _drawn(case: Case, shape: tuple[int, ...]) -> Any:
    """A mask of the defect's own, the same each time."""
    if case.dropout == 1:
        return np.zeros(shape)
    places = np.arange(1, np.prod(shape, dtype=int) + 1).reshape(shape)
    return ((places * _GOLDEN) % 1 >= case.dropout) / (1 - case.dropout)


def _after(case: Case, layer: int) -> Any:
    return _drawn(case, (case.seq_len, case.rows or 1, case.model.output_size(layer)))


def _none(masks: Arrays, case: Case) -> Arrays:
    del masks, case
    return {}


def _each(move: Callable[[Any, Case], Any]) -> Change:
    """Changes the mask behind each layer, (T, B, ·)."""
    return lambda masks, case: {layer: move(mask, case) for layer, mask in masks.items()}


def _unscaled(mask: Any, case: Case) -> Any:
    del case
    return (mask > 0).astype(np.float64)


def _one_half_kept(mask: Any, case: Case) -> Any:
    """The mask of the forward half only."""
    del case
    half = mask.shape[-1] // 2
    return np.concatenate([mask[..., :half], np.ones_like(mask[..., half:])], axis=-1)


def _one_half_for_both(mask: Any, case: Case) -> Any:
    del case
    half = mask.shape[-1] // 2
    return np.concatenate([mask[..., :half], mask[..., :half]], axis=-1)


def _on_input(ones: Arrays, case: Case) -> Arrays:
    shape = (case.seq_len, case.rows or 1, case.input_size)
    mask = _drawn(case, shape)
    mask = mask[:, 0] if case.rows is None else mask.swapaxes(0, 1) if case.batch_first else mask
    return ones | {"input": mask}


def _same(mask: Any, axis: int) -> Any:
    return np.broadcast_to(mask.take([0], axis=axis), mask.shape)


DEFECTS = [
    Defect(
        id="dropout-ignored-in-training",
        what="that drops nothing in training",
        applies=_drops,
        masks=_none,
    ),
    Defect(
        id="dropout-unscaled",
        what="that does not scale up what dropout keeps",
        applies=_some,
        masks=_each(_unscaled),
    ),
    Defect(
        id="dropout-scaled-by-1/p",
        what="that scales what dropout keeps by 1 / p, not 1 / (1 - p)",
        applies=lambda case: _some(case) and case.dropout != 0.5,
        masks=_each(lambda mask, case: (mask > 0) / case.dropout),
    ),
    Defect(
        id="dropout-inverted",
        what="that keeps what dropout drops and drops what it keeps",
        applies=_some,
        masks=_each(lambda mask, case: (mask == 0) / (1 - case.dropout)),
    ),
    Defect(
        id="dropout-of-all-is-nan",
        what="that divides by zero where everything is dropped",
        applies=lambda case: _drops(case) and case.dropout == 1,
        masks=_each(lambda mask, _: np.full_like(mask, np.nan)),
    ),
    Defect(
        id="dropout-in-inference",
        what="that drops in inference too",
        stands_for="pytorch#180744",
        applies=lambda case: case.mode == "eval" and case.dropout > 0 and case.num_layers > 1,
        masks=lambda _, case: {f"l{layer}": _after(case, layer) for layer in range(case.num_layers - 1)},
    ),
    Defect(
        id="dropout-after-last-layer",
        what="that drops from the last layer's output too",
        applies=lambda case: case.mode == "train" and case.dropout > 0,
        masks=lambda masks, case: {**masks, f"l{case.num_layers - 1}": _after(case, case.num_layers - 1)},
    ),
    Defect(
        id="dropout-on-input",
        what="that drops from the input too",
        applies=lambda case: case.mode == "train" and case.dropout > 0,
        scales=_on_input,
    ),
    Defect(
        id="dropout-of-first-layer-behind-all",
        what="that uses the first layer's dropout mask behind every layer",
        applies=lambda case: _some(case) and case.num_layers > 2 and case.model.is_uniform,
        masks=lambda masks, _: dict.fromkeys(masks, masks["l0"]),
    ),
    Defect(
        id="dropout-behind-first-layer-only",
        what="that drops behind the first layer only",
        applies=lambda case: _drops(case) and case.num_layers > 2,
        masks=lambda masks, _: {"l0": masks["l0"]},
    ),
    Defect(
        id="dropout-constant-over-time",
        what="that drops the same elements at every step",
        stands_for="keras#19993",
        applies=lambda case: _some(case) and case.seq_len > 1,
        masks=_each(lambda mask, _: _same(mask, 0)),
    ),
    Defect(
        id="dropout-constant-over-rows",
        what="that drops the same elements in every row",
        applies=every(_some, several_rows),
        masks=_each(lambda mask, _: _same(mask, 1)),
    ),
    Defect(
        id="dropout-of-forward-direction-only",
        what="that drops from the forward direction's output only",
        applies=every(_drops, both_ways),
        masks=_each(_one_half_kept),
    ),
    Defect(
        id="dropout-alike-in-directions",
        what="that drops the same units from both directions' outputs",
        applies=every(_some, both_ways),
        masks=_each(_one_half_for_both),
    ),
    Defect(
        id="grad-forgets-dropout",
        what="whose gradient goes back through elements that dropout has dropped, unscaled",
        stands_for="pytorch#190056",
        applies=every(_drops, gradients),
        masks_back=_none,
    ),
    Defect(
        id="grad-of-dropout-unscaled",
        what="whose gradient is not scaled up where dropout has kept an element",
        applies=every(_some, gradients),
        masks_back=_each(_unscaled),
    ),
    Defect(
        id="grad-of-dropout-of-other-draw",
        what="whose gradient goes back through another draw of the dropout mask",
        applies=every(_some, gradients),
        masks_back=_each(lambda mask, case: _drawn(case, mask.shape)),
    ),
]
