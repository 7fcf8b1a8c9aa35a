"""Where a numeric defect applies, it changes something, edge cases included."""

from typing import Any

import numpy as np
import pytest

from conformance.defects.catalogue import (
    activations,
    adjoint,
    cells,
    cotangents,
    gradients,
    moments,
    precision,
    through_time,
)
from conformance.defects.defect import Defect
from tests.conformance.defects.problems import problem_of, right, wrong

KINDS = (activations, cells, moments, precision, adjoint, through_time, cotangents, gradients)
DEFECTS = [defect for kind in KINDS for defect in kind.DEFECTS]

EDGES: dict[str, dict[str, Any]] = {
    "one-step": {"seq_len": 1},
    "one-step-from-nothing": {"seq_len": 1, "initial_state": "omitted"},
    "one-step-from-zeros": {"seq_len": 1, "initial_state": "zero"},
    "one-step-from-h_0": {"seq_len": 1, "initial_state": "h_0-only"},
    "one-step-from-c_0": {"seq_len": 1, "initial_state": "c_0-only"},
    "nothing-from-nothing": {"seq_len": 4, "lengths": (0, 0, 0), "initial_state": "omitted"},
    "nothing-to-do": {"seq_len": 4, "lengths": (0, 0, 0)},
    "one-step-of-many": {"seq_len": 4, "lengths": (1, 1, 1)},
    "short-rows": {"seq_len": 5, "lengths": (3, 2, 3)},
    "short-rows-in-reverse": {"seq_len": 5, "lengths": (3, 2, 3), "direction": "reverse"},
    "no-first-row": {"seq_len": 4, "lengths": (0, 2, 4)},
    "no-last-row": {"seq_len": 4, "lengths": (4, 2, 0)},
    "one-row": {"seq_len": 4, "batch": 1},
    "unbatched": {"seq_len": 4, "batch": "unbatched"},
    "batch-first": {"seq_len": 4, "batch_first": True},
    "one-unit": {"seq_len": 4, "hidden_size": 1},
    "without-bias": {"seq_len": 4, "bias": False},
    "projected": {"seq_len": 4, "proj_size": 2},
    "of-several-sizes": {"seq_len": 4, "hidden_size": (4, 5), "direction": "bidirectional"},
    "results-alone": {"seq_len": 4, "check": ("output", "h_n", "c_n")},
    "nan-in-padding": {"seq_len": 4, "lengths": "ragged", "padding": "nan", "num_layers": 2},
}
# Whether these take effect is for the values to say.
DEPENDS = ("clamped", "clipped")


@pytest.mark.parametrize("edge", EDGES)
def test_defects_apply_where_they_change_something(edge: str) -> None:
    problem = problem_of(**EDGES[edge])
    expected = right(problem)

    def off(defect: Defect) -> float:
        found = wrong(defect, problem)
        assert list(found) == list(expected)
        return max(float(np.abs(found[name] - array).max()) for name, array in expected.items())

    applying = [defect for defect in DEFECTS if defect.applies(problem.case)]
    idle = [
        defect.id for defect in applying if not off(defect) > 1e-9 and not any(word in defect.id for word in DEPENDS)
    ]
    assert idle == []
