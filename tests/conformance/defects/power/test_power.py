"""The shipped cases detect every defect; power is computed correctly; a damaged cache costs only time."""

from functools import cache
from pathlib import Path

import pytest

from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power import bitmasks, kill_matrix
from conformance.defects.power.kill_matrix import REQUIRED, Row, View
from conformance.defects.power.power import Power, find_undetected
from conformance.errors import UserError
from conformance.reports.power import as_json
from reference import PROFILES, Dialect, Profile
from tests.fakes import Faithful

SMALL = Case(name="small", input_size=3, hidden_size=4, seq_len=3, batch=2)
RIGHT = Defect("none", "without a defect", equivalent="nothing is wrong")
EQUIVALENT = [defect for defect in CATALOGUE if defect.equivalent]


@cache
def shipped(dtype: str) -> list[Case]:
    """Returns the shipped cases of a dtype, small and powerful ones first, so that few need to run."""
    cases = [case for case in load_all([shipped_cases()]) if case.dtype == dtype]
    return sorted(cases, key=lambda case: (case.file != "cases/core.yaml", case.model.parameter_count(), case.id))


@pytest.mark.usefixtures("shipped_cache")
def test_the_shipped_cases_detect_every_defect_in_float64() -> None:
    missed, impossible = find_undetected(shipped("float64"), REQUIRED)
    assert [defect.id for defect in missed] == []
    # Some defects apply to no float64 case. Each of them applies to a float32 case.
    assert [defect.id for defect in find_undetected(shipped("float32"), impossible)[1]] == []


@pytest.mark.usefixtures("shipped_cache")
def test_the_shipped_cases_detect_nearly_every_defect_in_float32() -> None:
    missed, impossible = find_undetected(shipped("float32"), REQUIRED)
    assert len(missed) <= 0.01 * (len(REQUIRED) - len(impossible))
    assert [defect.id for defect in missed if defect.size is None or defect.size > 1e-5] == []


@pytest.mark.usefixtures("shipped_cache")
@pytest.mark.parametrize("defect", [*EQUIVALENT, RIGHT], ids=lambda defect: defect.id)
def test_no_case_detects_an_equivalent_defect(defect: Defect) -> None:
    for dtype in ("float64", "float32"):
        missed, impossible = find_undetected(shipped(dtype), [defect])
        assert missed + impossible == [defect]


