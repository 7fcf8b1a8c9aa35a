"""Groups of deviations, and the case files of their minimal cases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign.groups import Group, Groups, Minimal, case_file, note_of, same_kind, signature
from conformance.cases.case import Case
from conformance.cases.casefile import load
from conformance.results.record import Result
from conformance.run.runner import blank

CASE = Case(input_size=2, hidden_size=(3, 4), seq_len=5, batch="unbatched", activations=("relu",) * 3, seed=9)


def result(status: Any, reason: str = "", tensors: str = "", causes: str = "") -> Result:
    return Result(
        "random-1",
        "k",
        "a.LSTM[x]",
        status,
        reason,
        details={name: {"reason": "wrong"} for name in tensors.split()},
        causes=dict.fromkeys(causes.split(), "what"),
    )


def add(groups: Groups, deviation: Result) -> Group:
    own = signature(deviation)
    return groups.count(deviation.implementation, own, Minimal(deviation, [CASE], own))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (result("error", "E: size 3"), result("error", "E: size 17"), True),
        (result("error", "E: size"), result("error", "F: size"), False),
        (result("error", "E: size"), result("crash", "E: size"), False),
        (result("fail", "off by 1", "h_n c_n"), result("fail", "off by 2", "c_n h_n"), True),
        (result("fail", "", "grad.weight_ih_l0"), result("fail", "", "grad.weight_ih_l2_reverse"), True),
        (result("fail", "", "h_n"), result("fail", "", "c_n"), False),
        (result("fail", "accepted a"), result("fail", "accepted a"), True),
        (result("fail", "accepted a"), result("fail", "accepted b"), False),
        (result("fail", "", "h_n", "a b"), result("fail", "", "c_n", "b a"), True),
    ],
)
def test_deviations_with_the_same_cause_have_the_same_signature(one: Result, other: Result, same: bool) -> None:
    assert (signature(one) == signature(other)) is same


def test_a_smaller_case_may_deviate_in_fewer_tensors() -> None:
    assert same_kind(result("fail", "", "h_n c_n"), result("fail", "", "c_n", "a"))
    assert not same_kind(result("fail", "", "h_n"), result("fail", "", "output"))
    assert not same_kind(result("fail", "", "h_n"), result("error", "E"))


def test_an_accepted_mistake_deviates_in_no_tensor() -> None:
    assert same_kind(result("fail", "accepted a"), result("fail", "accepted a"))
    assert not same_kind(result("fail", "accepted a"), result("fail", "accepted b"))


def test_a_case_file_holds_the_case_and_the_explanation(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(case_file(result("error", 'E: "line\n\x1btwo" é'), [CASE], "conformance run one.yaml -i x"))
    [case] = load(path)
    assert case.key == CASE.key
    assert case.name == "minimal"
    assert case.notes == 'a.LSTM[x]: error: E: "line \\x1btwo" é'
    assert path.read_text().startswith("# conformance run one.yaml -i x\n")


def test_a_case_file_holds_a_sequence_in_order(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    before = CASE.model_copy(update={"seed": 8})
    path.write_text(case_file(result("fail", "wrong"), [before, CASE], "command"))
    cases = load(path)
    assert [case.name for case in cases] == ["before-1", "minimal"]
    assert [case.key for case in cases] == [before.key, CASE.key]
    assert "in one process in this order" in cases[0].notes


def test_a_group_is_found_by_its_signatures(tmp_path: Path) -> None:
    groups = Groups(tmp_path, specs={"a.LSTM[x]": "file.py:LSTM"})
    first, second = add(groups, result("error", "E: 1")), add(groups, result("error", "F: 1"))
    assert (first.file, second.file) == ("cases/a.LSTM-x-1.yaml", "cases/a.LSTM-x-2.yaml")
    assert groups.find("a.LSTM[x]", "error: E: #") is first
    assert groups.find("another", "error: E: #") is None
    assert "-i file.py:LSTM" in (tmp_path / second.file).read_text()


def test_deviations_with_the_same_minimal_case_are_one_group(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    first = add(groups, result("error", "E: 1"))
    again = groups.count("a.LSTM[x]", "fail: h_n", Minimal(result("error", "E: 2"), [CASE], "error: E: #"))
    assert groups.count("a.LSTM[x]", "fail: h_n", None) is again is first
    assert (first.count, len(groups.groups)) == (3, 1)
    assert groups.signatures == {"a.LSTM[x]": {"error: E: #", "fail: h_n"}}


def test_groups_are_counted_again_from_the_notes_of_rows(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    first, second = (add(groups, result("error", reason)) for reason in ("E", "F"))
    rows = [replace(result("error", "E"), notes=("a warning", note_of(first))) for _ in range(3)]
    groups.recount([*rows, result("pass")])
    assert (first.count, second.count) == (3, 0)


def test_a_blank_result_of_a_minimal_case_keeps_its_seed() -> None:
    assert blank(CASE, "a", "pass").options["seed"] == 9
