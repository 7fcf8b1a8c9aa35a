"""Clips that are not heeded, or bound something else."""

from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.activations import clamped
from conformance.defects.catalogue.needs import gradients
from conformance.defects.catalogue.optional import each, ignoring, made, of_cells
from conformance.defects.catalogue.parts import every
from conformance.defects.defect import Defect
from reference.cell import Sensitivity, Step
from reference.onnx_cell import OnnxCell


def _clips(case: Case) -> bool:
    return case.clip is not None


def _clips_cell(case: Case) -> bool:
    return case.cell_clip is not None


class _FreeOnTheWayBack(OnnxCell):
    """The gradient passes where a bound held a value back."""

    def sensitivity(self, step: Step, c_previous: Any) -> Sensitivity:
        return super().sensitivity(step._replace(unclipped=None), c_previous)


def _on_the_way_out(cell: Any, bound: str) -> Any:
    """A bound on the cell state that goes out, and on nothing else."""
    return replace(cell, **{bound: None}, cell_state=clamped(cell.cell_state, getattr(cell, bound)))


DEFECTS: list[Defect] = [
    ignoring("clip", "that does not clip what activations read", _clips, None, "onnx ReferenceEvaluator, OpenCV, MNN"),
    of_cells(
        "clip-not-of-cell-state-on-its-way-out",
        "that clips what the gates read, but not the cell state on its way out",
        each(lambda cell: replace(cell, clips_output=not cell.clips_output)),
        _clips,
        "onnxruntime#27224",
    ),
    of_cells(
        "clip-of-cell-state-on-its-way-out-only",
        "that clips the cell state on its way out, but not what the gates read",
        each(lambda cell: _on_the_way_out(cell, "clip")),
        _clips,
    ),
    of_cells(
        "clip-of-cell-state-itself",
        "that clips the cell state itself, not what activations read",
        each(lambda cell: replace(cell, clip=None, cell_clip=cell.clip)),
        _clips,
        "burn",
    ),
    of_cells(
        "clip-at-twice-the-bound",
        "that clips at twice the bound",
        each(lambda cell: replace(cell, clip=2 * cell.clip)),
        _clips,
    ),
    ignoring("cell_clip", "that does not clip the cell state", _clips_cell, None),
    of_cells(
        "cell-clip-on-the-way-out-only",
        "that clips the cell state on its way out, but carries it on as it is",
        each(lambda cell: _on_the_way_out(cell, "cell_clip")),
        _clips_cell,
    ),
    of_cells(
        "cell-clip-of-what-activations-read",
        "that clips what activations read, not the cell state",
        each(lambda cell: replace(cell, clip=cell.cell_clip, cell_clip=None)),
        _clips_cell,
    ),
    of_cells(
        "grad-through-clip",
        "whose gradient passes where a value was clipped",
        each(made(_FreeOnTheWayBack)),
        every(lambda case: _clips(case) or _clips_cell(case), gradients),
    ),
]
