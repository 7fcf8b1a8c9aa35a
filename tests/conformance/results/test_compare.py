import json
import math
from pathlib import Path
from typing import Any

import pytest

from conformance.commands.cli import main
from conformance.results.compare import KINDS, Comparison, compare, match, percentile
from conformance.results.conditions import OTHER_CONDITIONS
from conformance.results.record import STATUSES, Result
from tests.conformance.results.runs import report, row


def compared(folder: Path, old: list[Result], new: list[Result], **header: Any) -> Comparison:
    return compare(report(folder / "old.jsonl", *old), report(folder / "new.jsonl", *new, **header))


def kinds(comparison: Comparison) -> list[tuple[str, str]]:
    return [(change.kind, change.result.case.split("::")[1]) for change in comparison.changes]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("pass", "pass", None),
        ("fail", "fail", None),
        ("pass", "fail", "new-fail"),
        ("known", "fail", "new-fail"),
        ("unsupported", "error", "new-fail"),
        ("not-run", "crash", "new-fail"),
        ("pass", "timeout", "new-fail"),
        ("pass", "fixed", "new-fail"),
        ("fail", "crash", "other"),
        ("fail", "pass", "fixed"),
        ("known", "pass", "fixed"),
        ("known", "fixed", "fixed"),
        ("pass", "known", "new-known"),
        ("fail", "known", "other"),
        ("pass", "unsupported", "new-unsupported"),
        ("fail", "unsupported", "new-unsupported"),
        ("pass", "not-run", "not-run"),
        ("known", "not-run", "not-run"),
        ("unsupported", "not-run", "other"),
        ("unsupported", "pass", "new-supported"),
        ("not-run", "pass", "other"),
    ],
)
def test_changes_are_classified_by_both_statuses(tmp_path: Path, old: str, new: str, kind: str | None) -> None:
    found = compared(tmp_path, [row("one", old)], [row("one", new)])
    assert kinds(found) == ([(kind, "one")] if kind else [])
    assert found.unchanged == (kind is None)


def test_another_known_divergence_is_a_change(tmp_path: Path) -> None:
    old = [row("one", "known", reason="raises: an error"), row("two", "known", reason="raises: an error")]
    new = [row("one", "known", reason="ignores: no error"), row("two", "known", reason="raises: in other words")]
    assert kinds(compared(tmp_path, old, new)) == [("other", "one")]


def test_every_pair_of_different_statuses_is_a_change(tmp_path: Path) -> None:
    for old in STATUSES:
        for new in STATUSES:
            found = compared(tmp_path, [row("one", old)], [row("one", new)])
            assert len(found.changes) == (old != new)


def test_cases_are_matched_by_key(tmp_path: Path) -> None:
    found = compared(tmp_path, [row("old-name", key="k")], [row("new-name", key="k"), row("old-name", key="other")])
    assert kinds(found) == [("added-case", "old-name")]
    assert found.unchanged == 1


def test_the_same_case_under_several_names_is_matched_once_each(tmp_path: Path) -> None:
    old = [row("one", key="k"), row("two", "fail", key="k")]
    new = [row("two", "fail", key="k"), row("one", key="k"), row("three", "fail", key="k")]
    assert kinds(compared(tmp_path, old, new)) == [("added-fail", "three")]


def test_lost_and_added_cases(tmp_path: Path) -> None:
    found = compared(tmp_path, [row("one"), row("two")], [row("one"), row("three"), row("four", "fail")])
    assert kinds(found) == [("added-fail", "four"), ("lost-case", "two"), ("added-case", "three")]


@pytest.mark.parametrize(
    ("old", "new", "matched"),
    [
        (["a"], ["a"], {"a": "a"}),
        (["a@1"], ["a@2"], {"a@1": "a@2"}),
        (["a"], ["a@2"], {"a": "a@2"}),
        (["a@1", "b"], ["b", "a"], {"b": "b", "a@1": "a"}),
        (["a", "a@1"], ["a", "a@2"], {"a": "a", "a@1": "a@2"}),
        (["a@1", "a@2"], ["a@3"], {}),
        (["a@1", "a@2"], ["a@2", "a@3"], {"a@2": "a@2", "a@1": "a@3"}),
        (["a"], ["b"], {}),
        (["a[x]@1"], ["a[y]@1"], {}),
    ],
)
def test_implementations_are_matched_without_their_versions(
    old: list[str], new: list[str], matched: dict[str, str]
) -> None:
    assert match(old, new) == matched


def test_implementations_of_one_run_only_are_listed_apart_from_the_changes(tmp_path: Path) -> None:
    old = [row("one"), row("one", implementation="removed"), row("two", implementation="removed")]
    found = compared(tmp_path, old, [row("one"), row("one", "fail", implementation="added")])
    assert not found.changes
    assert [(name, len(rows)) for name, rows in found.only_old.items()] == [("removed", 2)]
    assert list(found.only_new) == ["added"]


