"""The exact set cover is a cover with the fewest sets."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from conformance.vectors.cover import minimum_cover


def union(masks: list[int], chosen: list[int]) -> int:
    found = 0
    for i in chosen:
        found |= masks[i]
    return found


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 9)), min_size=1, max_size=9))
def test_no_cover_is_cheaper(sets: list[tuple[int, int]]) -> None:
    masks, sizes = [mask for mask, _ in sets], [size for _, size in sets]
    everything = union(masks, list(range(len(masks))))
    covers = [
        list(chosen)
        for count in range(len(masks) + 1)
        for chosen in combinations(range(len(masks)), count)
        if union(masks, list(chosen)) == everything
    ]
    cost = min((len(cover), sum(sizes[i] for i in cover)) for cover in covers)
    found = minimum_cover(masks, sizes)
    assert found in covers
    assert (len(found), sum(sizes[i] for i in found)) == cost


def test_two_sets_suffice_where_a_greedy_choice_takes_three() -> None:
    assert minimum_cover([0b011110, 0b000111, 0b111000], [1, 1, 1]) == [1, 2]


def test_among_equally_many_sets_the_smallest_are_chosen() -> None:
    assert minimum_cover([0b11, 0b11, 0b01], [5, 4, 1]) == [1]
