"""Defects change something in every case that meets their conditions, including edge cases."""

from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import (
    activations,
    adjoint,
    cells,
    cotangents,
    gradients,
    localized,
    precision,
    through_time,
)
from conformance.defects.defect import Defect
from tests.conformance.defects.problems import correct, defective, problem_of

MODULES = (activations, cells, localized, precision, adjoint, through_time, cotangents, gradients)
DEFECTS = [defect for module in MODULES for defect in module.DEFECTS]

EDGES: dict[str, dict[str, Any]] = {
    "one-step": {"seq_len": 1},
    "one-step-without-initial-state": {"seq_len": 1, "initial_state": "omitted"},
    "one-step-from-zeros": {"seq_len": 1, "initial_state": "zero"},
    "one-step-from-h_0": {"seq_len": 1, "initial_state": "h_0-only"},
    "one-step-from-c_0": {"seq_len": 1, "initial_state": "c_0-only"},
    "empty-rows-without-initial-state": {"seq_len": 4, "lengths": (0, 0, 0), "initial_state": "omitted"},
    "empty-rows": {"seq_len": 4, "lengths": (0, 0, 0)},
    "one-valid-step-of-four": {"seq_len": 4, "lengths": (1, 1, 1)},
    "short-rows": {"seq_len": 5, "lengths": (3, 2, 3)},
    "short-rows-in-reverse": {"seq_len": 5, "lengths": (3, 2, 3), "direction": "reverse"},
    "empty-first-row": {"seq_len": 4, "lengths": (0, 2, 4)},
    "empty-last-row": {"seq_len": 4, "lengths": (4, 2, 0)},
    "one-row": {"seq_len": 4, "batch": 1},
    "unbatched": {"seq_len": 4, "batch": "unbatched"},
    "batch-first": {"seq_len": 4, "batch_first": True},
    "one-unit": {"seq_len": 4, "hidden_size": 1},
    "without-bias": {"seq_len": 4, "bias": False},
    "projection": {"seq_len": 4, "proj_size": 2},
    "several-hidden-sizes": {"seq_len": 4, "hidden_size": (4, 5), "direction": "bidirectional"},
    "without-gradients": {"seq_len": 4, "check": ("output", "h_n", "c_n")},
    "nan-in-padding": {"seq_len": 4, "lengths": "ragged", "padding": "nan", "num_layers": 2},
}
# Whether these change something depends on the values.
DEPEND_ON_VALUES = ("clamped", "clipped")


@pytest.mark.parametrize("edge", EDGES)
def test_defects_change_something_where_they_apply(edge: str) -> None:
    problem = problem_of(**EDGES[edge])
    expected = correct(problem)

    def deviation(defect: Defect) -> float:
        actual = defective(defect, problem)
        assert list(actual) == list(expected)
        return max(float(np.abs(actual[name] - array).max()) for name, array in expected.items())

    applying = [defect for defect in DEFECTS if defect.requires(problem.case)]
    ineffective = [
        defect.id
        for defect in applying
        if not deviation(defect) > 1e-9 and not any(word in defect.id for word in DEPEND_ON_VALUES)
    ]
    assert ineffective == []
