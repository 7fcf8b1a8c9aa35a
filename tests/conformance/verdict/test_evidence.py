import json
from typing import Any

import numpy as np
import pytest

from conformance.results.record import plain
from conformance.verdict.comparison import Comparison
from conformance.verdict.evidence import HISTOGRAM_EDGES, MAX_MAP_SIDE, WORST_ELEMENTS, evidence


def summarize(got: Any, axes: tuple[str, ...], budget: Any = 1.0) -> dict[str, Any]:
    """Returns the evidence for a tensor whose expected value is 0. With a budget of 1, its values are error ratios."""
    got = np.asarray(got, float)
    compared = Comparison(got, np.zeros(got.shape), np.broadcast_to(budget, got.shape), np.full(got.shape, 2.0))
    return evidence(compared, axes, lambda index: f"at {index}")


def test_the_worst_elements_come_first_with_exact_values() -> None:
    worst = summarize([0.5, -3.0, 1.5], ("unit",))["worst"]
    assert worst[0] == [[1], "at (1,)", "0x0.0p+0", "-0x1.8000000000000p+1", 1.0, 2.0]
    assert [element[0] for element in worst] == [[1], [2], [0]]


def test_elements_that_are_not_finite_come_first() -> None:
    found = summarize([1e9, np.nan, np.inf, 2.0], ("unit",))
    assert [element[0] for element in found["worst"]] == [[1], [2], [0], [3]]
    assert [element[3] for element in found["worst"][:2]] == ["nan", "inf"]
    assert found["not_finite"] == 2
    assert sum(found["histogram"]) == 2


@pytest.mark.parametrize(
    ("error_ratio", "place"), [(0, 0), (0.01, 0), (0.5, 2), (1.0, 2), (1.001, 3), (10.0, 3), (1e12, 14), (1e300, 15)]
)
def test_a_bin_includes_its_upper_edge(error_ratio: float, place: int) -> None:
    counts = summarize([error_ratio], ("unit",))["histogram"]
    assert [bin_ for bin_, count in enumerate(counts) if count] == [place]
    assert HISTOGRAM_EDGES[2] == 1


def test_a_map_shows_the_worst_row_at_each_step_and_unit() -> None:
    got = np.zeros((3, 2, 4))
    got[1, 0, 2], got[1, 1, 2], got[2, 1, 0] = 0.5, 1e4, np.nan
    found = summarize(got, ("step", "row", "unit"))
    assert found["map"] == ["0000", "00f0", "x000"]
    assert found["map_axes"] == ["step", "unit"]
    assert (found["map_of"], found["map_top"]) == ([3, 4], 1e4)


def test_of_two_elements_that_must_be_exact_the_one_with_the_larger_deviation_comes_first() -> None:
    assert [element[0] for element in summarize([1.0, 3.0], ("unit",), budget=0.0)["worst"]] == [[1], [0]]


def test_a_map_distinguishes_large_error_ratios() -> None:
    """Up to a largest error ratio of 1e13, each of the 13 digits from 3 to f stands for a decade."""
    found = summarize([0.5, *(3.0 * 10.0 ** np.arange(13)), 1e13], ("unit",))
    assert found["map"] == ["23456789abcdeff"]
    assert (found["map_axes"], found["map_of"]) == (["", "unit"], [1, 15])


@pytest.mark.parametrize(("got", "digits"), [([2.0, 0.5], "62"), ([np.nan, 0.0], "x0"), ([np.nan], "x")])
def test_the_scale_of_a_map_goes_at_least_to_ten(got: list[float], digits: str) -> None:
    found = summarize(got, ("unit",))
    assert (found["map"], found["map_top"]) == ([digits], 10.0)


def test_unspecified_elements_conform() -> None:
    budget = np.array([np.inf, 1.0])
    found = summarize([np.nan, 5.0], ("unit",), budget=budget)
    assert found["not_finite"] == 0
    assert found["worst"][0][0] == [1]


@pytest.mark.parametrize("shape", [(1000, 3, 700), (65, 64), (64, 65), (100_000,)])
def test_the_size_of_evidence_is_bounded(shape: tuple[int, ...]) -> None:
    got = np.random.default_rng(0).normal(size=shape) * 1e3
    found = summarize(got, ("step", "row", "unit")[-len(shape) :] if len(shape) != 2 else ("step", "unit"))
    assert len(found["worst"]) == WORST_ELEMENTS
    assert len(found["map"]) <= MAX_MAP_SIDE
    assert all(len(line) <= MAX_MAP_SIDE for line in found["map"])
    assert len(json.dumps(plain(found))) < 7000
    assert sum(found["histogram"]) == got.size


def test_pooling_keeps_the_largest_deviation() -> None:
    got = np.zeros((130, 200))
    got[129, 199] = 1e6
    found = summarize(got, ("step", "unit"))
    assert found["map"][-1][-1] == "f"
    assert sum(line.count("f") for line in found["map"]) == 1
