"""Masks that are ignored, or read for another row, another step or a length."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.cases.case import Case
from conformance.defects.catalogue.lengths import other_padding
from conformance.defects.defect import Defect
from conformance.verdict.problem import counted_steps

Mask = NDArray[np.bool_]


def _defect(id: str, what: str, change: Callable[[Mask], Mask], stands_for: str = "") -> Defect:  # noqa: A002
    """A defect of cases with a mask that no length could say, where the change makes another mask."""

    def applies(case: Case) -> bool:
        mask = counted_steps(case)
        return case.mask != "right" and mask is not None and not np.array_equal(change(mask), mask)

    return Defect(id=id, what=what, stands_for=stands_for, applies=applies, mask=lambda mask, _: change(mask))


def _as_lengths(mask: Mask) -> Mask:
    valid: Mask = np.arange(len(mask))[:, None] < mask.sum(0)
    return valid


def _without_holes(mask: Mask) -> Any:
    return np.maximum.accumulate(mask) & np.maximum.accumulate(mask[::-1])[::-1]


DEFECTS = [
    _defect("mask-ignored", "that takes every step for valid", np.ones_like),
    _defect("mask-read-as-lengths", "that reads a mask as so many steps from the first one on", _as_lengths, "cuDNN"),
    _defect(
        "mask-not-reversed-with-input", "that reads its mask last step first", lambda mask: mask[::-1], "keras#3737"
    ),
    _defect(
        "mask-holes-ignored", "that takes all steps from the first valid one to the last for valid", _without_holes
    ),
    _defect(
        "mask-a-step-late", "that reads its mask of the step before", lambda mask: np.concatenate([mask[:1], mask[:-1]])
    ),
    _defect(
        "mask-a-step-early", "that reads its mask of the step after", lambda mask: np.concatenate([mask[1:], mask[-1:]])
    ),
    _defect(
        "mask-of-row-before", "that reads each row's mask of the row before", lambda mask: np.roll(mask, 1, axis=1)
    ),
    _defect(
        "mask-of-first-row-for-all",
        "that reads the first row's mask for all rows",
        lambda mask: np.broadcast_to(mask[:, :1], mask.shape),
    ),
    Defect(
        id="masked-steps-in-the-other-dialect",
        what="whose masked steps repeat the last output, or answer zeros where they should repeat it",
        applies=lambda case: case.mask == "holed",
        dialect=other_padding,
    ),
]
