"""Campaigns: deviations are confirmed in a fresh process, shrunk and grouped."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from conformance.adapters import Adapter, Solution
from conformance.campaign.campaign import MAX_EMPTY_DRAWS, Campaign, Outcome, Settings, shortest_sequence
from conformance.campaign.draw import Drawer
from conformance.campaign.groups import Groups
from conformance.campaign.journal import Tally
from conformance.cases.case import Case
from conformance.cases.casefile import load
from conformance.run import implementations
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem
from conformance.worker.client import WorkerAdapter
from tests.conftest import FAKES
from tests.fakes import Faithful, Raises

FEATURES = frozenset({"float32", "lengths", "bidirectional", "gradients", "no bias", "state omitted"})


class WrongInReverse(Faithful):
    """Returns a wrong final state if there are two directions, and raises an error without biases."""

    name = "wrong-in-reverse"

    def solve(self, problem: Problem) -> Solution:
        if not problem.case.bias:
            raise ValueError(f"no biases for {problem.case.hidden_size} units")
        solution = dict(super().solve(problem))
        if problem.case.direction == "bidirectional" and "h_n" in solution:
            solution["h_n"] = 1 - solution["h_n"]
        return solution


def campaign(adapter: Adapter, cases: int, **options: object) -> Campaign:
    settings = Settings(cases=cases, max_seconds=0.1)
    drawers = {adapter.name: Drawer(1, FEATURES, settings.max_seconds)}
    runner = Runner(Oracle(None), diagnoses=False)
    return Campaign(runner, settings, drawers, **options)  # type: ignore[arg-type]


def outcomes(run: Campaign, adapter: Adapter) -> list[Outcome]:
    return list(run.run([(adapter, ())]))


def grouped(folder: Path, found: Sequence[Outcome]) -> Groups:
    groups = Groups(folder)
    for outcome in found:
        if outcome.signature:
            groups.count(outcome.result.implementation, outcome.signature, outcome.minimal)
    return groups


def test_a_faithful_implementation_passes_all_cases() -> None:
    run = campaign(Faithful(), 40)
    found = outcomes(run, Faithful())
    assert [outcome.result.status for outcome in found] == ["pass"] * 40
    assert [outcome.number for outcome in found] == list(range(40))
    assert len(run.drawers["faithful"].seen) > 500


def test_deviations_are_grouped_and_shrunk(tmp_path: Path) -> None:
    found = outcomes(campaign(WrongInReverse(), 40), WrongInReverse())
    deviating = [outcome for outcome in found if outcome.result.deviates]
    wrong, error = sorted(grouped(tmp_path, found).groups, key=lambda group: group.what.startswith("error"))
    assert wrong.count + error.count == len(deviating) > 10
    assert sum(outcome.minimal is not None for outcome in found) < 6
    [case] = load(tmp_path / wrong.file)
    options = {"input_size": 1, "hidden_size": 1, "seq_len": 1, "batch": 1, "direction": "bidirectional"}
    assert case.canonical == Case.model_validate(options | {"initial_state": "zero"}).canonical
    [case] = load(tmp_path / error.file)
    assert (
        case.key
        == Case.model_validate(
            {"input_size": 1, "hidden_size": 1, "seq_len": 1, "batch": 1, "bias": False, "initial_state": "zero"}
        ).key
    )


def test_an_interrupted_campaign_continues_with_the_next_case() -> None:
    tally = Tally()
    tally.next, tally.statuses["pass"] = 30, 30
    rest = outcomes(campaign(Faithful(), 40, tallies={"faithful": tally}), Faithful())
    every = outcomes(campaign(Faithful(), 40), Faithful())
    assert [outcome.result.key for outcome in rest] == [outcome.result.key for outcome in every[30:]]


def test_a_campaign_ends_when_its_time_is_over() -> None:
    run = campaign(Faithful(), 100)
    run.settings = Settings(seconds=5.0, max_seconds=0.1)
    run.clock = itertools.count().__next__
    assert len(outcomes(run, Faithful())) == 4


def test_a_campaign_ends_at_a_number() -> None:
    run = campaign(Faithful(), 100, tallies={"faithful": Tally(next=3)})
    run.settings = Settings(end=5, max_seconds=0.1)
    assert [outcome.number for outcome in outcomes(run, Faithful())] == [3, 4]


def test_a_campaign_ends_if_an_implementation_supports_nothing() -> None:
    class Refuses(Faithful):
        def supports(self, case: Case) -> str | None:
            return f"not {case.name}"

    run = campaign(Refuses(), 10)
    assert outcomes(run, Refuses()) == []
    assert len(run.drawers["faithful"].refused) <= MAX_EMPTY_DRAWS


def test_an_error_in_every_case_is_one_group(tmp_path: Path) -> None:
    found = outcomes(campaign(Raises(), 5), Raises())
    [group] = grouped(tmp_path, found).groups
    assert (group.what, group.count) == ("error: RuntimeError: no kernel for float32", 5)


def test_a_deviation_with_a_known_signature_is_not_shrunk_again() -> None:
    known = {"raises": {"error: RuntimeError: no kernel for float#"}}
    assert [each.minimal for each in outcomes(campaign(Raises(), 3, known=known), Raises())] == [None] * 3


def test_a_deviation_that_depends_on_earlier_calls_is_reported_with_them(tmp_path: Path) -> None:
    [worker] = implementations.load_all([f"{FAKES}:Remembers"], isolated=True)
    assert isinstance(worker, WorkerAdapter)
    run = campaign(worker, 8)
    run.drawers["remembers"] = Drawer(0, worker.declared_features(), 0.1)  # type: ignore[index]
    try:
        found = outcomes(run, worker)
    finally:
        worker.close()
    [group] = grouped(tmp_path, found).groups
    assert group.count == sum(outcome.result.deviates for outcome in found) >= 1
    assert group.what.startswith("fail: depends on earlier calls: deviates after random-")
    before, last = load(tmp_path / group.file)
    assert (before.bias, last.bias) == (False, True)


def test_an_implementation_that_cannot_start_ends_its_campaign(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text(
        "from tests.fakes import Faithful\n\n\nclass Gone(Faithful):\n    name = 'gone'\n"
    )
    adapters = implementations.load_all([f"{tmp_path}/gone.py:Gone"], isolated=True)
    (tmp_path / "gone.py").write_text("raise SystemExit(7)\n")
    run = Campaign(Runner(Oracle(None)), Settings(cases=1000), {"gone": Drawer(0)})
    assert 0 < len(list(run.run([(each, ()) for each in adapters]))) < 5


@pytest.mark.parametrize(
    ("needed", "found"),
    [([3], [3]), ([1, 6], [1, 6]), ([7], [7]), ([0], [0]), (["never"], None)],
)
def test_the_shortest_sequence_of_earlier_cases_is_found(needed: list[object], found: list[int] | None) -> None:
    history: Sequence[object] = range(8)
    assert shortest_sequence(history, lambda some: set(needed) <= set(some)) == found
