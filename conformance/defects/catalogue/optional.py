"""Defects of options that change the cell: they are taken and not heeded, or heeded wrongly."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.defect import Defect
from conformance.verdict.problem import cells
from reference import Dialect
from reference.onnx_cell import OnnxCell

Cells = dict[str, Any]
Needs = Callable[[Case], bool]


def made(kind: type[OnnxCell]) -> Callable[[Any], Any]:
    """Makes a cell another kind of cell with the same options."""
    return lambda cell: kind(**{name: getattr(cell, name) for name in OnnxCell.__dataclass_fields__})


def each(change: Callable[[Any], Any]) -> Callable[[Cells, Case], Cells]:
    """Changes the cells of all directions alike."""
    return lambda found, _: {suffix: change(cell) for suffix, cell in found.items()}


def of_cells(
    id: str,  # noqa: A002
    what: str,
    change: Callable[[Cells, Case], Cells],
    needs: Needs,
    stands_for: str = "",
) -> Defect:
    """A defect of cases with an option, where the change makes other cells."""

    def applies(case: Case) -> bool:
        if case.is_plain or not needs(case):
            return False
        right = dict(cells(case, Dialect()))
        return change(dict(right), case) != right

    return Defect(id=id, what=what, stands_for=stands_for, applies=applies, cells=change)


def ignoring(option: str, what: str, needs: Needs, value: Any, stands_for: str = "") -> Defect:
    """An option of the cell that is taken and has no effect: it is ``value`` whatever was asked for."""
    name = option.replace("_", "-")
    return of_cells(f"{name}-ignored", what, each(lambda cell: replace(cell, **{option: value})), needs, stands_for)
