"""Clips that are ignored or that clip the wrong values."""

from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.activations import clamped
from conformance.defects.catalogue.conditions import all_of, checks_gradients
from conformance.defects.catalogue.option_cells import change_each, ignored_option, option_defect, with_class
from conformance.defects.defect import Defect
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell


def _has_clip(case: Case) -> bool:
    return case.clip is not None


def _has_cell_clip(case: Case) -> bool:
    return case.cell_clip is not None


def _has_any_clip(case: Case) -> bool:
    return _has_clip(case) or _has_cell_clip(case)


class _GradientThroughClip(OnnxCell):
    """A cell whose gradient also flows through clipped values."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        return super().sensitivity(step._replace(unclipped=None), c_previous)


def _clip_activation_of_cell_state(cell: Any, bound: str) -> Any:
    """Returns a cell that clips only the argument of the cell state's activation.

    Args:
        cell: cell with the bound.
        bound: name of the cell's field with the bound.
    """
    return replace(cell, **{bound: None}, cell_state=clamped(cell.cell_state, getattr(cell, bound)))


DEFECTS: list[Defect] = [
    ignored_option(
        "clip",
        "that does not clip the inputs of its activations",
        _has_clip,
        None,
        "onnx ReferenceEvaluator, OpenCV, MNN",
    ),
    option_defect(
        "clip-not-of-cell-state-activation",
        "that clips the inputs of the gates, but not the cell state before its activation",
        change_each(lambda cell: replace(cell, clips_output=not cell.clips_output)),
        _has_clip,
        "onnxruntime#27224",
    ),
    option_defect(
        "clip-of-cell-state-activation-only",
        "that clips the cell state before its activation, but not the inputs of the gates",
        change_each(lambda cell: _clip_activation_of_cell_state(cell, "clip")),
        _has_clip,
    ),
    option_defect(
        "clip-of-cell-state-itself",
        "that clips the cell state itself, not the inputs of its activations",
        change_each(lambda cell: replace(cell, clip=None, cell_clip=cell.clip)),
        _has_clip,
        "burn",
    ),
    option_defect(
        "clip-at-twice-the-bound",
        "that clips at twice the bound",
        change_each(lambda cell: replace(cell, clip=2 * cell.clip)),
        _has_clip,
    ),
    ignored_option("cell_clip", "that does not clip the cell state", _has_cell_clip, None),
    option_defect(
        "cell-clip-before-activation-only",
        "that clips the cell state before its activation, but passes it to the next step unclipped",
        change_each(lambda cell: _clip_activation_of_cell_state(cell, "cell_clip")),
        _has_cell_clip,
    ),
    option_defect(
        "cell-clip-of-activation-inputs",
        "that clips the inputs of its activations, not the cell state",
        change_each(lambda cell: replace(cell, clip=cell.cell_clip, cell_clip=None)),
        _has_cell_clip,
    ),
    option_defect(
        "grad-through-clip",
        "whose gradient flows through clipped values",
        change_each(with_class(_GradientThroughClip)),
        all_of(_has_any_clip, checks_gradients),
    ),
]
