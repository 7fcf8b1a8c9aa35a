"""Defects that begin at some size change results from that size on, and their gradients match their outputs."""

from typing import Any

import pytest

from conformance.defects.catalogue.thresholds import DEFECTS
from tests.conformance.defects.problems import assert_gradients_match_differences, correct, defective, problem_of

BY_ID = {defect.id: defect for defect in DEFECTS}
BOUNDARIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tail-of-units-lost-from-32": ({"hidden_size": 40}, {"hidden_size": 33}),
    "units-from-128-ignored": ({"hidden_size": 128}, {"hidden_size": 129}),
    "units-from-256-ignored": ({"hidden_size": 256}, {"hidden_size": 257}),
    "features-from-256-ignored": ({"input_size": 256}, {"input_size": 257}),
    "features-from-1024-ignored": ({"input_size": 1024}, {"input_size": 1025}),
    "rows-from-32-repeated": ({"batch": 32}, {"batch": 33}),
    "rows-from-110-repeated": ({"batch": 110}, {"batch": 111}),
    "input-from-step-64-ignored": ({"seq_len": 64}, {"seq_len": 65}),
    "input-from-step-128-ignored": ({"seq_len": 128}, {"seq_len": 129}),
    "input-product-lost-above-1024": ({"seq_len": 32, "batch": 32}, {"seq_len": 25, "batch": 41}),
}
"""For each defect, the sizes of a case that it does not change, and those of a case that it changes."""


def test_each_threshold_is_tested() -> None:
    assert BOUNDARIES.keys() == BY_ID.keys()


@pytest.mark.parametrize("name", BOUNDARIES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_defect_begins_at_its_threshold(name: str, batch_first: bool) -> None:
    defect, (below, above) = BY_ID[name], BOUNDARIES[name]
    before, after = (problem_of(**{"seq_len": 2, "batch_first": batch_first} | sizes) for sizes in (below, above))
    assert not defect.applies_to(before.case)
    assert defect.applies_to(after.case)
    wrong, right = defective(defect, after), correct(after)
    assert any((wrong[result] != right[result]).any() for result in ("output", "h_n", "c_n"))
    assert_gradients_match_differences(defect, after)


def test_rows_below_the_threshold_are_correct() -> None:
    problem = problem_of(seq_len=2, batch=111)
    wrong, right = defective(BY_ID["rows-from-110-repeated"], problem), correct(problem)
    assert (wrong["h_n"][:, :110] == right["h_n"][:, :110]).all()
    assert (wrong["h_n"][:, 110] == right["h_n"][:, 0]).all()