def test_the_shipped_masks_are_current() -> None:
    views = {view.key: view for view in bitmasks.shipped_views()}
    masks = bitmasks.shipped_masks()
    assert masks.keys() <= views.keys(), "out of date: run `conformance power --write`"
    # Some cases cannot be judged in 8 bits.
    assert all(views[key].profile.u_data for key in views.keys() - masks.keys())
    # The keys are hashes, so a fixed stride over them is a random sample.
    for key in sorted(masks)[:: max(1, len(masks) // 6)]:
        if views[key].case.model.parameter_count() < 5000:
            assert masks[key] == bitmasks.mask(kill_matrix.compute_row(views[key], None))


def test_a_case_to_which_no_defect_applies_is_not_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.defects.power.power.make_problem", lambda _: pytest.fail("solved"))
    layered = next(defect for defect in REQUIRED if not defect.applies_to(SMALL))
    assert find_undetected([SMALL], [layered]) == ([], [layered])


def rows(**error_ratios: dict[str, float]) -> list[Row]:
    return [Row(SMALL.model_copy(update={"name": name}), found) for name, found in error_ratios.items()]


def ids(count: int) -> list[str]:
    return [defect.id for defect in REQUIRED[:count]]


def test_power_counts_applicable_and_detected_defects() -> None:
    a, b, c = ids(3)
    power = Power(rows(one={a: 5.0, b: 1.9}, two={b: 0.0}))
    assert (power.total.detected, power.total.applicable) == (1, 2)
    assert [defect.id for defect in power.undetected] == [b]
    assert c in {defect.id for defect in power.inapplicable}
    assert str(power.by_dtype()["float32"]) == "1/2"
    assert power.by_dtype().keys() == {"float32"}
    assert str(power.by_feature()["gradients"]) == "1/2"
    assert "layers" not in power.by_feature()


def test_cases_that_add_nothing_are_not_sufficient() -> None:
    a, b, c = ids(3)
    power = Power(rows(few={a: 9.0}, most={a: 9.0, b: 9.0}, other={c: 9.0}, none={a: 1.0}))
    assert [row.case.name for row in power.sufficient_rows()] == ["most", "other"]
    assert as_json(power)["adding_nothing"] == ["few", "none"]


def test_an_early_choice_is_dropped_if_later_ones_make_it_redundant() -> None:
    a, b, c, d, e, f = ids(6)
    power = Power(rows(middle=dict.fromkeys((b, c, d, e), 9.0), left=dict.fromkeys((a, b, c), 9.0),
                       right=dict.fromkeys((d, e, f), 9.0)))  # fmt: skip
    assert [row.case.name for row in power.sufficient_rows()] == ["left", "right"]


def test_the_smallest_detected_size_is_just_detected() -> None:
    found = Power([kill_matrix.compute_row(View.of(SMALL), default_cache())]).smallest_sizes()
    assert found
    by_id = {defect.id: defect for defect in CATALOGUE}
    for smallest in found:
        defect = by_id[smallest.defect]
        assert smallest.size is not None
        assert smallest.dtype == "float32"
        assert smallest.size < 1e-3
        assert defect.with_size is not None
        for factor, detects in ((0.9, False), (1.1, True)):
            left = find_undetected([SMALL], [defect.with_size(factor * smallest.size)])[0]
            assert (not left) == detects, smallest


# --------------------------------------------------------------------------- the matrix and its cache


def test_two_processes_and_the_cache_give_the_same_rows(tmp_path: Path) -> None:
    views = [View.of(Case(input_size=3, hidden_size=4, seq_len=steps, batch=2)) for steps in range(1, 10)]
    calls: list[tuple[int, int]] = []
    first = kill_matrix.compute_matrix(views, tmp_path, 2, lambda done, total: calls.append((done, total)))
    assert calls == [(done, 9) for done in range(10)]
    assert first == [kill_matrix.compute_row(view, None) for view in views]
    calls.clear()
    assert kill_matrix.compute_matrix(views, tmp_path, 1, lambda done, total: calls.append((done, total))) == first
    assert calls == [(9, 9)]


@pytest.mark.parametrize("damage", [b"", b'{"gates-read', b"[1]", b'{"a": null}', b"\xff"])
def test_a_damaged_row_is_computed_again(tmp_path: Path, damage: bytes) -> None:
    view = View.of(SMALL)
    right = kill_matrix.compute_row(view, tmp_path)
    path = kill_matrix.cache_path(view, tmp_path)
    path.write_bytes(damage)
    assert kill_matrix.compute_row(view, tmp_path) == right
    assert kill_matrix.compute_row(view, tmp_path) == right


def test_a_case_that_cannot_be_judged_has_no_row() -> None:
    clipped = View(SMALL.model_copy(update={"clip": 1.0}), PROFILES["int8-dynamic"], Dialect())
    views = [clipped, View.of(SMALL)]
    assert list(kill_matrix.compute_judgeable(views, None)) == [views[1].key]
    with pytest.raises(UserError, match="small cannot be judged: 8 bits can move the argument of clip"):
        kill_matrix.compute_matrix(views, None)


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert kill_matrix.compute_row(View.of(SMALL), tmp_path / "file").detected


def test_a_view_depends_on_the_declared_profile() -> None:
    class Coarse(Faithful):
        def profile(self, case: Case) -> Profile:
            return PROFILES["tf32" if case.dtype == "float32" else case.dtype]

    plain, coarse = View.of(SMALL, Faithful()), View.of(SMALL, Coarse())
    assert plain.key == View.of(SMALL).key != coarse.key
    assert kill_matrix.compute_row(coarse, None).detected < kill_matrix.compute_row(plain, None).detected
    measured = bitmasks.Detector(None).measure(SMALL, Coarse(), SMALL.key)
    assert measured is not None
    assert not measured.sizes
    assert set(bitmasks.names(measured.mask)) == kill_matrix.compute_row(coarse, None).detected


def test_shipped_masks_of_other_code_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = View.of(SMALL)
    monkeypatch.setattr(bitmasks, "SHIPPED", tmp_path / "detected.json")
    bitmasks.write_shipped({view.key: Row(SMALL, {REQUIRED[0].id: 9.0})})
    assert bitmasks.shipped_masks() == {view.key: 1}
    bitmasks.SHIPPED.write_text(bitmasks.SHIPPED.read_text().replace(kill_matrix.code_hash(), "0" * 16))
    bitmasks.shipped_masks.cache_clear()
    assert bitmasks.shipped_masks() == {}
    bitmasks.SHIPPED.write_text("{")
    bitmasks.shipped_masks.cache_clear()
    assert bitmasks.shipped_masks() == {}
    monkeypatch.undo()
    bitmasks.shipped_masks.cache_clear()
