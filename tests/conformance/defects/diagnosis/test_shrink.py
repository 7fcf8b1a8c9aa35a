"""A failing case is reduced to the smallest sizes at which it still fails, with the same options and relations."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.cases.size import operations
from conformance.defects.diagnosis import shrink as module
from conformance.defects.diagnosis.shrink import MAX_TRIES, describe_sizes, is_large, resized, shrink

SMALL = {"batch": 4, "seq_len": 12, "input": 16, "hidden": 16, "proj": 16}


def make_case(**options: Any) -> Case:
    values = {"input_size": 512, "hidden_size": 512, "seq_len": 200, "batch": 16, "name": "big"}
    return Case.model_validate(values | options)


def always(case: Case) -> bool:
    del case
    return True


def never(case: Case) -> bool:
    del case
    return False


class Counting:
    """A predicate that records the cases it is called with."""

    def __init__(self, fails: Callable[[Case], bool]) -> None:
        self._fails = fails
        self.tried: list[Case] = []

    def __call__(self, case: Case) -> bool:
        self.tried.append(case)
        return self._fails(case)


@pytest.mark.parametrize(
    ("options", "fails", "expected"),
    [
        ({}, always, "also fails at I = H = 16, T = 12, B = 4"),
        (
            {},
            lambda case: case.hidden_sizes[0] > 256,
            "fails from H = 257 (at I = 16, H = 257, T = 12, B = 4)",
        ),
        ({}, lambda case: case.input_size > 256, "fails from I = 257 (at I = 257, H = 16, T = 12, B = 4)"),
        (
            {},
            lambda case: case.input_size == case.hidden_sizes[0] > 256,
            "fails from I = H = 257 (at I = H = 257, T = 12, B = 4)",
        ),
        ({}, lambda case: case.seq_len > 64, "fails from T = 65 (at I = H = 16, T = 65, B = 4)"),
        ({}, lambda case: (case.rows or 1) > 7, "fails from B = 8 (at I = H = 16, T = 12, B = 8)"),
        (
            {},
            lambda case: case.seq_len > 64 and case.hidden_sizes[0] >= 300,
            "fails from T = 65 and from H = 300 (at I = 16, H = 300, T = 65, B = 4)",
        ),
        (
            {"input_size": 300},
            lambda case: case.hidden_sizes[0] > 256,
            "fails from H = 257 (at I = 15, H = 257, T = 12, B = 4)",
        ),
        (
            {"proj_size": 256},
            lambda case: case.proj_size >= 100,
            "fails from H = 101, P = 100 (at I = 16, H = 101, P = 100, T = 12, B = 4)",
        ),
        (
            {"proj_size": 256},
            lambda case: case.hidden_sizes[0] >= 100,
            "fails from H = 100 (at I = 16, H = 100, P = 15, T = 12, B = 4)",
        ),
        (
            {"hidden_size": [512, 300]},
            lambda case: case.hidden_sizes[1] >= 100,
            "fails from H = 101, 100 (at I = 16, H = 101, 100, T = 12, B = 4)",
        ),
        (
            {"reverse_hidden_size": 300, "direction": "bidirectional"},
            lambda case: (case.reverse_hidden_size or 0) >= 100,
            "fails from H = 101 forward, 100 reverse (at I = 16, H = 101 forward, 100 reverse, T = 12, B = 4)",
        ),
    ],
)
def test_the_sizes_on_which_a_failure_depends_are_found(
    options: dict[str, Any], fails: Callable[[Case], bool], expected: str
) -> None:
    case = make_case(**options)
    predicate = Counting(fails)
    found = shrink(case, predicate)
    assert str(found) == expected
    assert found is not None
    assert fails(found.case)
    assert len(predicate.tried) <= MAX_TRIES
    assert max(map(operations, predicate.tried)) <= module.MAX_OPERATIONS
    assert case not in predicate.tried


def test_a_failure_that_depends_on_a_product_is_reduced() -> None:
    def fails(case: Case) -> bool:
        return case.seq_len * case.hidden_sizes[0] >= 30_000

    found = shrink(make_case(), fails)
    assert found is not None
    assert fails(found.case)
    assert (found.case.input_size, found.case.rows) == (16, 4)
    assert found.case.seq_len * found.case.hidden_sizes[0] < 31_000, str(found)


def test_no_smaller_variant_fails() -> None:
    case = make_case()
    assert shrink(case, never) is None
    assert shrink(make_case(input_size=16, hidden_size=16, seq_len=12, batch=4), always) is None


def test_the_search_stops_after_a_number_of_tries_and_when_time_is_up() -> None:
    predicate = Counting(lambda case: case.hidden_sizes[0] > 256)
    found = shrink(make_case(), predicate, max_tries=8)
    assert len(predicate.tried) == 8
    assert str(found) == "fails at H = 264, but not at H = 140 (at I = 16, H = 264, T = 12, B = 4)"
    assert shrink(make_case(), always, is_late=lambda: True) is None


def test_a_case_that_is_too_large_to_try_is_reduced_in_parts() -> None:
    def fails(case: Case) -> bool:
        return case.seq_len > 64 and case.hidden_sizes[0] > 256

    predicate = Counting(fails)
    found = shrink(make_case(input_size=1024, hidden_size=1024, seq_len=150, batch=32), predicate)
    assert str(found) == "fails from T = 65 and from H = 257 (at I = 16, H = 257, T = 65, B = 4)"
    assert max(map(operations, predicate.tried)) <= module.MAX_OPERATIONS


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "I = H = 16, T = 12, B = 4"),
        ({"input_size": 256}, "I = 15, H = 16, T = 12, B = 4"),
        ({"hidden_size": 300}, "I = 16, H = 15, T = 12, B = 4"),
        ({"input_size": 3}, "I = 3, H = 16, T = 12, B = 4"),
        ({"proj_size": 511}, "I = H = 16, P = 15, T = 12, B = 4"),
        ({"input_size": 64, "proj_size": 64}, "I = P = 15, H = 16, T = 12, B = 4"),
        ({"hidden_size": [512, 300, 512]}, "I = 16, H = 16, 15, 16, T = 12, B = 4"),
        ({"seq_len": 1}, "I = H = 16, T = 1, B = 4"),
        ({"seq_len": 2, "batch": 1}, "I = H = 16, T = 2, B = 1"),
        ({"batch": "unbatched"}, "I = H = 16, T = 12"),
    ],
)
def test_small_sizes_keep_their_relations(options: dict[str, Any], expected: str) -> None:
    smaller = resized(make_case(**options), SMALL)
    assert describe_sizes(smaller) == expected
    assert Case.model_validate(smaller.model_dump()) == smaller


@pytest.mark.parametrize(
    "options",
    [
        {"lengths": "ragged", "padding": "nan"},
        {"bidirectional": True, "num_layers": 2, "seq_len": 50, "dropout": 0.5, "mode": "train"},
        {"check": ("output",), "input_nan": True},
        {"peepholes": True, "clip": 3.0, "dtype": "float16", "batch_first": True},
    ],
)
def test_other_options_do_not_change(options: dict[str, Any]) -> None:
    case = make_case(**options)
    sizes = {"input_size", "hidden_size", "seq_len", "batch"}
    assert resized(case, SMALL).model_dump(exclude=sizes) == case.model_dump(exclude=sizes)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((200, 1, 0, 199, 50, 200), (12, 1, 0, 11)),
        ((7, 7, 7, 7, 7), (1, 1, 1, 1)),
        ((30, 40, 50, 60, 0, 200), (2, 3, 0, 12)),
    ],
)
def test_listed_lengths_keep_full_and_empty_rows(lengths: tuple[int, ...], expected: tuple[int, ...]) -> None:
    smaller = resized(make_case(batch=len(lengths), lengths=lengths), SMALL)
    assert smaller.lengths == expected
    assert Case.model_validate(smaller.model_dump()) == smaller


def test_more_distinct_widths_than_small_sizes_stay_different() -> None:
    sizes = tuple(range(100, 130))
    found = shrink(make_case(hidden_size=sizes, seq_len=50), always)
    assert found is not None
    assert len(set(found.case.hidden_sizes)) == len(sizes)
    assert min(found.case.hidden_sizes) >= 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"input_size": 64, "hidden_size": 64, "seq_len": 50, "batch": 8}, True),
        ({"input_size": 2, "hidden_size": 2, "seq_len": 1000, "batch": 1}, True),
        ({"input_size": 16, "hidden_size": 16, "seq_len": 20, "batch": 8}, False),
    ],
)
def test_cases_with_many_operations_are_large(options: dict[str, Any], expected: bool) -> None:
    assert is_large(make_case(**options)) is expected
