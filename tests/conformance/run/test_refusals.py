"""Cases with a mistake: only an error of the implementation is a refusal. Everything else is a deviation."""

from typing import Any

import pytest

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.known.divergences import Divergence
from conformance.results.record import Result, Status
from conformance.run import implementations
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from tests import fakes
from tests.divergences import make_divergence


def make(**options: Any) -> Case:
    sizes = {"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "check": ["output"], "name": "a-case"}
    return Case.model_validate({**sizes, "refuses": "c_0-rows", **options})


def make_entry(**options: Any) -> Divergence:
    broadcasts = {"cases": {"refuses": ["c_0-rows", "c_0-units"]}, "tensors": [], "what": "It broadcasts a state."}
    return make_divergence(**broadcasts | options)


def check(adapter: Adapter, case: Case, *entries: Divergence) -> Result:
    return Runner(Oracle(None), entries).check(case, adapter)


REFUSED = "refused: ValueError: c_0 must be ('float32', (1, 3, 4)), got ('float32', (1, 1, 4))"


@pytest.mark.parametrize(
    ("adapter", "status", "reason"),
    [
        (fakes.Refuses, "pass", ""),
        (fakes.Faithful, "fail", "accepted c_0 with a single row, expected an error"),
        (fakes.RefusesEverything, "error", "ValueError: this kernel never runs"),
        (fakes.Raises, "error", "RuntimeError: no kernel for float32"),
        (fakes.Picky, "unsupported", "only plain LSTMs"),
    ],
)
def test_only_an_error_of_the_implementation_passes(adapter: type[Adapter], status: Status, reason: str) -> None:
    result = check(adapter(), make())
    assert result.status == status, result
    assert result.reason.startswith(reason)
    assert result.notes == ((REFUSED,) if status == "pass" else ())
    assert result.error_ratio is None
    assert result.features == ("wrong state", "float32")


def test_an_error_of_the_adapter_is_no_refusal() -> None:
    result = check(fakes.RefusesInThreeWays(), make(refuses="c_0-units"))
    assert result.status == "error"
    assert result.reason == "the adapter, not the implementation, raised ValueError: this adapter checks units"
    assert "this adapter checks units" in result.traceback


def test_a_refusal_has_no_power_and_an_accepted_mistake_no_diagnosis() -> None:
    runner = Runner(Oracle(None))
    for adapter in (fakes.Refuses(), fakes.Faithful()):
        result = runner.check(make(), adapter)
        assert (result.diagnosis, result.causes, result.detects) == ("", {}, None)


@pytest.mark.parametrize("mistake", ["input-dtype", "input-axes", "h_0-units", "weight-transposed"])
def test_every_argument_can_be_wrong(mistake: str) -> None:
    result = check(fakes.Refuses(), make(refuses=mistake, lengths=[1, 5, 2]))
    assert result.status == "pass", result


def test_a_worker_tells_errors_of_the_implementation_from_those_of_the_adapter_and_from_crashes() -> None:
    (worker,) = implementations.load_all(["tests/fakes.py:RefusesInThreeWays"], isolated=True)
    found = [check(worker, make(refuses=mistake)) for mistake in ("c_0-rows", "c_0-units", "h_0-rows")]
    assert [(result.status, result.reason) for result in found] == [
        ("pass", ""),
        ("error", "the adapter, not the implementation, raised ValueError: this adapter checks units"),
        ("crash", "its process died of SIGFPE (floating point exception)"),
    ]
    assert found[0].notes == (REFUSED,)


def test_a_known_acceptance_is_known_and_a_refusal_is_then_fixed() -> None:
    entry = make_entry(accepts=True)
    known = check(fakes.Faithful(), make(), entry)
    assert (known.status, known.reason) == ("known", "one: It broadcasts a state.")
    fixed = check(fakes.Refuses(), make(), entry)
    assert (fixed.status, fixed.reason) == ("fixed", "one no longer happens: remove its entry")
    other = check(fakes.Faithful(), make(refuses="h_0-rows"), entry)
    assert other.status == "fail"


def test_an_entry_for_a_crash_does_not_cover_an_accepted_mistake() -> None:
    entry = make_entry(error="died of SIGFPE")
    assert check(fakes.Faithful(), make(), entry).status == "fail"
    assert check(fakes.Refuses(), make(), entry).status == "fixed"


def test_an_entry_matches_a_mistake_or_a_size_of_zero_only_if_it_names_it() -> None:
    def matches(case: Case, **options: Any) -> bool:
        return make_entry(**options).matches(case, "any", lambda _: "2")

    wrong, empty = make(), make(refuses=None, seq_len=0)
    by_dtype = {"cases": {"dtype": "float32"}, "tensors": ["h_n"]}
    assert (matches(wrong, **by_dtype), matches(empty, **by_dtype)) == (False, False)
    assert matches(wrong, accepts=True)
    assert matches(empty, cases={"seq_len": 0}, tensors=["h_n"])


def test_accepting_needs_the_mistakes() -> None:
    with pytest.raises(ValueError, match="accepts needs refuses in cases"):
        make_entry(accepts=True, cases={"dtype": "float32"})
