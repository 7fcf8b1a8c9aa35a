import json
from typing import Any

import numpy as np
import pytest

from conformance.results.record import plain
from conformance.verdict.evidence import EDGES, SIDE, WORST, evidence


def kept(got: Any, axes: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """Of a tensor whose expected values are all 0 and whose budget is 1: its elements are its error ratios."""
    got = np.asarray(got, float)
    ones = np.ones(got.shape)
    given: dict[str, Any] = {
        "got": got,
        "values": np.zeros(got.shape),
        "budget": ones,
        "bound": 2 * ones,
        "error_ratios": np.where(np.isfinite(got), np.abs(got), np.inf),
        "axes": axes,
        "where": lambda index: f"at {index}",
    }
    return evidence(**(given | changes))


def test_the_worst_elements_come_first_with_exact_values() -> None:
    worst = kept([0.5, -3.0, 1.5], ("unit",))["worst"]
    assert worst[0] == [[1], "at (1,)", "0x0.0p+0", "-0x1.8000000000000p+1", 1.0, 2.0]
    assert [element[0] for element in worst] == [[1], [2], [0]]


def test_what_is_not_finite_comes_before_all_else() -> None:
    found = kept([1e9, np.nan, np.inf, 2.0], ("unit",))
    assert [element[0] for element in found["worst"]] == [[1], [2], [0], [3]]
    assert [element[3] for element in found["worst"][:2]] == ["nan", "inf"]
    assert found["not_finite"] == 2
    assert sum(found["histogram"]) == 2


@pytest.mark.parametrize(
    ("error_ratio", "place"), [(0, 0), (0.01, 0), (0.5, 2), (1.0, 2), (1.001, 3), (10.0, 3), (1e12, 14), (1e300, 15)]
)
def test_a_bin_ends_at_its_edge(error_ratio: float, place: int) -> None:
    counts = kept([error_ratio], ("unit",))["histogram"]
    assert [bin_ for bin_, count in enumerate(counts) if count] == [place]
    assert EDGES[2] == 1


def test_a_map_is_over_time_and_units_and_takes_the_worst_row() -> None:
    got = np.zeros((3, 2, 4))
    got[1, 0, 2], got[1, 1, 2], got[2, 1, 0] = 0.5, 1e4, np.nan
    found = kept(got, ("step", "row", "unit"))
    assert found["map"] == ["0000", "00f0", "x000"]
    assert found["map_axes"] == ["step", "unit"]
    assert (found["map_of"], found["map_top"]) == ([3, 4], 1e4)


def test_a_map_tells_apart_what_is_far_beyond_the_budget() -> None:
    assert kept([0.5, 2.0, 1e3, 1e6], ("unit",))["map"] == ["239f"]


def test_where_nothing_is_compared_nothing_is_wrong() -> None:
    budget = np.array([np.inf, 1.0])
    found = kept([np.nan, 5.0], ("unit",), budget=budget, error_ratios=np.array([0.0, 5.0]))
    assert found["not_finite"] == 0
    assert found["worst"][0][0] == [1]


@pytest.mark.parametrize("shape", [(1000, 3, 700), (65, 64), (64, 65), (100_000,)])
def test_it_is_small_whatever_the_tensor(shape: tuple[int, ...]) -> None:
    got = np.random.default_rng(0).normal(size=shape) * 1e3
    found = kept(got, ("step", "row", "unit")[-len(shape) :] if len(shape) != 2 else ("step", "unit"))
    assert len(found["worst"]) == WORST
    assert len(found["map"]) <= SIDE
    assert all(len(line) <= SIDE for line in found["map"])
    assert len(json.dumps(plain(found))) < 7000
    assert sum(found["histogram"]) == got.size


def test_pooling_loses_no_deviation() -> None:
    got = np.zeros((130, 200))
    got[129, 199] = 1e6
    found = kept(got, ("step", "unit"))
    assert found["map"][-1][-1] == "f"
    assert sum(line.count("f") for line in found["map"]) == 1
