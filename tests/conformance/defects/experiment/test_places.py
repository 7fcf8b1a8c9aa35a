"""Places hold at every size, and experiments at other sizes choose between those that are the same at one size."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import Block, blocks
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.places import UNIT, Place, place_of_values, places_of_values, scopes_of
from conformance.defects.experiment.probes import probe
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered


@pytest.mark.parametrize(
    ("found", "count", "texts"),
    [
        ([2], 3, ["row 2", "the last row", "rows from 2 on"]),
        ([1], 3, ["row 1", "odd rows"]),
        ([0, 2], 4, ["even rows"]),
        ([0, 1], 3, ["rows up to 1", "all rows but the last"]),
        ([8, 9, 10], 11, ["rows from 8 on", "rows after the last multiple of 4", "rows after the last multiple of 8"]),
        ([0, 3], 5, []),
    ],
)
def test_places_of_values_are_the_same_at_one_size(found: list[int], count: int, texts: list[str]) -> None:
    places = list(places_of_values("row", found, count))
    listed = f"rows {', '.join(map(str, found))}"
    assert [str(place) for place in places] == [*texts, listed]
    assert all(np.flatnonzero(place.among(count)).tolist() == found for place in places)


def test_there_is_no_place_for_all_values() -> None:
    assert place_of_values("row", [0, 1, 2], 3) is None


def test_scopes_contain_the_blocks_and_the_widest_comes_first() -> None:
    case = probe("two layers, both directions", "float64")
    found = [block for block in blocks("h_n", case) if block.layer == 1 and block.row in (1, 2)]
    assert list(scopes_of(found, case)) == [
        (),
        (Place("layer", "is", 1),),
        (Place("row", "from", 1),),
        (Place("layer", "is", 1), Place("row", "from", 1)),
    ]


def test_scopes_of_blocks_of_several_kinds_use_the_coordinates_that_all_have() -> None:
    case = probe("two layers, both directions", "float64")
    found = [block for kind in ("h_n", "output") for block in blocks(kind, case) if block.row == 1]
    assert list(scopes_of(found, case)) == [(), (Place("row", "is", 1),)]


def test_the_end_and_the_padding_depend_on_the_lengths() -> None:
    case = probe("lengths", "float64")
    at = {(step, row): Block("output", direction=0, row=row, step=step) for step in range(5) for row in range(3)}
    assert [key for key, block in at.items() if Place("step", "end").holds(block, case)] == [(0, 2), (2, 0), (4, 1)]
    assert sum(Place("step", "padding").holds(block, case) for block in at.values()) == 6


def _doubling(name: str, choose: Any) -> Altered:
    """Returns an implementation that doubles the units of h_n that a function chooses."""

    def after(found: dict[str, Any], problem: Problem) -> dict[str, Any]:
        del problem
        h_n = np.array(found["h_n"])
        h_n[..., choose(np.arange(h_n.shape[-1]))] *= 2
        return found | {"h_n": h_n}

    return Altered(name, after=after, refuses=lambda case: "gradients" in case.check)


@pytest.mark.parametrize(
    ("choose", "place"),
    [
        (lambda every: every == 3, "unit 3"),
        (lambda every: every == every[-1], "the last unit"),
        (lambda every: every >= 3, "units from 3 on"),
        (lambda every: every % 2 == 0, "even units"),
        (lambda every: every < every[-1], "all units but the last"),
        (lambda every: np.isin(every, [0, 3]), "units 0, 3"),
    ],
)
def test_the_place_that_holds_at_other_sizes_is_found(choose: Any, place: str) -> None:
    result = dissect(Subject(_doubling(place, choose)), ["one layer"])
    assert [finding.what for finding in result.findings] == [f"returns h_n in {place} multiplied by 2"]


def test_the_tail_after_a_multiple_is_found_in_a_case_that_has_one() -> None:
    case = Case.model_validate({"name": "wide", "input_size": 2, "hidden_size": 9, "seq_len": 2, "batch": 2})
    result = dissect(Subject(_doubling("tail", lambda every: every >= len(every) // 8 * 8)), [], [case])
    assert [finding.what for finding in result.findings] == [
        "returns h_n in units after the last multiple of 8 multiplied by 2"
    ]


def test_a_place_is_kept_if_other_sizes_are_unsupported() -> None:
    adapter = _doubling("last", lambda every: every == every[-1])
    adapter.refuses = lambda case: "gradients" in case.check or case.hidden_size != 4
    result = dissect(Subject(adapter), ["one layer"])
    assert [finding.what for finding in result.findings] == ["returns h_n in unit 3 multiplied by 2"]
    assert Place(UNIT, "last").among(4).tolist() == [False, False, False, True]
