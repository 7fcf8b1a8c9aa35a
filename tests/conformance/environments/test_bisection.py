"""Bisection over releases: where a deviation begins and ends, with releases that cannot be tested."""

import pytest

from conformance.environments.bisection import Boundaries, search

RESULTS = {"x": True, ".": False, "?": None}
"""A deviation, a conforming release, and one that cannot be tested."""


def bisect(releases: str, suspect: int | None = None) -> tuple[Boundaries | None, list[int]]:
    tested: list[int] = []

    def deviates(index: int) -> bool | None:
        tested.append(index)
        return RESULTS[releases[index]]

    return search(len(releases), deviates, suspect), tested


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        ("....xxxx", Boundaries(0, 7, 4, 7)),
        ("xxxxx...", Boundaries(0, 7, 0, 4)),
        ("xxxxxxxx", Boundaries(0, 7, 0, 7)),
        ("........", Boundaries(0, 7)),
        ("???..xxx", Boundaries(3, 7, 5, 7)),
        ("???xxxx?", Boundaries(3, 6, 3, 6)),
        ("..?xx?xx", Boundaries(0, 7, 3, 7)),
        (".??x", Boundaries(0, 3, 3, 3)),
        (".x??x", Boundaries(0, 4, 1, 4)),
        ("x??x.", Boundaries(0, 4, 0, 3)),
        ("x", Boundaries(0, 0, 0, 0)),
        ("????", None),
        ("", None),
    ],
)
def test_finds_where_a_deviation_begins_and_ends(releases: str, expected: Boundaries | None) -> None:
    assert bisect(releases)[0] == expected


def test_a_suspect_is_needed_for_a_deviation_that_began_and_ended() -> None:
    assert bisect("...xxx...")[0] == Boundaries(0, 8)
    assert bisect("...xxx...", suspect=4)[0] == Boundaries(0, 8, 3, 5)


def test_tests_each_release_once_and_few_of_them() -> None:
    boundaries, tested = bisect("." * 700 + "x" * 300)
    assert boundaries == Boundaries(0, 999, 700, 999)
    assert len(tested) == len(set(tested)) <= 12
