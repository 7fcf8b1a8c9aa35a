"""The shipped cases see every defect; what a kill matrix says, and that damage to its cache costs time alone."""

from functools import cache
from pathlib import Path

import pytest

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power import detected
from conformance.defects.power import kill_matrix as matrix
from conformance.defects.power.kill_matrix import REQUIRED, Row, View
from conformance.defects.power.power import Power, undetected
from conformance.reports.power import as_json
from conformance.verdict.oracle import default_cache
from reference import PROFILES, Profile
from tests.fakes import Faithful

SMALL = Case(name="small", input_size=3, hidden_size=4, seq_len=3, batch=2)
RIGHT = Defect("none", "that is right", equivalent="nothing in it is wrong")
EQUIVALENT = [defect for defect in CATALOGUE if defect.equivalent]


@cache
def shipped(dtype: str) -> list[Case]:
    """Those that see most first, so that few are needed."""
    cases = [case for case in load_all([shipped_cases()]) if case.dtype == dtype]
    return sorted(cases, key=lambda case: (case.file != "cases/core.yaml", case.model.parameter_count(), case.id))


def test_the_shipped_cases_see_every_defect_in_float64() -> None:
    missed, impossible = undetected(shipped("float64"), REQUIRED)
    assert [defect.id for defect in missed] == []
    # Of the others float64 is the wrong dtype: whatever has no case in it must have one in float32.
    assert [defect.id for defect in undetected(shipped("float32"), impossible)[1]] == []


def test_the_shipped_cases_see_nearly_every_defect_in_float32() -> None:
    missed, impossible = undetected(shipped("float32"), REQUIRED)
    assert len(missed) <= 0.01 * (len(REQUIRED) - len(impossible))
    assert [defect.id for defect in missed if defect.size is None or defect.size > 1e-5] == []


@pytest.mark.parametrize("defect", [*EQUIVALENT, RIGHT], ids=lambda defect: defect.id)
def test_no_case_sees_what_is_said_to_be_equivalent(defect: Defect) -> None:
    for dtype in ("float64", "float32"):
        missed, impossible = undetected(shipped(dtype), [defect])
        assert missed + impossible == [defect]


def test_what_the_shipped_cases_see_is_kept_in_the_package_and_current() -> None:
    views = {view.key: view for view in detected.shipped_views()}
    kept = detected.shipped()
    assert kept.keys() == views.keys(), "out of date: run `conformance power --write`"
    # Any few will do: a fixed stride over the keys, which are hashes.
    for key in sorted(views)[:: max(1, len(views) // 6)]:
        if views[key].case.model.parameter_count() < 5000:
            assert kept[key] == detected.mask(matrix.row(views[key], None))


def rows(**error_ratios: dict[str, float]) -> list[Row]:
    return [Row(SMALL.model_copy(update={"name": name}), found) for name, found in error_ratios.items()]


def ids(count: int) -> list[str]:
    return [defect.id for defect in REQUIRED[:count]]


def test_a_power_counts_what_applies_and_is_seen() -> None:
    a, b, c = ids(3)
    power = Power(rows(one={a: 5.0, b: 1.9}, two={b: 0.0}))
    assert (power.total.detected, power.total.applicable) == (1, 2)
    assert [defect.id for defect in power.undetected] == [b]
    assert c in {defect.id for defect in power.inapplicable}
    assert str(power.by_dtype()["float32"]) == "1/2"
    assert power.by_dtype().keys() == {"float32"}
    assert str(power.by_feature()["gradients"]) == "1/2"
    assert "layers" not in power.by_feature()


def test_cases_that_add_nothing_are_found() -> None:
    a, b, c = ids(3)
    power = Power(rows(few={a: 9.0}, most={a: 9.0, b: 9.0}, other={c: 9.0}, none={a: 1.0}))
    assert [row.case.name for row in power.sufficient()] == ["most", "other"]
    assert as_json(power)["adding_nothing"] == ["few", "none"]


def test_a_case_taken_early_may_become_superfluous() -> None:
    a, b, c, d, e, f = ids(6)
    power = Power(rows(middle=dict.fromkeys((b, c, d, e), 9.0), left=dict.fromkeys((a, b, c), 9.0),
                       right=dict.fromkeys((d, e, f), 9.0)))  # fmt: skip
    assert [row.case.name for row in power.sufficient()] == ["left", "right"]


def test_the_smallest_visible_size_is_just_seen() -> None:
    found = Power([matrix.row(View.of(SMALL), default_cache())]).smallest()
    assert found
    by_id = {defect.id: defect for defect in CATALOGUE}
    for visible in found:
        defect = by_id[visible.defect]
        assert visible.size is not None
        assert visible.dtype == "float32"
        assert visible.size < 1e-3
        assert defect.sized is not None
        for factor, detects in ((0.9, False), (1.1, True)):
            left = undetected([SMALL], [defect.sized(factor * visible.size)])[0]
            assert (not left) == detects, visible


# --------------------------------------------------------------------------- the matrix and its cache


def test_rows_are_the_same_from_two_processes_and_from_the_cache(tmp_path: Path) -> None:
    views = [View.of(Case(input_size=3, hidden_size=4, seq_len=steps, batch=2)) for steps in range(1, 10)]
    told: list[tuple[int, int]] = []
    first = matrix.matrix(views, tmp_path, 2, lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(10)]
    assert first == [matrix.row(view, None) for view in views]
    told.clear()
    assert matrix.matrix(views, tmp_path, 1, lambda done, total: told.append((done, total))) == first
    assert told == [(9, 9)]


@pytest.mark.parametrize("damage", [b"", b'{"gates-read', b"[1]", b'{"a": null}', b"\xff"])
def test_a_damaged_row_is_computed_anew(tmp_path: Path, damage: bytes) -> None:
    view = View.of(SMALL)
    right = matrix.row(view, tmp_path)
    path = matrix.path(view, tmp_path)
    path.write_bytes(damage)
    assert matrix.row(view, tmp_path) == right
    assert matrix.row(view, tmp_path) == right


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert matrix.row(View.of(SMALL), tmp_path / "file").detected


def test_a_view_depends_on_what_the_implementation_declares() -> None:
    class Coarse(Faithful):
        def profile(self, case: Case) -> Profile:
            return PROFILES["tf32" if case.dtype == "float32" else case.dtype]

    plain, coarse = View.of(SMALL, Faithful()), View.of(SMALL, Coarse())
    assert plain.key == View.of(SMALL).key != coarse.key
    assert matrix.row(coarse, None).detected < matrix.row(plain, None).detected
    detector = detected.Detector(None)
    assert set(detected.names(detector.mask(SMALL, Coarse()))) == matrix.row(coarse, None).detected


def test_what_is_kept_for_other_code_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View.of(SMALL)
    monkeypatch.setattr(detected, "SHIPPED", tmp_path / "detected.json")
    detected.write({view.key: Row(SMALL, {REQUIRED[0].id: 9.0})})
    assert detected.shipped() == {view.key: 1}
    detected.SHIPPED.write_text(detected.SHIPPED.read_text().replace(matrix.code(), "0" * 16))
    detected.shipped.cache_clear()
    assert detected.shipped() == {}
    detected.SHIPPED.write_text("{")
    detected.shipped.cache_clear()
    assert detected.shipped() == {}
    monkeypatch.undo()
    detected.shipped.cache_clear()