def test_drifts_compare_the_error_ratios_of_cases_that_pass_in_both_runs(tmp_path: Path) -> None:
    names = [f"case-{number}" for number in range(100)]
    old = [row(name, tensors={"h_n": 0.01, "c_n": 0.5}) for name in names]
    new = [row(name, tensors={"h_n": 0.02, "c_n": 0.25}) for name in names]
    old[42] = row("case-42", tensors={"h_n": 0.001, "c_n": 0.5})
    old.append(row("failed", "fail", tensors={"h_n": 9.0}))
    new.append(row("failed", tensors={"h_n": 0.1}))
    drifts = compared(tmp_path, old, new).drifts
    assert drifts[0].widest == "a.yaml::case-42"
    assert [(drift.tensor, drift.cases, drift.old, drift.new, drift.ratio) for drift in drifts] == [
        ("h_n", 100, (0.01, 0.01), (0.02, 0.02), 2.0),
        ("c_n", 100, (0.5, 0.5), (0.25, 0.25), 0.5),
    ]


def test_growth_from_zero_exceeds_any_factor(tmp_path: Path) -> None:
    drifts = compared(tmp_path, [row("one", error_ratio=0.0)], [row("one", error_ratio=0.1)]).drifts
    assert drifts[0].ratio == math.inf
    [same] = compared(tmp_path, [row("one", error_ratio=0.0)], [row("one", error_ratio=0.0)]).drifts
    assert (same.changed, same.ratio) == (False, 1.0)


@pytest.mark.parametrize(("count", "value"), [(1, 0), (50, 49), (100, 98), (200, 197)])
def test_percentiles_are_values_that_occur(count: int, value: int) -> None:
    assert percentile(range(count)) == value


def test_power_is_lost_if_no_passed_case_detects_a_defect_any_more(tmp_path: Path) -> None:
    old = [row("one", detects=2, detected="3"), row("two", detects=1, detected="4")]
    found = compared(tmp_path, old, [row("one", detects=2, detected="3"), row("two", "fail")])
    assert found.lost_power == {"mine": ("c",)}
    assert compared(tmp_path, old, [row("one", detects=2, detected="3")], defects=["a", "b"]).lost_power == {}


@pytest.mark.parametrize("new", [{}, {"detects": 0, "detected": "0", "power_sizes": {"seq_len": 12}}])
def test_a_case_that_passes_but_is_not_measured_alike_loses_no_power(tmp_path: Path, new: dict[str, Any]) -> None:
    old = [row("one", detects=2, detected="3"), row("two", detects=1, detected="4")]
    assert compared(tmp_path, old, [row("one", **new), row("two", "fail")]).lost_power == {"mine": ("c",)}


def test_changed_provenance_is_listed(tmp_path: Path) -> None:
    same: dict[str, Any] = {"planned": {"mine": 1, "never-ran": 1}, "threads": {"OMP_NUM_THREADS": "1"}}
    old: dict[str, Any] = {"suite": None, "machine": {"cpus": 4, "python": "3.11"}, "packages": {}}
    new: dict[str, Any] = {"suite": "2", "machine": {"cpus": 8, "python": "3.11"}, "selection": "-k lengths"}
    new |= {"packages": {"mine": {"framework": "2"}}, "controls": {"wrong-gates": "fail"}}
    before = report(tmp_path / "old.jsonl", row("one"), **same, **old)
    after = report(tmp_path / "new.jsonl", row("one"), device="gpu", **same, **new)
    assert {fact.what: (fact.old, fact.new) for fact in compare(before, after).provenance} == {
        "suite": ("", "2"),
        "selection": ("", "-k lengths"),
        "machine: cpus": ("4", "8"),
        "control: wrong-gates": ("absent", "fail"),
        "mine: framework": ("absent", "2"),
        "mine: device": ("cpu", "gpu"),
    }


def test_provenance_follows_an_implementation_to_its_new_version(tmp_path: Path) -> None:
    old, new = row("one", implementation="mine@1"), row("one", implementation="mine@2")
    found = compared(tmp_path, [old], [new], packages={"mine@2": {"framework": "2"}})
    assert [(fact.what, fact.old, fact.new) for fact in found.provenance] == [("mine@2: framework", "1", "2")]


def test_an_implementation_without_rows_is_in_both_runs_if_both_planned_it(tmp_path: Path) -> None:
    planned = {"mine": 1, "never-ran": 1}
    old, new = (report(tmp_path / name, row("one"), complete=False, planned=planned) for name in ("old", "new"))
    assert compare(old, new).matched == {"mine": "mine", "never-ran": "never-ran"}


