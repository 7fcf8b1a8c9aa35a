"""NaN that does not show."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.defect import Defect
from reference.activations import Activation, sigmoid, tanh
from reference.cell import Cell


def _hiding(activation: Activation, shown: float) -> Activation:
    """An activation that takes NaN for some number, as one that clamps by comparisons does."""
    return replace(activation, value=lambda z: activation.value(np.nan_to_num(z, nan=shown)))


def _cell(shown: float) -> Cell:
    gate, squash = _hiding(sigmoid, shown), _hiding(tanh, shown)
    return Cell(gate, gate, squash, gate, squash)


def _has_nan(case: Case) -> bool:
    return case.input_nan


def _zeroed(read: dict[str, Any], case: Case) -> dict[str, Any]:
    del case
    return read | {"input": np.nan_to_num(read["input"])}


DEFECTS = [
    Defect(
        id="nan-hidden-by-activations",
        what="whose activations saturate where they read NaN",
        stands_for="onnxruntime's LSTM with biases",
        applies=_has_nan,
        cell=lambda _: _cell(100.0),
    ),
    Defect(id="nan-read-as-zero", what="that reads NaN in its input as 0", applies=_has_nan, shifts=_zeroed),
]
