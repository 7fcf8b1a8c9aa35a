"""Building blocks of defects in the options of a cell, such as peepholes or clips."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.cases.case import Case
from conformance.defects.catalogue.conditions import Condition
from conformance.defects.defect import Defect
from conformance.verdict.problem import cells
from reference import Dialect
from reference.onnx_cell import OnnxCell

Cells = dict[str, Any]
"""Cells by the suffix of their direction."""


def option_defect(
    id: str,  # noqa: A002
    what: str,
    change: Callable[[Cells, Case], Cells],
    requires: Condition,
    represents: str = "",
) -> Defect:
    """Returns a defect that changes the cells. It applies to cases with cell options that the change affects."""

    def applies(case: Case) -> bool:
        if case.is_plain or not requires(case):
            return False
        correct = dict(cells(case, Dialect()))
        return change(dict(correct), case) != correct

    return Defect(id=id, what=what, represents=represents, requires=applies, cells=change)


def ignored_option(option: str, what: str, requires: Condition, value: Any, represents: str = "") -> Defect:
    """Returns the defect of a cell option that always has this value."""
    change = change_each(lambda cell: replace(cell, **{option: value}))
    return option_defect(f"{option.replace('_', '-')}-ignored", what, change, requires, represents)


def change_each(change: Callable[[Any], Any]) -> Callable[[Cells, Case], Cells]:
    """Applies a change to the cell of each direction."""
    return lambda correct, _: {suffix: change(cell) for suffix, cell in correct.items()}


def with_class(kind: type[OnnxCell]) -> Callable[[Any], Any]:
    """Returns a function that converts a cell to another class, with the same options."""
    return lambda cell: kind(**{name: getattr(cell, name) for name in OnnxCell.__dataclass_fields__})
