"""Every way in which an implementation can go wrong has exactly one status."""

import pytest

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.known.divergences import Divergence
from conformance.results.record import Status
from conformance.run.runner import RefusedCaseError, Runner, order
from conformance.verdict.oracle import Oracle
from tests import fakes


def make_case(**options: object) -> Case:
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "name": "a-case", "file": "a.yaml"}
    return Case.model_validate(values | options)


def make_divergence(**options: object) -> Divergence:
    values: dict[str, object] = {
        "id": "one",
        "implementation": "*",
        "package": "numpy",
        "versions": ">=1",
        "cases": {"dtype": "float32"},
        "tensors": ["h_n", "grad.*"],
        "what": "It turns signs round.",
        "reason": "unknown",
        "upstream": "none found",
        "reproduction": "none.py",
    }
    return Divergence.model_validate(values | options)


@pytest.mark.parametrize(
    ("adapter", "status", "reason"),
    [
        (fakes.Faithful, "pass", ""),
        (fakes.Views, "pass", ""),
        (fakes.Prints, "pass", ""),
        (fakes.Wrong, "fail", "grad.input"),
        (fakes.BatchFirstStates, "fail", "batch-first"),
        (fakes.NotANumber, "fail", "output"),
        (fakes.Incomplete, "fail", "c_n"),
        (fakes.Borderline, "fail", "output"),
        (fakes.OnceBorderline, "pass", ""),
        (fakes.Nothing, "error", "TypeError: solve returned a NoneType"),
        (fakes.Raises, "error", "RuntimeError: no kernel for float32"),
        (fakes.AsksToExit, "error", "SystemExit: 3"),
        (fakes.CannotTell, "error", "LookupError: a-case"),
        (fakes.Mutates, "error", "read-only"),
        (fakes.Picky, "unsupported", "only plain LSTMs"),
        (fakes.Absent, "not-run", "pip install a-framework"),
    ],
)
def test_each_fault_has_one_status(adapter: type[Adapter], status: Status, reason: str) -> None:
    result = Runner(Oracle(None)).check(make_case(), adapter())
    assert (result.status, reason in result.reason) == (status, True), result
    assert bool(result.details) == (status == "fail")
    assert bool(result.traceback) == (status == "error")
    assert (result.error_ratio is not None) == (status in ("pass", "fail"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"direction": "bidirectional"}, None),
        ({"dtype": "float64"}, "declares is not driven in float64"),
        ({"num_layers": 2}, "declares has a single layer"),
        ({"lengths": "ragged"}, "declares wants full batches"),
        ({"bias": False}, "declares always has biases"),
    ],
)
def test_what_is_not_declared_is_refused_with_a_reason(options: dict[str, object], reason: str | None) -> None:
    result = Runner(Oracle(None)).check(make_case(**options), fakes.Declares())
    assert (result.status, result.reason) == (("unsupported", reason) if reason else ("pass", ""))


def test_without_gradients_the_forward_half_is_checked() -> None:
    case = make_case()
    result = Runner(Oracle(None)).check(case, fakes.ForwardOnly())
    assert (result.status, result.key) == ("pass", case.key)
    assert set(result.tensors) == {"output", "h_n", "c_n"}
    assert result.unchecked == {"gradients": "forward-only has no gradients"}


def test_a_case_of_gradients_alone_is_unsupported_without_them() -> None:
    result = Runner(Oracle(None)).check(make_case(check=["gradients"]), fakes.ForwardOnly())
    assert (result.status, result.unchecked) == ("unsupported", {})


def test_all_deviating_tensors_are_reported_at_once() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.Wrong())
    assert set(result.details) == {"h_n", "grad.input"}
    assert result.tensors["h_n"] > 1 > result.tensors["output"]
    assert result.error_ratio == max(result.tensors.values())


def test_bad_luck_in_one_draw_is_noted() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.OnceBorderline())
    assert result.status == "pass"
    assert result.error_ratio is not None
    assert result.error_ratio <= 1, "it is that of the draws that decided"
    assert "in the case's own draw, within budget in two others" in result.notes[0]


def test_warnings_are_kept_and_change_no_status() -> None:
    result = Runner(Oracle(None)).check(make_case(), fakes.Warns())
    assert (result.status, result.notes) == ("pass", ("UserWarning: this kernel is slow",))


