"""Screening finds the same defects as the kill matrix, with and without its cache."""

from pathlib import Path
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.defects.power import kill_matrix, screening
from conformance.defects.power.kill_matrix import REQUIRED, View

SMALL: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 3, "batch": 3}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "direction": "bidirectional", "lengths": (2, 3, 0), "dtype": "float64"},
        {"proj_size": 2, "batch_first": True, "initial_state": "omitted"},
        {"peepholes": True, "clip": 2.0, "direction": "reverse", "check": ("gradients",)},
        {"num_layers": 2, "mode": "train", "dropout": 0.5, "recurrent_dropout": 0.5, "check": ("output", "c_n")},
    ],
)
def test_screening_and_the_kill_matrix_find_the_same_defects(options: dict[str, Any]) -> None:
    view = View.of(Case.model_validate(SMALL | options))
    required = {defect.id for defect in REQUIRED}
    assert screening.compute(view, None) == kill_matrix.compute_row(view, None).detected & required


@pytest.mark.parametrize("damage", [b"", b'["gates-read', b"{}", b"[1]", b"\xff"])
def test_a_damaged_entry_of_the_cache_is_computed_again(
    tmp_path: Path, damage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "REQUIRED", REQUIRED[:5])
    view = View.of(Case.model_validate(SMALL))
    found = screening.compute(view, tmp_path)
    path = screening.cache_path(view, tmp_path)
    written = path.read_bytes()
    path.write_bytes(damage)
    assert screening.compute(view, tmp_path) == found
    assert path.read_bytes() == written
    monkeypatch.setattr(screening, "REQUIRED", ())
    assert screening.compute(view, tmp_path) == found, "an intact entry must be used"


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "REQUIRED", REQUIRED[:5])
    (tmp_path / "file").write_text("")
    assert screening.compute(View.of(Case.model_validate(SMALL)), tmp_path / "file")
