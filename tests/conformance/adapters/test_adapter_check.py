"""The adapter check: correct adapters pass, and each fault gives its violation and no other."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conformance.adapters import Adapter, Solution
from conformance.adapters.check import EXAMPLES, check_adapter, check_adapters
from conformance.cases.case import Case
from conformance.verdict import oracle
from conformance.verdict.problem import Problem, Tensors
from reference import Dialect

FORWARD = ("output", "h_n", "c_n")


class Correct(Adapter):
    """The reference itself, rounded to the case's dtype."""

    name = "correct"

    def supports(self, case: Case) -> str | None:
        return "correct has no lengths" if case.lengths is not None else None

    def solve(self, problem: Problem) -> Solution:
        return self.compute(problem)

    def compute(self, problem: Problem) -> dict[str, NDArray[Any]]:
        tensors = oracle.solve(problem, Dialect())
        return {name: np.array(tensors[name]) for name in problem.expected_shapes()}


class WithoutGradients(Correct):
    """Counts what it solves, by the names of the cases."""

    def __init__(self) -> None:
        self.solved: Counter[str] = Counter()

    def supports(self, case: Case) -> str | None:
        return "no gradients" if "gradients" in case.check else None

    def solve(self, problem: Problem) -> Solution:
        self.solved[problem.case.name] += 1
        return self.compute(problem)


class SupportsNothing(Correct):
    def supports(self, case: Case) -> str | None:
        del case
        return "nothing is supported"


class ChangesInput(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        problem.input[...] = 0
        return solution


class ChangesLengths(Correct):
    def supports(self, case: Case) -> str | None:
        del case
        return None

    def solve(self, problem: Problem) -> Solution:
        if problem.lengths is not None:
            problem.lengths.sort()
        return self.compute(problem)


class ReturnsInput(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return {name: problem.input if name == "grad.input" else array for name, array in solution.items()}


class ReturnsOneArrayTwice(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"c_n": solution["h_n"][::1]}


class Random(Correct):
    """Adds a number below the budget, and a different one in each call."""

    numbers = count()

    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"h_n": solution["h_n"] + next(self.numbers) * 1e-18 * np.abs(solution["h_n"]).max() * 1e2}


class KeepsWeights(Correct):
    """Keeps the weights of the first call for each configuration."""

    def __init__(self, deviation: float = 0.0) -> None:
        self.weights: dict[object, Tensors] = {}
        self.deviation = deviation

    def solve(self, problem: Problem) -> Solution:
        case = problem.case
        key = (case.hidden_size, case.num_layers, case.direction, case.bias, case.proj_size, case.dtype)
        weights = self.weights.setdefault(key, problem.parameters)
        solution = self.compute(replace(problem, parameters=weights))
        return solution | {name: array + self.deviation for name, array in solution.items() if name != "c_n"}


class KeepsState(Correct):
    """Starts from the last call's final states if a problem omits the initial state."""

    def __init__(self) -> None:
        self.states: Tensors | None = None

    def supports(self, case: Case) -> str | None:
        return super().supports(case) or ("no gradients" if "gradients" in case.check else None)

    def solve(self, problem: Problem) -> Solution:
        states = problem.initial_state
        if states is None and self.states and self.states["h_0"].shape == (1, 2, 4):
            states = self.states
        solution = self.compute(replace(problem, initial_state=states))
        self.states = {"h_0": solution["h_n"], "c_0": solution["c_n"]} if "h_n" in solution else None
        return solution


class ReusesItsBuffers(Correct):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[Any]] = {}

    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        for name, array in solution.items():
            self.buffers.setdefault(name, np.empty_like(array))[...] = array
        return {name: self.buffers[name] for name in solution}


class Raises(Correct):
    def solve(self, problem: Problem) -> Solution:
        raise NotImplementedError("no such option")


class RaisesAfterADeviation(Correct):
    """Raises for float64 and, after that, once more for the next problem."""

    broken = False

    def solve(self, problem: Problem) -> Solution:
        broken, self.broken = self.broken, problem.case.dtype == "float64"
        if broken or self.broken:
            raise RuntimeError("broken")
        return self.compute(problem)


class ReturnsNoReason(Correct):
    def supports(self, case: Case) -> str | None:
        del case
        return ""


