"""The forward pass is right, the way back is not."""

from typing import Any

import numpy as np

from conformance.case import Case
from conformance.defects.defect import Arrays, Defect
from reference.cell import Cell, Sensitivity


class _WithoutForgetPath(Cell):
    def step_back(self, by: Sensitivity, d_m: Any, d_c: Any) -> tuple[Any, Any]:
        d_z, d_c_previous = super().step_back(by, d_m, d_c)
        return d_z, np.zeros_like(d_c_previous)


def _gradients(case: Case) -> bool:
    return "gradients" in case.check


def _ignore_h_n(cotangents: Arrays, case: Case) -> Arrays:
    del case
    return {name: np.zeros_like(array) if name.startswith("h_n") else array for name, array in cotangents.items()}


DEFECTS = [
    Defect(
        id="grad-c-stops-at-each-step",
        what="whose gradient does not flow through the cell state to the step before",
        stands_for="",
        applies=lambda case: _gradients(case) and case.seq_len > 1,
        cell=lambda _: _WithoutForgetPath(),
    ),
    Defect(
        id="grad-ignores-h_n",
        what="whose gradient ignores the cotangent of h_n",
        stands_for="deeplearning4j#8838",
        applies=_gradients,
        cotangents=_ignore_h_n,
    ),
]
