"""The condition under which an implementation fails is found by experiment."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.cases.case import Case
from conformance.defects.experiment import condition
from conformance.defects.experiment.trial import Subject
from conformance.verdict.oracle import Oracle
from tests.conformance.defects.experiment import broken

LARGE: dict[str, Any] = {"input_size": 4, "hidden_size": 40, "seq_len": 40, "batch": 20, "num_layers": 2}
RICH: dict[str, Any] = {"direction": "bidirectional", "lengths": "ragged", "batch_first": True, "dtype": "float64"}
SMALL = Case.model_validate({"input_size": 2, "hidden_size": 2, "seq_len": 2, "batch": 2, "bias": False})


def found(fails: Callable[[Case], bool | None], **options: Any) -> str:
    """Returns the condition that is found from one failing and one passing case."""
    return str(condition.find([Case.model_validate(LARGE | RICH | options)], [SMALL], fails) or "")


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda case: case.batch_first and case.direction != "forward" and case.bias, "not direction: forward, bias: "),
        (lambda case: case.rows is not None and case.rows >= 17, "batch ≥ 17 "),
        (lambda case: case.seq_len >= 10 and case.lengths is not None, "lengths, seq_len ≥ 10 "),
        (lambda case: max(case.hidden_sizes) % 8 == 0, "hidden_size is a multiple of 8 "),
        (lambda case: max(case.hidden_sizes) <= 64, "hidden_size ≤ 64 "),
        (lambda case: case.seq_len * (case.rows or 1) >= 257, "seq_len · batch ≥ 257 "),
        (lambda case: "gradients" in case.check and case.num_layers > 1, "gradients, num_layers ≥ 2 "),
        (lambda case: "c_n" in case.check and case.gives_state, "not initial_state: omitted, compares c_n "),
    ],
)
def test_terms_of_any_number_and_exact_bounds_are_found(fails: Callable[[Case], bool], words: str) -> None:
    text = found(lambda case: fails(case))
    assert text.startswith(words)
    assert "; confirmed on " in text


def test_one_row_is_a_condition() -> None:
    assert found(lambda case: case.rows == 1, batch=1).startswith("not unbatched, batch is 1 (1 of 1")


def test_known_cases_that_contradict_a_condition_refine_it() -> None:
    def fails(case: Case) -> bool:
        return case.direction == "bidirectional" and case.values != "uniform"

    failing = [Case.model_validate(LARGE | RICH | {"seq_len": steps}) for steps in (3, 4)]
    passing = [failing[0].model_copy(update={"values": "uniform", "bias": False}), SMALL]
    text = str(condition.find(failing, passing, fails))
    assert text.startswith("direction: bidirectional, not values: uniform (2 of 2 such cases fail, 0 of 2 others;")


def test_alternatives_are_joined() -> None:
    def fails(case: Case) -> bool:
        return case.batch_first or case.num_layers > 1

    failing = [Case.model_validate(LARGE | {"batch_first": True, "num_layers": 1}), Case.model_validate(LARGE)]
    text = str(condition.find(failing, [SMALL], fails))
    assert set(text.partition(" (")[0].split("; or ")) == {"batch_first: true", "num_layers ≥ 2"}


def test_failures_without_a_rule_have_no_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "_CONFIRMING", 3)
    monkeypatch.setattr(condition, "_CONFIRMING_ROUNDS", 1)
    monkeypatch.setattr(condition, "_MAX_REFINEMENTS", 1)
    assert not found(lambda case: int(case.key, 16) % 3 == 0 or case.num_layers == 2)


def test_cases_that_fail_for_another_reason_do_not_count() -> None:
    adapter = broken.Altered("mine", after=broken.average_weight_hh_gradient, refuses=lambda case: case.batch_first)
    outcome = condition.outcome_of(Subject(adapter, Oracle(None)))
    assert outcome(SMALL) is True
    assert outcome(SMALL.model_copy(update={"batch": 1})) is False
    assert outcome(SMALL.model_copy(update={"batch_first": True})) is None
