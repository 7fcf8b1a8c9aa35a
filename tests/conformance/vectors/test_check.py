"""``conformance vectors check`` finds every kind of damage."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from conformance.vectors.check import find_mistakes
from conformance.vectors.document import Tensor, Vector, VectorFile
from conformance.verdict.oracle import Oracle
from tests.conformance.vectors.test_files import PLAIN, make_file


@cache
def right() -> VectorFile:
    return make_file(PLAIN)


def mistakes_after(change: Callable[[Vector], dict[str, Any]], renew_checksum: bool = True) -> list[str]:
    """Returns what the check finds after a change of the vector's fields."""
    (vector,) = right().vectors
    changed = vector.model_copy(update=change(vector))
    if renew_checksum:
        changed = changed.model_copy(update={"sha256": changed.checksum()})
    return list(find_mistakes(right().model_copy(update={"vectors": [changed]}), Oracle(None)))


def scaled(tensors: dict[str, Tensor], name: str, factor: float) -> dict[str, Tensor]:
    tensor = tensors[name]
    data = [None if number is None else number * factor for number in tensor.data]
    return tensors | {name: tensor.model_copy(update={"data": data})}


def moved_probe(vector: Vector, element: int) -> dict[str, Any]:
    return {"probe": vector.probe.model_copy(update={"element": element})}


def test_a_right_file_has_no_mistakes() -> None:
    assert mistakes_after(lambda _: {}) == []


def test_a_changed_number_does_not_match_the_checksum() -> None:
    (line,) = mistakes_after(lambda v: {"expected": scaled(v.expected, "h_n", 1 + 1e-15)}, renew_checksum=False)
    assert line == "a.yaml::small: the numbers do not match sha256. Export or download the file again"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: {"expected": scaled(v.expected, "c_n", 1 + 1e-8)}, "expected/c_n differs from the reference"),
        (lambda v: {"given": scaled(v.given, "h_0", 1 + 1e-7)}, "given/h_0 differs from the values of the case"),
        (lambda v: {"budget": scaled(v.budget, "h_n", 1.1)}, "budget/h_n differs from the budget of the reference"),
        (lambda v: {"given": v.given | {"extra": v.given["h_0"]}}, "has other arrays than expected: given/extra"),
        (lambda _: {"features": ["float32"]}, "has features float32, expected gradients, float32"),
        (lambda v: moved_probe(v, 0), "probe predicts wrong values for gates-read-"),
        (lambda v: moved_probe(v, 999), "probe predicts wrong values for all mistakes"),
        (lambda v: {"options": v.options | {"dtype": "float8"}}, "options: Input should be 'float64'"),
    ],
)  # fmt: skip
def test_a_difference_from_the_reference_is_found(change: Callable[[Vector], dict[str, Any]], message: str) -> None:
    (line,) = mistakes_after(change)
    assert line.startswith(f"a.yaml::small: {message}")


def test_rounding_of_another_machine_is_accepted() -> None:
    assert mistakes_after(lambda v: {"expected": scaled(v.expected, "c_n", 1 + 1e-14)}) == []


def test_a_wrong_claim_about_a_mistake_is_found() -> None:
    (line,) = mistakes_after(lambda v: {"detects": "0" + v.detects[1:]})
    assert line == f"a.yaml::small: detects is wrong for {right().mistakes[0].id}"
