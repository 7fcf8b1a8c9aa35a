"""Questions of a bisection: which cases show a divergence, and what a release answers."""

import pytest

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.casefile import load_selected
from conformance.environments.requirements import Spec
from conformance.known import divergences as known
from conformance.run import implementations, on_demand, search
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter
from conformance.worker.start import isolate
from tests.conftest import FAKES
from tests.fakes import Declares, Faithful, Raises, Zeros

ENTRIES = {entry.id: entry for entry in known.shipped()}


def test_only_supported_cases_look_for_a_divergence() -> None:
    cases = load_selected([], [])
    adapter = implementations.load("opencv.dnn")
    found = search.cases_for(ENTRIES["opencv-sequence-lens"], adapter, cases)
    assert found
    assert all(adapter.supports(case.forward_only() or case) is None for case in found)


@pytest.mark.parametrize(
    ("adapter", "tensors", "deviates", "text"),
    [
        (Faithful, None, False, "conforms"),
        (Zeros, None, True, "fail: "),
        (Faithful, ["*"], False, "conforms"),
        (Zeros, ["*"], True, "known: zeros: returns zeros"),
        (Zeros, ["h_n"], False, "deviates otherwise: "),
    ],
)
def test_a_release_has_a_deviation_or_not(
    monkeypatch: pytest.MonkeyPatch, adapter: type[Adapter], tensors: list[str] | None, deviates: bool, text: str
) -> None:
    entry = divergence(adapter.name, tensors) if tensors else None
    finding = ask(monkeypatch, worker(adapter), entry)
    assert finding.deviates is deviates
    assert finding.text.startswith(text)


def test_a_release_that_cannot_run_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, "no wheel\nfor this Python") == search.Finding(None, "no wheel for this Python")
    unsupported = ask(monkeypatch, worker(Declares), lengths=(1, 2))
    assert unsupported == search.Finding(None, "declares needs rows of equal length")


def test_a_release_on_which_every_case_raises_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = ask(monkeypatch, worker(Raises), divergence(Raises.name, ["*"]))
    assert finding.deviates is None
    assert finding.text.startswith("every case raises: RuntimeError: no kernel for float32")
    assert ask(monkeypatch, worker(Raises)).deviates, "the error is the deviation of a case"


def divergence(implementation: str, tensors: list[str]) -> known.Divergence:
    """Returns a divergence of another version than the installed one."""
    words = {"what": "returns zeros", "reason": "r", "upstream": "none as of 2026-11", "reproduction": "x.py"}
    where = {"implementation": implementation, "package": "numpy", "versions": "==0", "cases": {"bias": True}}
    return known.Divergence.model_validate({"id": "zeros", "tensors": tensors, "error_ratio": 1e9, **where, **words})


def worker(adapter: type[Adapter]) -> WorkerAdapter:
    return isolate(adapter(), f"{FAKES}:{adapter.__name__}")


def ask(
    monkeypatch: pytest.MonkeyPatch,
    found: WorkerAdapter | str,
    entry: known.Divergence | None = None,
    lengths: tuple[int, ...] | None = None,
) -> search.Finding:
    """Asks a question about a small case. The release has the given worker, or the reason why it has none."""
    monkeypatch.setattr(on_demand, "usable", lambda _: found)
    case = Case(name="small", file="t.yaml", input_size=2, hidden_size=2, seq_len=2, batch=2, lengths=lengths)
    return search.Question([case], entry, Oracle(None)).ask(Spec("fake", ()))
