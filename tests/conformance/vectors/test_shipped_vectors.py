"""The vectors of this repository are right, few and small, and detect what the shipped cases detect.

After a change of cases or defects, ``make vectors`` writes them again.
"""

import pytest

from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.power import bitmasks
from conformance.defects.power.kill_matrix import View
from conformance.vectors import check, files, sets
from conformance.verdict.oracle import Oracle
from tests.conftest import ROOT

PATH = ROOT / "vectors" / "core.json"


def test_the_vectors_agree_with_the_reference() -> None:
    assert list(check.find_mistakes(files.read(PATH), Oracle())) == []


def test_the_vectors_are_small() -> None:
    assert PATH.stat().st_size <= 180_000


def test_the_fewest_vectors_detect_everything_that_the_cases_detect() -> None:
    masks = bitmasks.shipped_masks()
    if not masks:
        pytest.skip("detected.json is not current: run `conformance power --write`")
    cases = sets.SETS["core"].select(load_all([shipped_cases()]))
    if missing := [case.id for case in cases if View.of(case).key not in masks]:
        pytest.skip(f"detected.json lacks the mask of {missing[0]} without gradients")
    chosen = sets.smallest(cases, [masks[View.of(case).key] for case in cases])
    detected = 0
    for case in chosen:
        detected |= masks[View.of(case).key]
    file = files.read(PATH)
    assert [mistake.id for mistake in file.mistakes] == bitmasks.names(detected), "run `make vectors`"
    assert [vector.name for vector in file.vectors] == [case.id for case in chosen], "run `make vectors`"
