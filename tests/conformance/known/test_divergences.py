"""Known divergences are well-formed data, and match the cases that they describe."""

from pathlib import Path
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.known.defects import descriptions
from conformance.verdict.judge import is_declaration

ENTRIES = known.shipped()
GOOD = """\
divergences:
  - {id: a, implementation: b, package: numpy, versions: '>=1', cases: {bias: true}, tensors: [h_n],
     what: w, reason: r, upstream: none as of 2026-11, reproduction: x.py%s}
"""


def test_ids_are_unique() -> None:
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)


def test_defects_exist() -> None:
    assert {name for entry in ENTRIES for name in (*entry.defects, *entry.resembles)} <= descriptions().keys()


def test_every_entry_predicts_its_tensors_or_says_why_nothing_can() -> None:
    for entry in ENTRIES:
        predicts = entry.defects or entry.profile or entry.nan or entry.error_ratio
        assert predicts or entry.unpredictable or all(map(is_declaration, entry.tensors)), entry.id


def test_a_less_precise_profile_resembles_a_defect() -> None:
    """Otherwise a result that is exact in the profile, such as 0, would be reported as fixed."""
    assert all(entry.resembles for entry in ENTRIES if entry.profile)


def test_a_bracket_in_an_implementation_matches_itself() -> None:
    [entry] = [entry for entry in ENTRIES if entry.id == "keras-nan-in-padding"]
    options = {"input_size": 1, "hidden_size": 1, "seq_len": 2, "batch": 1, "lengths": (1,), "padding": "nan"}
    case = Case.model_validate(options)
    assert entry.implementation == "keras.layers.*[tensorflow*"
    assert entry.matches(case, "keras.layers.LSTM[tensorflow,unroll]", lambda _: "3.15.1")
    assert not entry.matches(case, "keras.layers.LSTM[jax]", lambda _: "3.15.1")
    assert not entry.matches(case, "keras.layers.LSTM[tensorflow]", lambda _: "3.0.0")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must contain a list named divergences"),
        ("divergences: {", "while parsing"),
        ("divergences: [{id: a}]", "implementation: Field required"),
        (GOOD % ", typo: 1", "typo: Extra inputs"),
        (GOOD.replace("tensors: [h_n],", "") % "", "give tensors, error or both"),
        (GOOD.replace(">=1", "new") % "", "is not a version range"),
        (GOOD.replace("bias: true", "bais: true") % "", "there is no option 'bais'"),
        (GOOD.replace("bias: true", "") % "", "give at least one of cases, features and problem"),
        (GOOD % ", features: [revers]", "there is no feature 'revers'"),
        (GOOD % ", problem: [paddding]", "there is no condition 'paddding'"),
        (GOOD.replace("none as of 2026-11", "none found") % "", "is neither a link nor 'none as of YYYY-MM'"),
        (GOOD % ", related: [nowhere]", "related.0: String should match pattern"),
        (GOOD % ", profile: float8", "profile: Input should be 'float32'"),
        (GOOD.replace("tensors: [h_n]", "error: x, profile: float32") % "", "profile needs tensors"),
        (GOOD % ", nan: true, defects: [clip-ignored]", "defects cannot be combined with nan"),
    ],
)
def test_an_invalid_entry_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        known.load(path)


def test_a_valid_entry_is_read(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(GOOD % "")
    assert [entry.id for entry in known.load(path)] == ["a"]


def test_an_entry_matches_by_options_features_and_conditions(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text(GOOD % ", features: [clip], problem: [several steps]")
    [entry] = known.load(path)

    def matches(**options: Any) -> bool:
        case = {"input_size": 2, "hidden_size": 2, "seq_len": 2, "batch": 1, "clip": 0.5} | options
        return entry.matches(Case.model_validate(case), "b", lambda _: "2.0")

    assert matches()
    assert matches(batch=3)
    assert not matches(seq_len=1)
    assert not matches(clip=None)
    assert not matches(bias=False)


def test_an_entry_excludes_names_that_do_not_deviate() -> None:
    [entry] = [entry for entry in known.shipped() if entry.id == "keras-dropout-of-everything"]
    options = {"input_size": 2, "hidden_size": 2, "seq_len": 2, "batch": 1, "mode": "train", "input_dropout": 1.0}
    case = Case.model_validate(options)
    assert entry.matches(case, "keras.layers.LSTM[tensorflow]", lambda _: "3.15.1")
    assert not entry.matches(case, "keras.layers.LSTM[tensorflow,wired-cudnn]", lambda _: "3.15.1")
