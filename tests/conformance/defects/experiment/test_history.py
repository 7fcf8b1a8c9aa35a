"""Solutions that depend on earlier calls are recognized."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Solution
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.history import dependence, kept
from conformance.defects.experiment.inputs import read_rules
from conformance.defects.experiment.probes import probe
from conformance.defects.experiment.trial import Subject
from conformance.verdict.problem import Problem
from tests.conformance.defects.experiment.broken import Altered, no_gradients, parameters

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


def test_a_probe_that_fails_after_another_one_depends_on_history() -> None:
    adapter = Remembers(lambda _: 0, lambda problem: problem.input.shape)
    result = dissect(Subject(adapter, restart=adapter.restart), ("one layer", "one step"))
    assert [finding.what for finding in result.history] == [
        "correct when run alone in a fresh process: depends on an earlier call of another shape"
    ]
    assert not result.failing
    assert not result.findings
    assert not result.is_correct


class NegatesToo(Remembers):
    """Negates h_n, also in a fresh process."""

    def solve(self, problem: Problem) -> Solution:
        found = dict(super().solve(problem))
        return found | {"h_n": -found["h_n"]}


def test_what_still_fails_in_a_fresh_process_is_explained() -> None:
    adapter = NegatesToo(lambda _: 0, lambda problem: problem.input.shape)
    adapter.refuses = no_gradients
    result = dissect(Subject(adapter, restart=adapter.restart), ("one layer", "one step"))
    assert [finding.what for finding in result.history] == [
        "different when run alone in a fresh process: depends on an earlier call of another shape"
    ]
    assert [(finding.what, finding.verified) for finding in result.findings] == [("returns h_n multiplied by -1", True)]
    assert result.repeats


def test_lengths_that_are_kept_from_an_earlier_call_are_found() -> None:
    adapter = Remembers(lambda problem: problem.input.shape, lambda problem: tuple(problem.case.lengths or ()))
    result = dissect(Subject(adapter, restart=adapter.restart), ("lengths",))
    assert [finding.what for finding in result.history] == [
        "with other lengths: correct when run alone in a fresh process: depends on an earlier call of the same shape "
        "and other lengths"
    ]
    assert not result.failing
    assert not result.findings


class Keeps(Altered):
    """Keeps something of the first call, or of the call before.

    Attributes:
        read: function that returns the problem that is solved, given the first one.
        give: function that returns the results, given those of the call before.
    """

    def __init__(
        self,
        read: Callable[[Problem, Problem], Problem] = lambda problem, _: problem,
        give: Callable[[Any, Any], Any] = lambda found, _: found,
    ) -> None:
        super().__init__("keeps")
        self.read, self.give = read, give
        self.restart()

    def restart(self) -> None:
        self._first: Problem | None = None
        self._last: Any = None

    def solve(self, problem: Problem) -> Solution:
        self._first = self._first or problem
        found = dict(super().solve(self.read(problem, self._first)))
        returned = found if self._last is None else self.give(found, self._last)
        self._last = found
        return dict(returned)


def first_bias(problem: Problem, first: Problem) -> Problem:
    return parameters(problem, lambda name, own: (first.parameters if name.startswith("bias_hh") else own)[name])


@pytest.mark.parametrize(
    ("adapter", "what"),
    [
        (Keeps(read=first_bias), "reads bias_hh of an earlier call"),
        (Keeps(give=lambda found, last: found | {"c_n": last["c_n"]}), "returns c_n of the call before"),
        (
            Keeps(give=lambda found, last: found | {"grad.h_0": found["grad.h_0"] + last["grad.h_0"]}),
            "returns grad.h_0 plus that of the call before",
        ),
        (Keeps(give=lambda found, last: found | {"h_n": found["h_n"] * last["h_n"]}), ""),
        (Keeps(), ""),
    ],
    ids=["parameter", "result", "sum", "product", "nothing"],
)
def test_what_is_kept_of_an_earlier_call_is_named(adapter: Keeps, what: str) -> None:
    subject = Subject(adapter, restart=adapter.restart)
    trial = subject.try_problem(subject.problem(probe("one layer", "float64")))
    assert kept(subject, trial) == what
    assert kept(Subject(adapter), trial) == ""


def test_what_is_kept_is_named_besides_another_mistake() -> None:
    other = next(rule for rule in read_rules(probe("one layer", "float64")) if str(rule) == "ignores bias_ih")

    def both(problem: Problem, first: Problem) -> Problem:
        return parameters(first_bias(problem, first), lambda name, own: own[name] * (not name.startswith("bias_ih")))

    adapter = Keeps(read=both)
    subject = Subject(adapter, restart=adapter.restart)
    case = probe("one layer", "float64").forward_only()
    assert case
    trial = subject.try_problem(subject.problem(case))
    assert kept(subject, trial, (other,)) == "reads bias_hh of an earlier call"
    assert kept(subject, trial) == ""


def test_a_forgetful_subject_starts_a_new_process_for_each_problem() -> None:
    adapter = Keeps(read=first_bias)
    subject = Subject(adapter, restart=adapter.restart, forgets=True)
    assert all(
        subject.try_problem(subject.problem(probe(name, "float64"))).verdict.conforms
        for name in ("one layer", "one step")
    )


def test_a_state_that_is_carried_over_is_named() -> None:
    class Carries(Keeps):
        def solve(self, problem: Problem) -> Solution:
            if problem.initial_state is None and self._last is not None:
                state = {"h_0": self._last["h_n"], "c_0": self._last["c_n"]}
                problem = replace(problem, initial_state=state)
            return super().solve(problem)

    adapter = Carries()
    subject = Subject(adapter, restart=adapter.restart)
    case = probe("no initial state", "float64").forward_only()
    assert case
    trial = subject.try_problem(subject.problem(case))
    assert kept(subject, trial) == "starts from the final states of the call before"


def test_runs_that_fail_are_counted() -> None:
    class EveryThird(Altered):
        calls = 0

        def solve(self, problem: Problem) -> Solution:
            self.calls += 1
            found = dict(super().solve(problem))
            return found | ({"h_n": found["h_n"] + 1} if self.calls % 3 == 0 else {})

    result = dissect(Subject(EveryThird("third", refuses=no_gradients)), ("one layer",))
    assert not result.repeats
    assert result.findings[1].what in (f"fails in {count} of 10 runs of the same problem" for count in (3, 4))


def test_a_missing_process_is_reported() -> None:
    result = dissect(Subject(Altered("in-process")), ("one row",))
    assert result.left_out == {"a fresh process": "the implementation has no process of its own"}
    assert np.isinf(Subject(Altered("in-process")).deadline)