# --------------------------------------------------------------------------- the command


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    old = [
        row("breaks", detects=1, detected="1"),
        row("mends", "fail"),
        row("drops"),
        row("lost"),
        row("drifts", error_ratio=0.01),
    ]
    new = [row("breaks", "fail", reason="h_n is off " * 9), row("mends"), row("drops", "unsupported")]
    report(tmp_path / "old.jsonl", *old)
    report(tmp_path / "new.jsonl", *new, row("drifts", error_ratio=0.05), packages={"mine": {"framework": "2"}})
    return tmp_path


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("", 1),
        ("new-fail", 1),
        ("none", 0),
        ("error-ratio>4.5x", 1),
        ("error-ratio>5x", 0),
        ("error-ratio>1x,none-such", 2),
        ("lost-power", 1),
        ("lost-case", 1),
        ("new-unsupported", 1),
        ("provenance", 1),
        ("added-fail,new-known,not-run,incomplete", 0),
        ("fixed", 1),
        ("error-ratio>0.5x", 2),
        ("error-ratio>2", 2),
        ("none,new-fail", 2),
    ],
)
def test_a_comparison_fails_on_its_conditions(condition: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--fail-on", condition] if condition else []
    assert main(["compare", "old.jsonl", "new.jsonl", *asked]) == code
    printed = capsys.readouterr()
    assert ("FAILED on " in printed.out) == (code == 1)
    assert ("--fail-on" in printed.err) == (code == 2)


@pytest.mark.usefixtures("files")
def test_an_unknown_condition_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old.jsonl", "new.jsonl", "--fail-on", "newfail"]) == 2
    assert "unknown condition 'newfail', did you mean 'new-fail'?" in capsys.readouterr().err
    assert main(["compare", "old.jsonl", "new.jsonl", "--fail-on", "error-ratio>twice"]) == 2
    assert main(["compare", "old.jsonl", "new.jsonl", "--fail-on", ""]) == 2
    assert "needs a factor: error-ratio>2x" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_the_help_names_every_condition(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    printed = capsys.readouterr().out
    assert all(f"  {kind}" in printed or f" {kind}" in printed for kind in (*KINDS, *OTHER_CONDITIONS))


@pytest.mark.usefixtures("files")
def test_the_terminal_output_has_at_most_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", "old.jsonl", "new.jsonl", "--fail-on", "new-fail"])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[3:8] == [
        "newly failing: 1",
        "  mine",
        "    pass → fail: h_n is off h_n is off h_n is off h_n is off h_n is off h_n is",
        "    off h_n is off h_n is off h_n is off",
        "      a.yaml::breaks",
    ]
    assert "    h_n                           1    0.01 →   0.05    0.01 →   0.05  5.00x" in lines
    assert "  mine: framework: 1 → 2" in lines
    assert lines[-2:] == [
        "1 newly failing, 1 newly unsupported, 1 lost, 1 fixed, 1 unchanged",
        "FAILED on new-fail: 1 row newly failing",
    ]


@pytest.mark.usefixtures("files")
def test_json_holds_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old.jsonl", "new.jsonl", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["failed_on"] == ["new-fail: 1 row newly failing"]
    assert found["counts"]["fixed"] == 1
    assert found["changes"][0]["new"]["status"] == "fail"
    assert found["lost_power"] == {"mine": ["a"]}
    assert found["error_ratio"][0]["p99"] == [0.01, 0.05]


def test_markdown_is_written_too(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "old.jsonl", "new.jsonl", "--markdown", "out/changes.md"]) == 1
    text = (files / "out" / "changes.md").read_text()
    assert "**FAILED on new-fail: 1 row newly failing.**" in text
    assert "| `mine` | 1 | fail → pass | before: because fail | `a.yaml::mends` |" in text
    assert "1 newly failing" in capsys.readouterr().out


def test_incomplete_and_invalid_runs_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path / "old.jsonl", row("one"), complete=False)
    report(tmp_path / "new.jsonl", row("one"), controls={"wrong-gates": "pass"})
    paths = [str(tmp_path / "old.jsonl"), str(tmp_path / "new.jsonl")]
    assert main(["compare", *paths]) == 0
    printed = capsys.readouterr().out
    assert "the old run: INCOMPLETE" in printed
    assert "the new run: INVALID" in printed
    assert main(["compare", *paths, "--fail-on", "incomplete"]) == 1


def test_runs_without_a_common_implementation_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report(tmp_path / "old.jsonl", row("one", implementation="a"))
    report(tmp_path / "new.jsonl", row("one", "fail", implementation="b"))
    paths = [str(tmp_path / "old.jsonl"), str(tmp_path / "new.jsonl")]
    assert main(["compare", *paths]) == 0
    assert "no implementation is in both runs" in capsys.readouterr().out
    assert main(["compare", *paths, "--fail-on", "lost-case,added-fail"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED on lost-case: not in the new run: a" in printed
    assert "FAILED on added-fail: failing and not in the old run: b" in printed
