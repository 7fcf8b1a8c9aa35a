"""NaN in the input that does not propagate to the output."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.catalogue.changed_cells import cell_defect
from conformance.defects.catalogue.tensors import change_tensors
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell


def _read_nan_as(number: float, activation: Activation) -> Activation:
    """Returns an activation that reads NaN as this number, like one that clamps its argument with comparisons."""
    return replace(activation, value=lambda z: activation.value(np.nan_to_num(z, nan=number)))


def _saturating_cell() -> Cell:
    gate, squash = _read_nan_as(100.0, sigmoid), _read_nan_as(100.0, tanh)
    return Cell(gate, gate, squash, gate, squash)


def _has_nan(case: Case) -> bool:
    return case.input_nan


def _nan_to_zero(array: Any, case: Case) -> Any:
    del case
    return np.nan_to_num(array)


DEFECTS = [
    cell_defect(
        "nan-hidden-by-activations",
        "whose activations saturate when they read NaN",
        _saturating_cell(),
        _has_nan,
        "onnxruntime's LSTM with biases",
    ),
    Defect(
        id="nan-read-as-zero",
        what="that reads NaN in its input as 0",
        requires=_has_nan,
        shifts=change_tensors("input", _nan_to_zero),
    ),
]
