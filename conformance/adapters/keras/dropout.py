"""The dropout masks that Keras' cells draw."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.layer import restart_dropout
from conformance.adapters.keras.network import NetworkBuilder
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array


def draw_masks(builder: NetworkBuilder, problem: Problem) -> dict[str, Array]:
    """Returns the masks that the cells of a stack of layers draw first, by their canonical names."""
    case = problem.case
    masks: dict[str, Array] = {}
    for group in builder.layer_groups(case):
        cells = builder.cells(builder.layer_config(case, group), group[0])
        for (layer, suffix), cell in zip(product(group, case.model.suffixes), cells, strict=True):
            ones = np.ones((case.num_rows, case.model.layer_input_size(layer)))
            dropped = _dropped_elements(builder.backend, cell, builder.backend.to_tensor(ones, case.dtype))
            masks[f"input_l{layer}{suffix}"] = np.where(dropped, 0.0, 1.0 / (1.0 - case.input_dropout))
    return masks


def _dropped_elements(backend: Backend, cell: Any, ones: Any) -> NDArray[np.bool_]:
    """Returns which elements of its input (B, ·) a cell drops first after its seed generator was reset."""
    restart_dropout([cell])
    mask = backend.to_array(cell.get_dropout_mask(ones))
    restart_dropout([cell])
    return np.equal(mask, 0.0)
