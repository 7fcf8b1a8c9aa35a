"""Defects of uses compute what they describe, and apply only to cases with that use."""

from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.features import used
from conformance.defects.catalogue import uses
from conformance.defects.defect import Defect
from tests.conformance.defects.problems import (
    assert_close,
    assert_gradients_match_differences,
    correct,
    defective,
    problem_of,
)

BY_ID = {defect.id: defect for defect in uses.DEFECTS}
TWO_LAYERS: dict[str, Any] = {"num_layers": 2, "seq_len": 4}
USES: dict[str, dict[str, Any]] = {
    "built-length-baked-in": {"built_seq_len": 2},
    "built-batch-baked-in": {"built_batch": 2, "batch_first": True},
    "chunks-drop-c": {"chunks": (1, 2, 1)},
    "cache-keyed-without-length": {"earlier_calls": ("shorter",)},
    "cache-keyed-without-batch": {"earlier_calls": ("fewer-rows",)},
    "saved-layers-in-reverse": {"saved": True, "input_size": 4},
    "saved-without-biases": {"saved": True},
    "strides-ignored": {"memory": "strided"},
    "broadcast-state-read-as-contiguous": {"memory": "expanded"},
    "aliased-states-overwritten": {"memory": "aliased"},
    "states-of-rows-in-first-order": {"batching": "permuted"},
    "second-call-rereads-first-rows": {"graph": "twice", "batch_first": True},
    "second-call-starts-from-zero": {"graph": "twice"},
    "decoder-without-c": {"graph": "encoder-decoder"},
    "constants-of-first-lstm": {"graph": "parallel", "direction": "bidirectional", "num_layers": 1},
}
"""Defects whose gradients follow their wrong forward pass, with a use to which they apply."""
GRADIENTS: dict[str, dict[str, Any]] = {
    "unread-results-have-cotangents": {"cotangents": ("h_n",)},
    "gradient-stops-at-frozen-layer": {"frozen": ("weight_hh_l1",)},
    "grad-stops-between-chunks": {"chunks": (1, 3)},
    "grad-stops-at-decoder": {"graph": "encoder-decoder"},
    "no-gradients-after-no-grad": {"earlier_calls": ("no-grad",)},
}
"""Defects that change only gradients, with a use to which they apply."""


@pytest.mark.parametrize("defect", uses.DEFECTS, ids=lambda defect: defect.id)
def test_a_defect_applies_only_to_cases_with_a_use(defect: Defect) -> None:
    cases = load_all([shipped_cases()])
    assert all(used(case) for case in cases if defect.applies_to(case))
    assert any(defect.applies_to(case) for case in cases)


@pytest.mark.parametrize(("name", "use"), USES.items(), ids=USES)
def test_gradients_match_finite_differences(name: str, use: dict[str, Any]) -> None:
    problem = problem_of(**TWO_LAYERS | use)
    assert BY_ID[name].applies_to(problem.case)
    assert_gradients_match_differences(BY_ID[name], problem)


@pytest.mark.parametrize(("name", "use"), GRADIENTS.items(), ids=GRADIENTS)
def test_gradient_defects_leave_outputs_unchanged(name: str, use: dict[str, Any]) -> None:
    problem = problem_of(**TWO_LAYERS | use)
    wrong, right = defective(BY_ID[name], problem), correct(problem)
    assert_close(wrong, {each: right[each] for each in ("output", "h_n", "c_n")})
    assert any(not np.allclose(wrong[each], right[each]) for each in right if each.startswith("grad."))


def test_chunks_drop_c_equals_a_run_in_pieces_that_loses_c() -> None:
    problem = problem_of(num_layers=2, seq_len=4, chunks=(1, 3))
    assert problem.initial_state is not None
    first = reference.forward(problem.case.model, problem.parameters, problem.input[:1], problem.initial_state).outputs
    lost = {"h_0": first["h_n"], "c_0": np.zeros_like(first["c_n"])}
    second = reference.forward(problem.case.model, problem.parameters, problem.input[1:], lost).outputs
    expected = {**second, "output": np.concatenate([first["output"], second["output"]])}
    assert_close(defective(BY_ID["chunks-drop-c"], problem), expected)


def test_the_gradient_stops_between_chunks_as_if_the_states_were_detached() -> None:
    problem = problem_of(num_layers=2, seq_len=4, chunks=(1, 3))
    model, parameters, given = problem.case.model, problem.parameters, problem.cotangents
    first = reference.forward(model, parameters, problem.input[:1], problem.initial_state)
    states = {"h_0": first.outputs["h_n"], "c_0": first.outputs["c_n"]}
    second = reference.forward(model, parameters, problem.input[1:], states)
    nothing = np.zeros_like(given["h_n"])
    one = reference.backward(first, {"output": given["output"][:1], "h_n": nothing, "c_n": nothing})
    two = reference.backward(second, {**given, "output": given["output"][1:]})
    wrong = defective(BY_ID["grad-stops-between-chunks"], problem)
    assert_close(wrong, {name: one[name] + two[name] for name in one if "_l" in name})
    assert_close(wrong, {"grad.h_0": one["grad.h_0"], "grad.c_0": one["grad.c_0"]})
