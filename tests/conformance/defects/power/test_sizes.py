"""A reduced case has the same options and the same relations between sizes.

The same defects apply to it, except those that begin at some size.
"""

from itertools import combinations
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import operations
from conformance.defects.catalogue import thresholds
from conformance.defects.power.kill_matrix import REQUIRED
from conformance.defects.power.sizes import MAX_OPERATIONS, changed_sizes, reduce

LARGE: dict[str, Any] = {"input_size": 256, "hidden_size": 256, "seq_len": 100, "batch": 16}
EXPENSIVE = [case for case in load_all([shipped_cases()]) if operations(case) > MAX_OPERATIONS]


def sizes_of(case: Case) -> list[int]:
    sizes = [*case.hidden_sizes, case.reverse_hidden_size or 0, case.proj_size]
    return [case.input_size, *sizes, case.seq_len, case.rows or 0]


def applicable(case: Case) -> set[str]:
    """Returns the defects that apply to a case, without those that begin at some size."""
    return {defect.id for defect in REQUIRED if defect.applies_to(case) and defect not in thresholds.DEFECTS}


def test_a_cheap_case_keeps_its_sizes() -> None:
    case = Case(input_size=3, hidden_size=4, seq_len=5, batch=3)
    assert reduce(case) is case
    assert changed_sizes(case, reduce(case)) == {}


def test_a_large_case_is_measured_at_small_sizes() -> None:
    case = Case.model_validate(LARGE)
    assert changed_sizes(case, reduce(case)) == {"input_size": 16, "hidden_size": 16, "seq_len": 12, "batch": 4}
    assert operations(reduce(case)) <= MAX_OPERATIONS < operations(case)


@pytest.mark.parametrize(
    "options",
    [
        {"input_size": 300},
        {"input_size": 1},
        {"seq_len": 1, "hidden_size": 2048},
        {"seq_len": 16},
        {"seq_len": 128, "batch": 128},
        {"batch": 1},
        {"batch": 2},
        {"batch": "unbatched"},
        {"proj_size": 255},
        {"proj_size": 100, "input_size": 100},
        {"hidden_size": (200, 100, 200)},
        {"hidden_size": (200, 100, 300, 100), "input_size": 300, "direction": "bidirectional"},
        {"hidden_size": 300, "reverse_hidden_size": 200, "direction": "bidirectional"},
        {"input_size": 7, "hidden_size": 2, "seq_len": 5000, "batch": 1},
    ],
)
def test_sizes_that_are_equal_stay_equal_and_others_stay_different(options: dict[str, Any]) -> None:
    case = Case.model_validate(LARGE | options)
    smaller = reduce(case)
    assert Case.model_validate(smaller.model_dump()) == smaller
    before, after = sizes_of(case), sizes_of(smaller)
    assert operations(smaller) < operations(case)
    for first, second in combinations(range(len(before)), 2):
        assert (before[first] == before[second]) == (after[first] == after[second])
    features = range(3 + len(case.hidden_sizes))
    for first, second in combinations(features, 2):
        assert (before[first] < before[second]) == (after[first] < after[second])
    for old, new in zip(before, after, strict=True):
        assert new == old or 2 <= new < old
    assert min(case.rows or 3, 3) == min(smaller.rows or 3, 3)


def test_full_short_and_empty_rows_stay() -> None:
    lengths = (40, 90, *[100] * 10, 0, 7, 1, 99)
    smaller = reduce(Case.model_validate(LARGE | {"lengths": lengths}))
    assert smaller.lengths == (4, 10, 12, 0)
    assert reduce(Case.model_validate(LARGE | {"lengths": "ragged"})).lengths == "ragged"


@pytest.mark.parametrize("case", EXPENSIVE, ids=lambda case: case.id)
def test_the_same_defects_apply_to_the_reduced_case(case: Case) -> None:
    assert applicable(reduce(case)) == applicable(case)
