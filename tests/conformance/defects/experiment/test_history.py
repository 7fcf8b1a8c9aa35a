"""Solutions that depend on earlier calls are recognized."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Solution
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.history import dependence
from conformance.defects.experiment.probes import probe
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered, no_gradients

Key = Callable[[Problem], Any]


class Remembers(Altered):
    """Adds 1 to h_n if an earlier call of this process had the same key, but another content.

    Attributes:
        key: function that returns the key of a problem.
        content: function that returns what must be the same.
    """

    def __init__(self, key: Key, content: Key = lambda problem: problem.input.tobytes()) -> None:
        super().__init__("remembers")
        self.key, self.content = key, content
        self.restart()

    def restart(self) -> None:
        self._first: dict[Any, Any] = {}

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        content = self.content(problem)
        if self._first.setdefault(self.key(problem), content) != content:
            found["h_n"] = found["h_n"] + 1
        return found


@pytest.mark.parametrize(
    ("adapter", "name", "earlier"),
    [
        (
            Remembers(lambda problem: problem.input.shape),
            "lengths",
            "of the same shape and lengths or of the same shape and other lengths or without gradients",
        ),
        (
            Remembers(lambda problem: problem.input.shape, lambda problem: tuple(problem.case.lengths or ())),
            "lengths",
            "of the same shape and other lengths",
        ),
        (
            Remembers(lambda _: 0, lambda problem: "gradients" in problem.case.check),
            "one layer",
            "without gradients",
        ),
        (Remembers(lambda _: 0, lambda problem: problem.input.shape), "one layer", "of another shape"),
    ],
    ids=["shape", "lengths", "gradients", "other shape"],
)
def test_the_harmful_earlier_call_is_named(adapter: Remembers, name: str, earlier: str) -> None:
    subject = Subject(adapter, restart=adapter.restart)
    trial = subject.try_problem(subject.problem(probe(name, "float64")))
    other = subject.problem(probe("one step", "float64"))
    assert dependence(subject, trial, other) == [
        f"correct when run alone in a fresh process: depends on an earlier call {earlier}"
    ]


def test_a_failure_that_repeats_in_a_fresh_process_does_not_depend_on_history() -> None:
    adapter = Altered("wrong", after=lambda found, _: found | {"h_n": -found["h_n"]})
    calls: list[int] = []
    subject = Subject(adapter, restart=lambda: calls.append(1))
    trial = subject.try_problem(subject.problem(probe("one layer", "float64")))
    assert dependence(subject, trial, None) == []
    assert calls == [1]
    assert dependence(Subject(adapter), trial, None) == []


def test_a_probe_that_fails_after_another_one_is_not_explained_otherwise() -> None:
    adapter = Remembers(lambda _: 0, lambda problem: problem.input.shape)
    result = dissect(Subject(adapter, restart=adapter.restart), ("one layer", "one step"))
    assert [finding.what for finding in result.findings] == [
        "correct when run alone in a fresh process: depends on an earlier call of another shape"
    ]
    assert result.failing == result.unexplained == ["one step"]


def test_lengths_that_are_kept_from_an_earlier_call_are_found() -> None:
    adapter = Remembers(lambda problem: problem.input.shape, lambda problem: tuple(problem.case.lengths or ()))
    result = dissect(Subject(adapter, restart=adapter.restart), ("lengths",))
    assert [finding.what for finding in result.findings] == [
        "with other lengths: correct when run alone in a fresh process: depends on an earlier call of the same shape "
        "and other lengths"
    ]
    assert not result.repeats


def test_runs_that_fail_are_counted() -> None:
    class EveryThird(Altered):
        calls = 0

        def solve(self, problem: Problem) -> Solution:
            self.calls += 1
            found = dict(super().solve(problem))
            return found | ({"h_n": found["h_n"] + 1} if self.calls % 3 == 0 else {})

    result = dissect(Subject(EveryThird("third", refuses=no_gradients)), ("one layer",))
    assert not result.repeats
    assert result.findings[1].what in ("3 of 10 runs of the same problem fail", "4 of 10 runs of the same problem fail")


def test_a_missing_process_is_reported() -> None:
    result = dissect(Subject(Altered("in-process")), ("one row",))
    assert result.left_out == {"a fresh process": "the implementation has no process of its own"}
    assert np.isinf(Subject(Altered("in-process")).deadline)
