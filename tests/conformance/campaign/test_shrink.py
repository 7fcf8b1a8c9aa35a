"""Shrinking of deviating cases: fewest options, smallest sizes, simplest values, with the same seed."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.campaign.shrink import fewest, shrink
from conformance.cases.case import Case

LARGE = Case(
    name="large",
    input_size=7,
    hidden_size=(9, 300, 8),
    num_layers=3,
    direction="bidirectional",
    batch_first=True,
    seq_len=20,
    batch=4,
    lengths=(3, 20, 0, 7),
    padding="nan",
    dtype="float16",
    values="scale-2",
    seed=5,
)


@pytest.mark.parametrize(
    ("deviates", "options"),
    [
        (lambda _: True, {"seq_len": 1, "batch": 1, "hidden_size": 1, "input_size": 1}),
        (lambda case: case.seed == 5, {"seq_len": 1, "batch": 1, "hidden_size": 1, "input_size": 1, "seed": 5}),
        (
            lambda case: case.direction == "bidirectional" and case.dtype == "float16",
            {
                "seq_len": 1,
                "batch": 1,
                "hidden_size": 1,
                "input_size": 1,
                "direction": "bidirectional",
                "dtype": "float16",
            },
        ),
        (
            lambda case: case.lengths is not None and case.seq_len > 12 and case.bias,
            {"seq_len": 13, "batch": 1, "hidden_size": 1, "input_size": 1, "lengths": (13,), "bias": True},
        ),
        (
            lambda case: case.initial_state == "random" and max(case.hidden_sizes) >= 256,
            {
                "seq_len": 1,
                "batch": 1,
                "hidden_size": 256,
                "input_size": 1,
                "initial_state": "random",
            },
        ),
    ],
)
def test_a_case_shrinks_to_what_the_deviation_needs(
    deviates: Callable[[Case], bool], options: dict[str, object]
) -> None:
    simplest = {"initial_state": "zero", "bias": False}
    expected = Case.model_validate({**simplest, **options})
    assert shrink(LARGE, deviates).canonical == expected.canonical


def test_a_size_per_direction_stays_only_if_it_is_needed() -> None:
    case = LARGE.model_copy(update={"hidden_size": 6, "reverse_hidden_size": 7, "num_layers": 1})
    assert shrink(case, lambda case: case.bias).reverse_hidden_size is None
    shrunk = shrink(case, lambda case: case.reverse_hidden_size is not None)
    assert (shrunk.hidden_sizes, shrunk.reverse_hidden_size, shrunk.direction) == ((1,), 2, "bidirectional")


def test_lists_have_only_the_items_that_are_needed() -> None:
    case = LARGE.model_copy(
        update={"lengths": None, "earlier_calls": ("same", "longer"), "frozen": ("input", "h_0_l0")}
    )
    shrunk = shrink(case, lambda case: "longer" in case.earlier_calls and "input" in case.frozen)
    assert (shrunk.earlier_calls, shrunk.frozen) == (("longer",), ("input",))


def test_every_tried_case_has_the_seed_until_the_last_one() -> None:
    tried: list[Case] = []

    def deviates(case: Case) -> bool:
        tried.append(case)
        return case.lengths is not None

    shrink(LARGE, deviates)
    assert {case.seed for case in tried[:-1]} == {5}
    assert tried[-1].seed is None
    assert len(tried) <= 30


def test_a_case_that_cannot_shrink_is_returned() -> None:
    assert shrink(LARGE, lambda case: case.key == LARGE.key).key == LARGE.key


@given(st.lists(st.integers(0, 20), unique=True, max_size=12), st.sets(st.integers(0, 20), max_size=3))
def test_the_fewest_items_are_those_that_are_needed(items: list[int], needed: set[int]) -> None:
    def suffice(some: Sequence[int]) -> bool:
        return needed & set(items) <= set(some)

    assert fewest(items, suffice) == [item for item in items if item in needed]
