"""Masks that are ignored, shifted, or read as the mask of another row or as lengths."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue.padding import other_padding
from conformance.defects.defect import Defect
from conformance.verdict.values import step_mask

Mask = NDArray[np.bool_]


def _wrong_mask(id: str, what: str, change: Callable[[Mask], Mask], represents: str = "") -> Defect:  # noqa: A002
    """Returns the defect of a wrong mask.

    It applies to cases with a mask that lengths cannot express and that the change affects.
    """

    def applies(case: Case) -> bool:
        mask = step_mask(case)
        return case.mask != "right" and mask is not None and not np.array_equal(change(mask), mask)

    return Defect(id=id, what=what, represents=represents, requires=applies, mask=lambda mask, _: change(mask))


def _as_lengths(mask: Mask) -> Mask:
    valid: Mask = np.arange(len(mask))[:, None] < mask.sum(0)
    return valid


def _without_holes(mask: Mask) -> Any:
    return np.maximum.accumulate(mask) & np.maximum.accumulate(mask[::-1])[::-1]


DEFECTS = [
    _wrong_mask("mask-ignored", "that treats every step as valid", np.ones_like),
    _wrong_mask(
        "mask-read-as-lengths",
        "that takes only the number of valid steps from its mask, and counts them from the first step",
        _as_lengths,
        "cuDNN",
    ),
    _wrong_mask(
        "mask-not-reversed-with-input",
        "that reads its mask in reverse time order",
        lambda mask: mask[::-1],
        "keras#3737",
    ),
    _wrong_mask(
        "mask-holes-ignored", "that treats all steps between the first and the last valid step as valid", _without_holes
    ),
    _wrong_mask(
        "mask-a-step-late",
        "that reads the mask of the previous time step at each step",
        lambda mask: np.concatenate([mask[:1], mask[:-1]]),
    ),
    _wrong_mask(
        "mask-a-step-early",
        "that reads the mask of the next time step at each step",
        lambda mask: np.concatenate([mask[1:], mask[-1:]]),
    ),
    _wrong_mask(
        "mask-of-row-before",
        "whose rows each read the mask of the previous row",
        lambda mask: np.roll(mask, 1, axis=1),
    ),
    _wrong_mask(
        "mask-of-first-row-for-all",
        "whose rows all read the mask of the first row",
        lambda mask: np.broadcast_to(mask[:, :1], mask.shape),
    ),
    Defect(
        id="masked-steps-in-the-other-dialect",
        what="that repeats the last output at masked steps, or returns zeros where it should repeat it",
        requires=lambda case: case.mask == "holed",
        dialect=other_padding,
    ),
]
