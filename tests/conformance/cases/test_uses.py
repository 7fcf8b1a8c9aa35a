"""Uses of a case: consistency, keys and values, features, and other sizes."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from conformance.cases import uses
from conformance.cases.case import Case
from conformance.cases.casefile import load
from conformance.cases.features import FEATURES, LACKS, USES, features, used
from tests.conftest import ROOT

BASE: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 8, "batch": 3}
SAME_RESULTS: list[dict[str, Any]] = [
    {"built_seq_len": 1},
    {"built_batch": 2},
    {"chunks": [3, 1, 4]},
    *({"earlier_calls": [word]} for word in get_args(uses.EarlierCall)),
    {"saved": True},
    *({"memory": word} for word in get_args(uses.Memory) if word != "contiguous"),
    {"batching": "alone"},
    {"batching": "permuted"},
    {"threads": 4},
    {"graph": "twice"},
    {"graph": "encoder-decoder"},
]
PARALLEL: dict[str, Any] = {"graph": "parallel", "direction": "bidirectional"}
EVERYTHING = ["input", "weight_ih_l0", "weight_hh_l0"]
OTHER_RESULTS: list[dict[str, Any]] = [
    {"cotangents": ["h_n"]},
    {"frozen": ["weight_hh_l0"]},
    {"initial_state": "h_0-given"},
    {"initial_state": "c_0-given"},
    {"check": ["jvp"]},
    {"check": ["hvp"]},
    {"seq_len": 0},
    {"batch": 0},
]


def make(**options: Any) -> Case:
    return Case(**{**BASE, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cotangents": ["h_n"], "check": ["output"]}, "cotangents requires 'gradients' in check"),
        ({"cotangents": ["h_n", "h_n"]}, "cotangents lists an item twice"),
        ({"frozen": ["input"], "check": ["output"]}, "frozen requires 'gradients' in check"),
        ({"frozen": ["weight_hh"]}, "frozen contains 'weight_hh', which is not a tensor of this case. Use input, h_0"),
        ({"frozen": ["h_0"], "initial_state": "omitted"}, "frozen contains 'h_0'"),
        ({"frozen": EVERYTHING, "bias": False, "initial_state": "omitted"}, "frozen contains every tensor"),
        ({"check": ["gradients", "jvp"], "frozen": ["input"]}, "'jvp' in check cannot be combined with frozen"),
        ({"check": ["hvp"], "input_nan": True}, "'hvp' in check cannot be combined with input_nan"),
        ({"built_batch": 2, "batch": "unbatched"}, "built_batch requires a batch axis"),
        ({"batching": "alone", "batch": "unbatched"}, "batching: alone requires a batch axis"),
        ({"earlier_calls": ["more-rows"], "batch": "unbatched"}, "earlier_calls: more-rows requires a batch axis"),
        ({"chunks": [3, 4]}, "chunks have 7 steps in total, but seq_len is 8"),
        ({"chunks": [4, 4], "direction": "reverse"}, "chunks require direction: forward, not reverse"),
        ({"chunks": [4, 4], "lengths": "ragged"}, "chunks cannot be combined with lengths"),
        ({"chunks": [4, 4], "input_dropout": 0.5, "mode": "train"}, "chunks cannot be combined with active dropout"),
        ({"memory": "expanded", "initial_state": "omitted"}, "memory: expanded requires a batch axis and an initial"),
        ({"memory": "aliased", "proj_size": 2}, "memory: aliased requires initial_state: random or zero, and no proj"),
        ({"chunks": [0, 8]}, "greater than or equal to 1"),
        ({"memory": "stack"}, "memory"),
        ({"graph": "twice", "batch": "unbatched"}, "graph: twice requires at least two rows"),
        ({"graph": "encoder-decoder", "seq_len": 1}, "graph: encoder-decoder requires direction: forward and at least"),
        ({"graph": "encoder-decoder", "direction": "reverse"}, "graph: encoder-decoder requires direction: forward"),
        ({"graph": "encoder-decoder", "lengths": "ragged"}, "graph: encoder-decoder cannot be combined with lengths"),
        ({"graph": "parallel"}, "graph: parallel requires direction: bidirectional and one layer"),
        ({**PARALLEL, "num_layers": 2}, "graph: parallel requires direction: bidirectional and one layer"),
        ({**PARALLEL, "reverse_hidden_size": 3}, "graph: parallel cannot be combined with reverse_hidden_size"),
        ({"graph": "twice", "chunks": [4, 4]}, "graph: twice cannot be combined with chunks"),
        ({"graph": "twice", "earlier_calls": ["fewer-rows"]}, "graph: twice cannot be combined with a built_batch"),
        ({"graph": "encoder-decoder", "built_seq_len": 2}, "graph: encoder-decoder cannot be combined with a built"),
        ({"graph": "twice", "input_dropout": 0.5, "mode": "train"}, "graph: twice cannot be combined with active drop"),
        ({"graph": "twice", "seq_len": 0}, "seq_len: 0 cannot be combined with graph"),
    ],
)  # fmt: skip
def test_contradictory_options_are_rejected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**options)


@pytest.mark.parametrize("use", SAME_RESULTS, ids=str)
def test_a_use_has_its_own_key_but_the_values_of_the_same_case_without_it(use: dict[str, Any]) -> None:
    assert make(**use).key != make().key
    assert make(**use).drawn_from == make().drawn_from
    assert make(**use).one_call == make()


@pytest.mark.parametrize("use", OTHER_RESULTS, ids=str)
def test_one_call_keeps_options_that_change_the_results(use: dict[str, Any]) -> None:
    assert make(**use).one_call == make(**use)


@pytest.mark.parametrize("use", [*OTHER_RESULTS[:2], {"check": ["output", "gradients", "hvp"]}], ids=str)
def test_a_use_that_changes_only_gradients_has_no_forward_half(use: dict[str, Any]) -> None:
    assert make(**use).forward_only() is None
    assert make(**use).drawn_from == make().drawn_from


def test_each_use_is_a_feature_with_a_reason() -> None:
    found = [features(make(**use)) for use in (*SAME_RESULTS, *OTHER_RESULTS, PARALLEL)]
    assert all(len(set(USES).intersection(names)) == 1 for names in found)
    wrong = {name for name in USES if name.startswith("wrong ")}  # See test_refuses.py.
    assert set(USES) - wrong == {name for names in found for name in names} - {"gradients", "float32", "bidirectional"}
    assert set(USES) <= set(FEATURES)
    assert set(USES) <= LACKS.keys()
    assert used(make()) == []


def test_a_use_keeps_its_relation_to_other_sizes() -> None:
    case = make(chunks=[3, 1, 4], built_seq_len=9, built_batch=2)
    changes = uses.fit(case, steps=4, rows=2)
    assert changes == {"chunks": (2, 2), "built_seq_len": 5, "built_batch": 1}
    assert uses.fit(case, steps=8, rows=3) == {"chunks": (3, 1, 4), "built_seq_len": 9, "built_batch": 2}
    assert uses.fit(make(built_seq_len=8), steps=5, rows=3) == {"built_seq_len": 5}
    assert uses.fit(make(graph="twice"), steps=1, rows=1) == {"graph": "single"}
    assert uses.fit(make(graph="encoder-decoder"), steps=1, rows=2) == {"graph": "single"}
    assert uses.fit(make(graph="encoder-decoder"), steps=2, rows=1) == {}


def test_a_graph_of_both_directions_has_the_values_of_the_case_without_it() -> None:
    assert make(**PARALLEL).one_call == make(direction="bidirectional")
    assert make(**PARALLEL).drawn_from == make(direction="bidirectional").drawn_from


def test_the_first_call_of_a_graph_has_a_third_of_the_rows_or_steps() -> None:
    assert uses.first_part(make(graph="encoder-decoder")) == 2
    assert uses.first_part(make(graph="encoder-decoder", seq_len=2)) == 1
    assert uses.first_part(make(graph="twice")) == 1


def test_the_documented_example_has_a_use_in_each_case(tmp_path: Path) -> None:
    section = (ROOT / "docs" / "writing-a-case.md").read_text(encoding="utf-8").partition("## Uses")[2]
    file = tmp_path / "example.yaml"
    for number, count in ((1, 11), (2, 3)):
        file.write_text(section.split("```yaml\n")[number].split("```")[0], encoding="utf-8")
        cases = load(file)
        assert len(cases) == count
        assert all(used(case) for case in cases)
    documented = section.partition("## How a file expands")[0]
    words = {
        word
        for option in (uses.EarlierCall, uses.Memory, uses.Batching, uses.Graph, uses.Result)
        for word in get_args(option)
    }
    assert not [word for word in words - {"contiguous", "together"} if f"`{word}`" not in documented]


def test_cases_are_compared_by_their_options() -> None:
    first, second = (Case.model_validate(BASE) for _ in range(2))
    assert first.one_call == second.one_call
    assert first == second