def test_an_interrupt_is_no_result() -> None:
    adapter = fakes.Interrupts()
    runner = Runner(Oracle(None))
    runner.check(make_case(), adapter)
    with pytest.raises(KeyboardInterrupt):
        runner.check(make_case(), adapter)


def test_a_chaotic_case_is_refused_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.verdict.oracle.MAX_CONDITION", 1.0)
    refusing = Runner(Oracle(None))
    with pytest.raises(RefusedCaseError, match=r"^a\.yaml:7: plain cannot be judged: rounding"):
        refusing.check(make_case(name="plain", line=7), fakes.Zeros())


def test_time_is_booked_by_phase() -> None:
    seconds = Runner(Oracle(None)).check(make_case(), fakes.Faithful()).seconds
    assert {"import", "problem", "solve", "reference", "budget", "judging"} <= set(seconds)
    assert all(spent >= 0 for spent in seconds.values())


def test_an_implementation_is_described_once() -> None:
    runner = Runner(Oracle(None))
    list(runner.run([(fakes.Faithful(), [make_case(), make_case(seq_len=6)])]))
    assert runner.descriptions == {"faithful": {"made of": "the reference"}}


@pytest.mark.parametrize(
    ("adapter", "divergence", "status"),
    [
        (fakes.Wrong, {}, "known"),
        (fakes.Wrong, {"tensors": ["h_n"]}, "fail"),
        (fakes.Wrong, {"versions": "<1"}, "fail"),
        (fakes.Wrong, {"package": "a-package-that-is-not-there"}, "fail"),
        (fakes.Wrong, {"cases": {"dtype": ["float64", "float16"]}}, "fail"),
        (fakes.Wrong, {"cases": {"check": "gradients", "dtype": ["float64", "float32"]}}, "known"),
        (fakes.Wrong, {"implementation": "other*"}, "fail"),
        (fakes.Faithful, {}, "fixed"),
        (fakes.OnceBorderline, {}, "fixed"),
        (fakes.Faithful, {"versions": "<1"}, "pass"),
        (fakes.Faithful, {"always": False}, "pass"),
        (fakes.Wrong, {"always": False}, "known"),
        (fakes.Wrong, {"always": False, "tensors": ["h_n"]}, "fail"),
        (fakes.Raises, {}, "error"),
        (fakes.Raises, {"tensors": [], "error": "no kernel.*float32"}, "known"),
        (fakes.Raises, {"tensors": [], "error": "another message"}, "error"),
        (fakes.Wrong, {"tensors": [], "error": "no kernel"}, "fail"),
        (fakes.Picky, {}, "unsupported"),
    ],
)
def test_a_divergence_excuses_what_it_describes(
    adapter: type[Adapter], divergence: dict[str, object], status: Status
) -> None:
    runner = Runner(Oracle(None), [make_divergence(**divergence)])
    assert runner.check(make_case(), adapter()).status == status


@pytest.mark.parametrize(("tensors", "status"), [(["grad.*"], "known"), (["c_n"], "fail")])
def test_divergences_excuse_together_what_they_describe(tensors: list[str], status: Status) -> None:
    entries = [make_divergence(tensors=["h_n"]), make_divergence(id="two", tensors=tensors)]
    result = Runner(Oracle(None), entries).check(make_case(), fakes.Wrong())
    assert result.status == status
    assert status == "fail" or result.reason.startswith("one and two: ")


def test_alike_layers_run_next_to_each_other() -> None:
    cases = [make_case(hidden_size=size, name=f"{size}-{number}") for number in (1, 2) for size in (4, 5)]
    assert [case.name for case in sorted(cases, key=order)] == ["4-1", "4-2", "5-1", "5-2"]


def test_what_a_report_shows_of_a_failure_is_kept_of_its_worst_tensors() -> None:
    result = Runner(Oracle(None)).check(make_case(num_layers=2, notes="why"), fakes.NotANumber())
    wrong = Runner(Oracle(None)).check(make_case(num_layers=2), fakes.Wrong())
    assert set(result.details["output"]["evidence"]) >= {"worst", "histogram", "map"}
    for each in (result, wrong):
        assert 1 <= sum("evidence" in detail for detail in each.details.values()) <= 4


def test_a_result_holds_what_its_case_is() -> None:
    result = Runner(Oracle(None)).check(make_case(num_layers=2, notes="why", tags=("t",)), fakes.Picky())
    assert result.options == {
        "input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "num_layers": 2, "notes": "why"
    }  # fmt: skip
    assert make_case(**result.options).key == result.key
