"""Declared shapes are compared with those of the results."""

import pytest

from conformance.verdict.declared import DeclaredShape, record_shape, recording, verdicts


@pytest.mark.parametrize(
    ("declared", "returned", "conforms"),
    [
        ((3, 4), (3, 4), True),
        ((None, 4), (7, 4), True),
        ((), (), True),
        ((3, 4), (4, 3), False),
        ((None, 4), (7, 5), False),
        ((3, 4), (3, 4, 1), False),
        ((3, 4, 1), (3, 4), False),
    ],
)
def test_an_axis_of_any_size_matches_each_size(
    declared: tuple[int | None, ...], returned: tuple[int, ...], conforms: bool
) -> None:
    assert DeclaredShape("output", declared, returned).conforms == conforms


def test_each_name_with_a_wrong_shape_gets_one_verdict() -> None:
    shapes = [
        DeclaredShape("output", (3, None), (4, 3)),
        DeclaredShape("output", (3, None), (5, 3)),
        DeclaredShape("h_n", (3,), (2,)),
        DeclaredShape("c_n", (3,), (3,)),
    ]
    first, second = verdicts(shapes)
    assert (first.name, first.reason) == ("declared.output", "output declares (3, ?), returns (4, 3)")
    assert (second.name, second.proven) == ("declared.h_n", True)


def test_shapes_are_recorded_only_while_somebody_collects_them() -> None:
    record_shape("output", [3], [4])
    with recording() as outer:
        record_shape("output", [3], [4])
        record_shape("output", [3], [4])
        with recording() as inner:
            record_shape("h_n", [None], [4])
    record_shape("output", [3], [5])
    assert list(outer) == [DeclaredShape("output", (3,), (4,))]
    assert list(inner) == [DeclaredShape("h_n", (None,), (4,))]
