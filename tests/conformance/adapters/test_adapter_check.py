"""The check of adapters: an honest one passes, and each fault gives its violation and no other."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.adapters import Adapter, Solution
from conformance.adapters.check import check_adapter
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors
from reference import backward, forward


class Honest(Adapter):
    """The reference itself, as an implementation."""

    name = "honest"

    def supports(self, case: Case) -> str | None:
        return "honest has no lengths" if case.lengths is not None else None

    def solve(self, problem: Problem) -> Solution:
        return self.compute(problem)

    def compute(self, problem: Problem) -> dict[str, NDArray[Any]]:
        trace = forward(
            problem.case.model,
            problem.parameters,
            problem.input,
            problem.initial_state,
            dropout_masks=problem.dropout_masks,
        )
        tensors = trace.outputs | backward(trace, problem.cotangents)
        return {name: np.array(tensors[name]) for name in problem.expected_shapes()}


class Changes(Honest):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        problem.input[...] = 0
        return solution


class ChangesLengths(Honest):
    def supports(self, case: Case) -> str | None:
        del case
        return None

    def solve(self, problem: Problem) -> Solution:
        if problem.lengths is not None:
            problem.lengths.sort()
        return self.compute(problem)


class HandsOutInput(Honest):
    def solve(self, problem: Problem) -> Solution:
        return self.compute(problem) | {"grad.input": problem.input}


class HandsOutTwice(Honest):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"grad.bias_hh_l0": solution["grad.bias_ih_l0"][::1]}


class Random(Honest):
    numbers = count()

    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"h_n": solution["h_n"] + next(self.numbers)}


class KeepsState(Honest):
    """The first result for a problem that differs from the one before holds something of that one."""

    before: tuple[bytes, float] = (b"", 0.0)
    carried = 0.0

    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        same = problem.input.tobytes()
        if same != self.before[0]:
            self.carried = self.before[1]
        self.before = (same, float(solution["h_n"].sum()))
        return solution | {"h_n": solution["h_n"] + self.carried}


class ReusesItsBuffers(Honest):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[Any]] = {}

    def solve(self, problem: Problem) -> Solution:
        for name, array in self.compute(problem).items():
            self.buffers.setdefault(name, np.empty_like(array))[...] = array
        return dict(self.buffers)


class Lies(Honest):
    def solve(self, problem: Problem) -> Solution:
        raise NotImplementedError("no such option")


class GivesNoReason(Honest):
    def supports(self, case: Case) -> str | None:
        del case
        return ""


class Forgets(Honest):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        del solution["grad.c_0"], solution["c_n"]
        return solution


class Adds(Honest):
    def solve(self, problem: Problem) -> Solution:
        return self.compute(problem) | {"hidden": np.zeros(1)}


class Transposes(Honest):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"h_n": solution["h_n"].swapaxes(0, 1).copy()}


class GivesLists(Honest):
    def solve(self, problem: Problem) -> Solution:
        solution: Mapping[str, Any] = self.compute(problem)
        return {**solution, "h_n": solution["h_n"].tolist()}


class InventsMasks(Honest):
    def dropout_masks(self, problem: Problem) -> Tensors:
        del problem
        return {"l0": np.zeros((1, 1, 1))}


@pytest.mark.parametrize(
    ("adapter", "violations"),
    [
        (Honest(), []),
        (Changes(), ["solve changed the problem's input"]),
        (HandsOutInput(), ["grad.input shares memory with the problem's input"]),
        (HandsOutTwice(), ["grad.bias_ih_l0 shares memory with grad.bias_hh_l0"]),
        (Random(), ["the same problem solved twice gives different bytes"]),
        (KeepsState(), ["the result depends on what was solved before"]),
        (ReusesItsBuffers(), ["solving another problem changed the arrays of an earlier solution"]),
        (Lies(), ["supports says yes, and solve raised NotImplementedError: no such option"]),
        (GivesNoReason(), ["supports gives '', neither None nor a reason in words"]),
        (Forgets(), ["the solution lacks c_n, grad.c_0"]),
        (Adds(), ["the solution has hidden, which nobody asked for"]),
        (Transposes(), ["h_n has shape (2, 1, 5), expected (1, 2, 5)"]),
        (GivesLists(), ["h_n is no NumPy array of floating-point numbers"]),
        (InventsMasks(), ["dropout_masks has shapes {'l0': (1, 1, 1)}, expected {}"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Adapter) else "",
)
def test_each_fault_gives_its_violation(case: Callable[..., Case], adapter: Adapter, violations: list[str]) -> None:
    only = case(batch=2, name="only")
    assert check_adapter(adapter, [only]) == [f"only: {violation}" for violation in violations]


def test_changed_lengths_are_seen(case: Callable[..., Case]) -> None:
    padded = case(lengths=(4, 1, 2, 3), padding="random", name="padded")
    assert check_adapter(ChangesLengths(), [padded]) == ["padded: solve changed the problem's row lengths"]


def test_what_is_not_supported_is_not_solved(case: Callable[..., Case]) -> None:
    assert check_adapter(Lies(), [case(lengths="ragged")]) == []


def test_a_case_without_a_name_is_named_by_its_options(case: Callable[..., Case]) -> None:
    nameless = case()
    assert check_adapter(Lies(), [nameless])[0].startswith(nameless.canonical)


def test_the_examples_are_passed_by_an_honest_adapter() -> None:
    assert check_adapter(Honest()) == []
