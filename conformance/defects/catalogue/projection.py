"""Projections of the hidden state that are misread, truncated, scaled or inexact."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import (
    all_of,
    bidirectional,
    has_projection,
    has_steps,
    requiring,
    several_layers,
)
from conformance.defects.catalogue.tensors import (
    add_to_element,
    change_tensors,
    first_layer,
    forward_of,
    move_in_parameters,
    other_direction,
    read_parameters,
    scale_tensors,
)
from conformance.defects.defect import NOTHING, Defect


def _several_outputs(case: Case) -> bool:
    return case.proj_size > 1


def _ignore_last_row(array: Any, case: Case) -> Any:
    del case
    rest = array.copy()
    rest[-1] = NOTHING
    return rest


def _ignore_last_column(array: Any, case: Case) -> Any:
    del case
    rest = array.copy()
    rest[:, -1] = NOTHING
    return rest


def _element_off(size: float) -> Defect:
    return Defect(
        id=f"weight_hr-element-off-by-{size:.0e}",
        what=f"with one element of one weight_hr off by {size:.0e}",
        requires=has_projection,
        shifts=add_to_element("weight_hr", size),
        size=size,
        with_size=_element_off,
    )


DEFECTS = requiring(
    all_of(has_steps, has_projection),
    [
        Defect(
            id="projection-truncates",
            what="that takes the first units of the hidden state instead of projecting it",
            scales=scale_tensors("weight_hr", 0.0),
            shifts=change_tensors("weight_hr", lambda array, _: np.eye(*array.shape)),
        ),
        Defect(
            id="projection-column-major",
            what="that reads weight_hr in column-major order",
            represents="paddle.nn.LSTM, which stores it transposed",
            requires=_several_outputs,
            reads=move_in_parameters("weight_hr", move=lambda array, _: array.reshape(array.shape[::-1]).T),
        ),
        Defect(
            id="projection-rows-reversed",
            what="that reads the rows of weight_hr in reverse order",
            requires=_several_outputs,
            reads=move_in_parameters("weight_hr", move=lambda array, _: array[::-1]),
        ),
        Defect(
            id="projection-of-last-unit-missing",
            what="whose last projected unit is 0",
            reads=move_in_parameters("weight_hr", move=_ignore_last_row),
        ),
        Defect(
            id="projection-ignores-last-unit",
            what="whose projection ignores the last unit of the hidden state",
            reads=move_in_parameters("weight_hr", move=_ignore_last_column),
        ),
        Defect(
            id="projection-doubled",
            what="whose projection is doubled",
            scales=scale_tensors("weight_hr", 2.0),
        ),
        Defect(
            id="reverse-projection-from-forward",
            what="whose reverse direction reads the forward direction's weight_hr",
            requires=bidirectional,
            reads=read_parameters("weight_hr", source=forward_of),
        ),
        Defect(
            id="projections-of-directions-swapped",
            what="whose two directions read each other's weight_hr",
            requires=bidirectional,
            reads=read_parameters("weight_hr", source=other_direction),
        ),
        Defect(
            id="projection-of-first-layer-in-all",
            what="whose layers all read the weight_hr of the first layer",
            requires=several_layers,
            reads=read_parameters("weight_hr", source=first_layer),
        ),
        _element_off(1e-4),
    ],
)
