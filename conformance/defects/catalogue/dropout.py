"""Dropout between layers that is missing, misplaced or applied with a wrong mask."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    alike_directions,
    all_of,
    checks_gradients,
    several_rows,
)
from conformance.defects.defect import Arrays, Change, Defect

_GOLDEN_RATIO = (5**0.5 - 1) / 2


def _drops(case: Case) -> bool:
    """Returns whether dropout between layers is active."""
    return case.mode == "train" and case.dropout > 0 and case.num_layers > 1


def _drops_some(case: Case) -> bool:
    """Returns whether dropout between layers drops some elements and keeps others."""
    return _drops(case) and case.dropout < 1


def _drops_some_of_three_layers(case: Case) -> bool:
    return _drops_some(case) and case.num_layers > 2 and case.model.is_uniform


def _trains_with_dropout(case: Case) -> bool:
    return case.mode == "train" and case.dropout > 0


def _drawn(case: Case, shape: tuple[int, ...]) -> Any:
    """Returns a dropout mask that is unrelated to the problem's masks and the same in each call."""
    if case.dropout == 1:
        return np.zeros(shape)
    places = np.arange(1, np.prod(shape, dtype=int) + 1).reshape(shape)
    return ((places * _GOLDEN_RATIO) % 1 >= case.dropout) / (1 - case.dropout)


def _drawn_after(case: Case, layer: int) -> Any:
    return _drawn(case, (case.seq_len, case.rows or 1, case.model.output_size(layer)))


def _after_layers(masks: Arrays) -> Arrays:
    """Returns the masks after layers, ``l0``, ``l1`` …, without those of a layer's input and hidden state."""
    return {name: mask for name, mask in masks.items() if name.startswith("l")}


def _none(masks: Arrays, case: Case) -> Arrays:
    del case
    return {name: mask for name, mask in masks.items() if name not in _after_layers(masks)}


def _change_each(change: Callable[[Any, Case], Any]) -> Change:
    """Changes the mask after each layer (T, B, ·)."""
    return lambda masks, case: masks | {layer: change(mask, case) for layer, mask in _after_layers(masks).items()}


def _unscaled(mask: Any, case: Case) -> Any:
    del case
    return (mask > 0).astype(np.float64)


def _only_forward(mask: Any, case: Case) -> Any:
    """Returns a mask that keeps the half of the units that belongs to the reverse direction."""
    del case
    half = mask.shape[-1] // 2
    return np.concatenate([mask[..., :half], np.ones_like(mask[..., half:])], axis=-1)


def _forward_for_both(mask: Any, case: Case) -> Any:
    del case
    half = mask.shape[-1] // 2
    return np.concatenate([mask[..., :half], mask[..., :half]], axis=-1)


def _drop_from_input(ones: Arrays, case: Case) -> Arrays:
    mask = _drawn(case, (case.seq_len, case.rows or 1, case.input_size))
    mask = mask[:, 0] if case.rows is None else mask.swapaxes(0, 1) if case.batch_first else mask
    return ones | {"input": mask}


def _repeat_first(mask: Any, axis: int) -> Any:
    return np.broadcast_to(mask.take([0], axis=axis), mask.shape)


DEFECTS = [
    Defect(
        id="dropout-ignored-in-training",
        what="without dropout in training",
        requires=_drops,
        dropout_masks=_none,
    ),
    Defect(
        id="dropout-unscaled",
        what="that does not scale up the elements that dropout keeps",
        requires=_drops_some,
        dropout_masks=_change_each(_unscaled),
    ),
    Defect(
        id="dropout-scaled-by-1/p",
        what="that scales the elements that dropout keeps by 1 / p, not 1 / (1 - p)",
        requires=lambda case: _drops_some(case) and case.dropout != 0.5,
        dropout_masks=_change_each(lambda mask, case: (mask > 0) / case.dropout),
    ),
    Defect(
        id="dropout-inverted",
        what="that keeps the elements that dropout should drop, and drops the others",
        requires=_drops_some,
        dropout_masks=_change_each(lambda mask, case: (mask == 0) / (1 - case.dropout)),
    ),
    Defect(
        id="dropout-of-all-is-nan",
        what="that divides by zero when dropout drops everything",
        requires=lambda case: _drops(case) and case.dropout == 1,
        dropout_masks=_change_each(lambda mask, _: np.full_like(mask, np.nan)),
    ),
    Defect(
        id="dropout-in-inference",
        what="with dropout in inference too",
        represents="pytorch#180744",
        requires=lambda case: case.mode == "eval" and case.dropout > 0 and case.num_layers > 1,
        dropout_masks=lambda _, case: {f"l{k}": _drawn_after(case, k) for k in range(case.num_layers - 1)},
    ),
    Defect(
        id="dropout-after-last-layer",
        what="with dropout after the last layer too",
        requires=_trains_with_dropout,
        dropout_masks=lambda masks, case: {
            **masks,
            f"l{case.num_layers - 1}": _drawn_after(case, case.num_layers - 1),
        },
    ),
    Defect(
        id="dropout-on-input",
        what="with dropout of the input too",
        requires=_trains_with_dropout,
        scales=_drop_from_input,
    ),
    Defect(
        id="dropout-of-first-layer-after-all",
        what="that uses the first layer's dropout mask after every layer",
        requires=_drops_some_of_three_layers,
        dropout_masks=lambda masks, _: masks | dict.fromkeys(_after_layers(masks), masks["l0"]),
    ),
    Defect(
        id="dropout-after-first-layer-only",
        what="with dropout after the first layer only",
        requires=lambda case: _drops(case) and case.num_layers > 2,
        dropout_masks=lambda masks, case: _none(masks, case) | {"l0": masks["l0"]},
    ),
    Defect(
        id="dropout-constant-over-time",
        what="that drops the same elements at every time step",
        represents="keras#19993",
        requires=lambda case: _drops_some(case) and case.seq_len > 1,
        dropout_masks=_change_each(lambda mask, _: _repeat_first(mask, 0)),
    ),
    Defect(
        id="dropout-constant-over-rows",
        what="that drops the same elements in every row",
        requires=all_of(_drops_some, several_rows),
        dropout_masks=_change_each(lambda mask, _: _repeat_first(mask, 1)),
    ),
    Defect(
        id="dropout-of-forward-direction-only",
        what="with dropout of the forward direction's output only",
        requires=all_of(_drops, alike_directions),
        dropout_masks=_change_each(_only_forward),
    ),
    Defect(
        id="dropout-same-in-both-directions",
        what="that drops the same units from the outputs of both directions",
        requires=all_of(_drops_some, alike_directions),
        dropout_masks=_change_each(_forward_for_both),
    ),
    Defect(
        id="grad-ignores-dropout",
        what="whose gradient flows through dropped elements too, and is not scaled up",
        represents="pytorch#190056",
        requires=all_of(_drops, checks_gradients),
        backward_masks=_none,
    ),
    Defect(
        id="grad-of-dropout-unscaled",
        what="whose gradient is not scaled up where dropout keeps an element",
        requires=all_of(_drops_some, checks_gradients),
        backward_masks=_change_each(_unscaled),
    ),
    Defect(
        id="grad-of-dropout-of-other-draw",
        what="whose gradient flows through another draw of the dropout masks",
        requires=all_of(_drops_some, checks_gradients),
        backward_masks=_change_each(lambda mask, case: _drawn(case, mask.shape)),
    ),
]
