"""The option ``refuses``, and sizes of 0: consistency, features and values."""

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from conformance.cases.case import Case
from conformance.cases.casefile import load
from conformance.cases.features import LACKS, USES, used
from conformance.cases.uses import Mistake
from tests.conftest import ROOT

SIZES: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, "lengths": "ragged"}


def refusing(mistake: str, **options: Any) -> Case:
    return Case.model_validate(SIZES | {"refuses": mistake, "num_layers": 2, "check": ["output"]} | options)


@pytest.mark.parametrize(
    ("mistake", "options", "message"),
    [
        ("input-axes", {"check": ["output", "gradients"]}, "refuses: input-axes requires check without 'gradients'"),
        ("input-axes", {"check": ["jvp"]}, "refuses: input-axes requires check without 'jvp'"),
        ("input-axes", {"batch": "unbatched", "lengths": None}, "input-axes requires a batch axis"),
        ("input-axes", {"chunks": [3, 3], "lengths": None}, "refuses: input-axes cannot be combined with chunks"),
        ("c_0-rows", {"memory": "aliased"}, "refuses: c_0-rows cannot be combined with memory"),
        ("c_0-rows", {"batching": "alone"}, "refuses: c_0-rows cannot be combined with batching"),
        ("c_0-rows", {"initial_state": "h_0-given"}, "requires an initial c_0, but initial_state is 'h_0-given'"),
        ("c_0-rows", {"batch": "unbatched", "lengths": None}, "refuses: c_0-rows requires a batch axis"),
        ("h_0-rows", {"batch": 1, "lengths": None}, r"requires at least two rows in h_0, but its shape is \(2, 1, 5\)"),
        ("h_0-units", {"proj_size": 1}, r"requires at least two units in h_0, but its shape is \(2, 3, 1\)"),
        ("c_0-layers", {"num_layers": 1}, r"requires at least two layers in c_0, but its shape is \(1, 3, 5\)"),
        ("lengths-above", {"lengths": None}, "refuses: lengths-above requires lengths with mask: right"),
        ("lengths-above", {"mask": "left"}, "refuses: lengths-above requires lengths with mask: right"),
    ],
)  # fmt: skip
def test_a_mistake_that_cannot_be_made_is_rejected(mistake: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        refusing(mistake, **options)


@pytest.mark.parametrize("mistake", get_args(Mistake))
def test_a_mistake_is_one_use_and_leaves_the_values(mistake: str) -> None:
    case, correct = refusing(mistake), Case.model_validate(SIZES | {"num_layers": 2, "check": ["output"]})
    (use,) = used(case)
    assert use in USES
    assert use in LACKS
    assert case.key != correct.key
    assert case.drawn_from == correct.drawn_from


@pytest.mark.parametrize("size", ["seq_len", "batch"])
@pytest.mark.parametrize(
    ("option", "value"),
    [("lengths", "ragged"), ("input_nan", True), ("chunks", [3, 3]), ("memory", "strided"), ("batching", "alone")],
)  # fmt: skip
def test_an_empty_case_rejects_options_that_need_steps_or_rows(size: str, option: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{size}: 0 cannot be combined with {option}|but seq_len is 0"):
        Case.model_validate(SIZES | {"lengths": None, "check": ["output"], size: 0, option: value})


def test_the_documented_examples_are_case_files_and_every_mistake_is_documented(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "writing-a-case.md").read_text(encoding="utf-8")
    section = page.partition("### Arguments that must be refused")[2].partition("## How a file expands")[0]
    refused, empty = (block.split("```")[0] for block in section.split("```yaml\n")[1:])
    cases: dict[str, list[Case]] = {}
    for name, text in {"refused": refused, "empty": empty}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        cases[name] = load(tmp_path / f"{name}.yaml")
    assert all(case.refuses for case in cases["refused"])
    assert all(case.is_empty for case in cases["empty"])
    assert not [word for word in get_args(Mistake) if f"`{word}`" not in section]


def test_an_empty_case_is_a_use() -> None:
    sizes = SIZES | {"lengths": None}
    steps, rows, unbatched = (
        Case.model_validate(sizes | sizes_of)
        for sizes_of in ({"seq_len": 0}, {"batch": 0}, {"seq_len": 0, "batch": "unbatched"})
    )
    assert [used(case) for case in (steps, rows, unbatched)] == [
        ["empty sequence"],
        ["empty batch"],
        ["empty sequence"],
    ]
    assert [case.num_rows for case in (steps, rows, unbatched)] == [3, 0, 1]
    assert all(case.is_empty for case in (steps, rows, unbatched))
    assert not Case.model_validate(sizes).is_empty
