"""Sets of cases to export."""

from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.commands import usage
from conformance.errors import UserError
from conformance.vectors import sets
from conformance.vectors.sets import VectorSet

PLAIN: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3}


def case(**options: Any) -> Case:
    return Case.model_validate(PLAIN | options)


def test_a_case_with_another_feature_is_left_out() -> None:
    plain, ragged, both = case(), case(lengths=(5, 3, 1)), case(lengths=(5, 3, 1), direction="bidirectional")
    assert VectorSet(frozenset({"lengths", "gradients"})).select([plain, ragged, both]) == [plain, ragged]
    assert VectorSet(None).select([plain, ragged, both]) == [plain, ragged, both]


def test_without_the_feature_gradients_cases_have_none() -> None:
    (found,) = VectorSet(frozenset()).select([case(), case(check=("output", "h_n", "c_n"))])
    assert found.check == ("output", "h_n", "c_n")


def test_cases_with_uses_are_left_out() -> None:
    assert VectorSet(None).select([case(chunks=(2, 3)), case(saved=True), case()]) == [case()]


def test_only_the_given_dtypes_are_kept() -> None:
    wide = case(dtype="float64")
    assert VectorSet(None, ("float64",)).select([case(), wide]) == [wide]
    assert VectorSet(None, ()).select([case(), wide]) == [case(), wide]


def test_large_vectors_are_left_out() -> None:
    large = case(hidden_size=40)
    assert VectorSet(None).select([case(), large]) == [case()]
    assert VectorSet(None, max_numbers=None).select([case(), large]) == [case(), large]


def test_names_of_features_may_contain_hyphens_or_spaces() -> None:
    assert sets.parse_features(["plain", "no-bias", " batch first"]) == {"no bias", "batch first"}


def test_an_unknown_feature_is_reported_with_all_names() -> None:
    with pytest.raises(UserError, match=r"unknown feature 'bais'\. The features are: layers, .*no-bias.*plain"):
        sets.parse_features(["bais"])


def test_the_smallest_set_prefers_small_cases() -> None:
    small, large = case(), case(seq_len=9)
    assert sets.smallest([large, small], [0b1, 0b1]) == [small]


def test_every_named_set_is_described() -> None:
    assert list(usage.VECTOR_SETS) == list(sets.SETS)
