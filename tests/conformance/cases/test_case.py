"""Case: short forms of options, consistency, and keys."""

from typing import Any

import pytest
from pydantic import ValidationError

from conformance.cases.case import Case
from reference.model import Model

BASE: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3}


def make(**options: Any) -> Case:
    return Case(**{**BASE, **options})


def test_bidirectional_is_short_for_a_direction() -> None:
    assert make(bidirectional=True).direction == "bidirectional"
    assert make(bidirectional=False, direction="reverse").direction == "reverse"
    assert make(bidirectional=True).key == make(direction="bidirectional").key


def test_a_list_of_hidden_sizes_sets_the_number_of_layers() -> None:
    case = make(hidden_size=[5, 3])
    assert case.num_layers == 2
    assert case.hidden_sizes == (5, 3)
    assert make(num_layers=2).hidden_sizes == (5, 5)


def test_the_model_has_every_option_of_the_architecture() -> None:
    case = make(num_layers=2, direction="reverse", bias=False, proj_size=3, batch_first=True)
    assert case.model == Model(4, (5, 5), "reverse", bias=False, proj_size=3, batch_first=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": [5, 3], "num_layers": 3}, "hidden_size lists 2 layers, but num_layers is 3"),
        ({"proj_size": 5}, "proj_size 5 must be less than hidden_size 5"),
        ({"proj_size": 2, "hidden_size": [5, 3]}, "proj_size requires the same hidden_size in every layer"),
        ({"lengths": "ragged", "batch": "unbatched"}, "lengths require a batch axis"),
        ({"lengths": [1, 2]}, "lengths has 2 entries, but batch is 3"),
        ({"lengths": [1, 2, 7]}, "lengths contains 7, but seq_len is 6"),
        ({"check": ["output", "output"]}, "check lists an item twice"),
        ({"bidirectional": 1}, "bidirectional must be true or false"),
        ({"bidirectional": True, "direction": "reverse"}, "contradicts direction: reverse"),
        ({"bidirectional": False, "direction": "bidirectional"}, "contradicts direction: bidirectional"),
        ({"hidden_size": []}, "at least 1 item"),
        ({"seq_len": 10**12}, "less than or equal to 65536"),
        ({"num_layers": 65}, "less than or equal to 64"),
        ({"dropout": float("nan")}, "dropout"),
        ({"input_size": True}, "valid integer"),
        ({"dtype": "float8"}, "dtype"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_contradictory_options_are_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**options)


def test_a_case_of_any_size_is_valid() -> None:
    largest = make(input_size=65536, hidden_size=65536, num_layers=64, seq_len=65536, batch=65536, bidirectional=True)
    assert largest.model.parameter_count() > 10**12


def test_the_key_depends_only_on_options_that_change_the_problem() -> None:
    described = {"name": "n", "file": "f", "line": 3, "tags": ("t",), "notes": "x", "links": ("https://a",)}
    same = make(**described, bias=True, dropout=0)
    assert same.key == make().key
    others: list[dict[str, Any]] = [
        {"bias": False},
        {"seq_len": 7},
        {"dtype": "float64"},
        {"padding": "nan"},
        {"check": ("output",)},
    ]
    keys = {make(**options).key for options in others}
    assert len(keys) == len(others)
    assert make().key not in keys


def test_the_canonical_form_is_pinned() -> None:
    case = make(num_layers=2, lengths=[1, 6, 3], bidirectional=True)
    assert case.canonical == (
        '{"batch":3,"direction":"bidirectional","hidden_size":5,"input_size":4,"lengths":[1,6,3],"num_layers":2,"seq_len":6}'
    )
    assert case.key == "45fb1ff90f9dd479"


def test_equal_hidden_sizes_are_the_same_case_in_every_form() -> None:
    assert make(hidden_size=[5, 5]).key == make(num_layers=2).key
    assert make(hidden_size=[5]).key == make().key


def test_properties_of_a_case() -> None:
    assert make(batch="unbatched").rows is None
    assert make().rows == 3
    assert not make(initial_state="omitted").gives_state
    assert make(initial_state="zero").gives_state
    assert [
        make(dropout=0.5, mode="train", num_layers=2).drops,
        make(dropout=0.5, mode="train").drops,
        make(dropout=0.5, num_layers=2).drops,
        make(mode="train", num_layers=2).drops,
    ] == [True, False, False, False]
    assert (make(name="n").id, make(name="n", file="a.yaml").id) == ("n", "a.yaml::n")
