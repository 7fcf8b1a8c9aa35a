"""The projection of hidden states read in the wrong place, or left out as far as shapes allow."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.parts import (
    both_ways,
    element_off,
    every,
    first_layer,
    forward_of,
    from_parameter,
    needing,
    of_kinds,
    other_direction,
    several_layers,
    takes_steps,
)
from conformance.defects.defect import NOTHING, Arrays, Defect


def _projects(case: Case) -> bool:
    return case.proj_size > 0


def _several_outputs(case: Case) -> bool:
    return case.proj_size > 1


def _row_nothing(array: Any, case: Case) -> Any:
    del case
    lacking = array.copy()
    lacking[-1] = NOTHING
    return lacking


def _column_nothing(array: Any, case: Case) -> Any:
    del case
    lacking = array.copy()
    lacking[:, -1] = NOTHING
    return lacking


def _identity(read: Arrays, case: Case) -> Arrays:
    """The first units, as they are."""
    del case
    return {name: np.eye(*array.shape) if name.startswith("weight_hr") else array for name, array in read.items()}


def _off(size: float) -> Defect:
    return Defect(
        id=f"weight_hr-element-off-by-{size:.0e}",
        what=f"with one element of one weight_hr off by {size:.0e}",
        applies=_projects,
        shifts=element_off("weight_hr", size),
        size=size,
        sized=_off,
    )


DEFECTS = needing(
    takes_steps,
    [
        Defect(
            id="projection-cuts",
            what="that takes the first units of the hidden state in place of projecting it",
            applies=_projects,
            scales=lambda ones, _: {name: a * (not name.startswith("weight_hr")) for name, a in ones.items()},
            shifts=_identity,
        ),
        Defect(
            id="projection-column-major",
            what="that reads weight_hr from memory column by column",
            stands_for="paddle.nn.LSTM, which holds it transposed",
            applies=_several_outputs,
            reads=of_kinds("weight_hr", move=lambda array, _: array.reshape(array.shape[::-1]).T),
        ),
        Defect(
            id="projection-rows-reversed",
            what="that reads the rows of weight_hr last one first",
            applies=_several_outputs,
            reads=of_kinds("weight_hr", move=lambda array, _: array[::-1]),
        ),
        Defect(
            id="projection-of-last-unit-missing",
            what="whose last projected unit is 0",
            applies=_projects,
            reads=of_kinds("weight_hr", move=_row_nothing),
        ),
        Defect(
            id="projection-ignores-last-unit",
            what="whose projection does not read the last unit of the hidden state",
            applies=_projects,
            reads=of_kinds("weight_hr", move=_column_nothing),
        ),
        Defect(
            id="projection-doubled",
            what="whose projection is twice as large",
            applies=_projects,
            scales=lambda ones, _: {name: a * (1 + name.startswith("weight_hr")) for name, a in ones.items()},
        ),
        Defect(
            id="reverse-projection-from-forward",
            what="whose reverse direction reads the forward direction's weight_hr",
            applies=every(_projects, both_ways),
            reads=from_parameter("weight_hr", source=forward_of),
        ),
        Defect(
            id="projections-of-directions-swapped",
            what="whose directions read each other's weight_hr",
            applies=every(_projects, both_ways),
            reads=from_parameter("weight_hr", source=other_direction),
        ),
        Defect(
            id="projection-of-first-layer-in-all",
            what="whose layers all read the first one's weight_hr",
            applies=every(_projects, several_layers),
            reads=from_parameter("weight_hr", source=first_layer),
        ),
        _off(1e-4),
    ],
)