class OmitsTensors(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return {name: array for name, array in solution.items() if name not in ("grad.c_0", "c_n")}


class AddsATensor(Correct):
    def solve(self, problem: Problem) -> Solution:
        return self.compute(problem) | {"hidden": np.zeros(1)}


class Transposes(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution = self.compute(problem)
        return solution | {"h_n": solution["h_n"].swapaxes(0, 1).copy()}


class ReturnsLists(Correct):
    def solve(self, problem: Problem) -> Solution:
        solution: Mapping[str, Any] = self.compute(problem)
        return {**solution, "h_n": solution["h_n"].tolist()}


class ReturnsATuple(Correct):
    def solve(self, problem: Problem) -> Any:
        return tuple(self.compute(problem).values())


class InventsMasks(Correct):
    def dropout_masks(self, problem: Problem) -> Tensors:
        del problem
        return {"l0": np.zeros((1, 1, 1))}


class Wrong(Correct):
    """Deviates in every tensor, in the same way each time."""

    def solve(self, problem: Problem) -> Solution:
        return {name: array + 0.1 for name, array in self.compute(problem).items()}


class Shared:
    """What two adapters share, such as a module."""

    weights: Tensors | None = None


class Lends(Correct):
    """Leaves its weights in what it shares."""

    name = "lends"

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    def solve(self, problem: Problem) -> Solution:
        self.shared.weights = problem.parameters
        return self.compute(problem)


class Borrows(Lends):
    """Uses the weights that it finds in what it shares, if they have the right shapes."""

    name = "borrows"

    def solve(self, problem: Problem) -> Solution:
        weights, self.shared.weights = self.shared.weights or problem.parameters, None
        return self.compute(replace(problem, parameters=weights))


@pytest.mark.parametrize(
    ("adapter", "violations"),
    [
        (Correct(), []),
        (ChangesInput(), ["solve changed the problem's input"]),
        (ReturnsInput(), ["grad.input shares memory with the problem's input"]),
        (ReturnsOneArrayTwice(), ["h_n shares memory with c_n"]),
        (Random(), ["the second solution of a problem differs from the first in h_n: "]),
        (KeepsWeights(), ["draw 1 deviates in 10 tensors that conform in draw 0, as if solve kept values of "]),
        (ReusesItsBuffers(), ["solving another problem changed the arrays of an earlier solution"]),
        (Raises(), ["supports returned None, but solve raised NotImplementedError: no such option"]),
        (OmitsTensors(), ["missing from the solution: c_n, grad.c_0", "missing from the solution: c_n"]),
        (AddsATensor(), ["the solution has unexpected tensors: hidden"]),
        (Transposes(), ["h_n has shape (2, 1, 4), expected (1, 2, 4)"]),
        (ReturnsLists(), ["h_n is not a NumPy array of floating-point numbers"]),
        (ReturnsATuple(), ["solve returned a tuple, expected a mapping of names to arrays"]),
        (InventsMasks(), ["dropout_masks has shapes {'l0': (1, 1, 1)}, expected {}"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Adapter) else "",
)
def test_each_fault_gives_its_violation(case: Callable[..., Case], adapter: Adapter, violations: list[str]) -> None:
    found = check_adapter(adapter, [case(hidden_size=4, batch=2, name="only")])
    assert len(found) == len(violations)
    for line, violation in zip(found, violations, strict=True):
        assert line.startswith(f"only: {violation}")


def test_changed_lengths_are_detected(case: Callable[..., Case]) -> None:
    padded = case(lengths=(4, 1, 2, 3), padding="random", name="padded")
    assert check_adapter(ChangesLengths(), [padded]) == ["padded: solve changed the problem's lengths"]


def test_a_reason_must_be_text(case: Callable[..., Case]) -> None:
    assert check_adapter(ReturnsNoReason(), [case(name="only")])[0] == (
        "only: supports returned '', expected None or a reason"
    )


@pytest.mark.parametrize("cases", [EXAMPLES, ()])
def test_an_adapter_that_supports_nothing_does_not_pass(cases: tuple[Case, ...]) -> None:
    assert check_adapter(SupportsNothing(), cases) == [
        "correct: supports accepted none of the cases, so nothing was checked"
    ]


def test_an_unsupported_case_is_not_solved(case: Callable[..., Case]) -> None:
    assert "nothing was checked" in check_adapter(Raises(), [case(lengths="ragged")])[0]


def test_without_gradients_the_forward_half_of_every_example_is_checked() -> None:
    adapter = WithoutGradients()
    examples = [example for example in EXAMPLES if example.lengths is None and example.forward_only()]
    assert check_adapter(adapter, examples) == []
    assert adapter.solved == {example.name: 4 for example in examples}


def test_weights_kept_from_the_first_call_are_detected() -> None:
    violations = check_adapter(KeepsWeights())
    assert any(
        line.startswith("one layer: draw 1 deviates in 10 tensors that conform in draw 0") for line in violations
    )


def test_weights_kept_from_the_first_call_are_detected_in_an_implementation_with_deviations() -> None:
    [line] = [line for line in check_adapter(KeepsWeights(deviation=0.1)) if line.startswith("one layer: ")]
    assert (
        "draw 1 deviates in 1 tensors that conform in draw 0, as if solve kept values of an earlier problem: c_n"
        in line
    )


def test_a_state_that_survives_a_call_is_detected() -> None:
    violations = check_adapter(KeepsState())
    assert [line.partition(":")[0] for line in violations] == ["no state", "no bias, no state"]
    assert all("the second solution of a problem differs from the first" in line for line in violations)


def test_a_case_without_a_name_is_named_by_its_options(case: Callable[..., Case]) -> None:
    nameless = case()
    assert check_adapter(Raises(), [nameless])[0].startswith(nameless.canonical)


def test_a_correct_adapter_passes_all_examples() -> None:
    assert check_adapter(Correct()) == []


def test_an_implementation_that_always_deviates_cannot_be_compared() -> None:
    [line] = check_adapter(Wrong())
    assert line.startswith("correct: no tensor of any case conforms to the reference")


def test_a_problem_that_raises_must_not_affect_the_next() -> None:
    violations = check_adapter(RaisesAfterADeviation(), [case for case in EXAMPLES if case.name.startswith("float")])
    assert "float64: supports returned None, but solve raised RuntimeError: broken" in violations
    assert [line for line in violations if "only when solving a problem" in line]


def test_adapters_that_share_state_are_detected_only_together(case: Callable[..., Case]) -> None:
    cases, shared = [case(name="only")], Shared()
    adapters = [Borrows(shared), Lends(shared)]
    assert all(check_adapter(adapter, cases) == [] for adapter in reversed(adapters))
    shared.weights = None
    violations = check_adapters(adapters, cases)
    assert {line.partition(":")[0] for line in violations} == {"only[borrows]"}
