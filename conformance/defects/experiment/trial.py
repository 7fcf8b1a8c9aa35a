"""Trials: problems that an implementation solves, with the reference's solutions and their tolerances."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from conformance.adapters import Adapter
from conformance.adapters.adapter import as_arrays
from conformance.cases.case import Case
from conformance.defects.diagnosis.diagnose import rounds_only_as
from conformance.defects.diagnosis.observation import Observation
from conformance.defects.diagnosis.search import MAX_MISFIT, MAX_UNEXPLAINED_SHARE
from conformance.defects.experiment.blocks import has_all_blocks
from conformance.errors import abridge, message_of
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES

Arrays = dict[str, Any]

_SMALLEST, _LARGEST = 1e-300, 1e300

MAX_CHANGED_MOMENTS = 64
"""Largest T·B of a case whose blocks are changed one by one."""
MAX_SEARCHED_MOMENTS = 512
"""Largest T·B of a case in which a mistake is searched for."""


class ImplementationError(Exception):
    """Wraps an error of the implementation. Its message is the first line of the original one.

    The second line follows if the first one only announces it, as those of Keras and ``load_state_dict`` do.

    Attributes:
        error: the original error.
    """

    def __init__(self, error: Exception) -> None:
        # An error of a worker process has a status, and names the original error.
        kind = "" if hasattr(error, "status") else f"{type(error).__name__}: "
        first, *others = [line.strip() for line in message_of(error).splitlines() if line.strip()] or [""]
        announced = others[:1] if first.endswith((":", "().")) else []
        super().__init__(kind + abridge(" ".join([first, *announced])))
        self.error = error


class OutOfTimeError(Exception):
    """The deadline of the experiments on an implementation has passed."""


@dataclass(frozen=True)
class Trial:
    """A solution of a problem by an implementation, and how the reference solves it.

    Attributes:
        judged: the solution, the reference's, and the budget.
        verdict: the verdict on the solution.
        change: function that was applied to the drawn problem, and applies to further draws; None for none.
    """

    judged: JudgedSolution
    verdict: Verdict
    change: Callable[[Problem], Problem] | None = None

    @property
    def case(self) -> Case:
        """The case."""
        return self.judged.problem.case

    @property
    def problem(self) -> Problem:
        """The problem."""
        return self.judged.problem

    @property
    def is_driven(self) -> bool:
        """Whether the problem reads off activations, see ``conformance.defects.experiment.drive``."""
        return self.change is not None

    @property
    def can_be_changed(self) -> bool:
        """Whether the tensors consist of few enough blocks to change each."""
        return self.can_be_searched and not self.case.has_direction and self._moments <= MAX_CHANGED_MOMENTS

    @property
    def can_be_searched(self) -> bool:
        """Whether the tensors consist of few enough blocks to search for each."""
        return not self.is_driven and has_all_blocks(self.case) and self._moments <= MAX_SEARCHED_MOMENTS

    @property
    def _moments(self) -> int:
        return self.case.seq_len * (self.case.rows or 1)

    @cached_property
    def observation(self) -> Observation:
        """The solution, with one tolerance per tensor."""
        return Observation(self.judged)

    @property
    def complete(self) -> bool:
        """Whether all tensors, and no others, are present with the right shapes."""
        return self.observation.got.keys() == self.observation.shapes.keys() == self.judged.solution.keys()

    @property
    def comparable(self) -> bool:
        """Whether the solution is complete and finite."""
        return self.complete and self.observation.finite

    def accepts(self, solution: Mapping[str, Any]) -> bool:
        """Returns whether another solution of the problem conforms."""
        return judge(self.problem, solution, self.judged.expectation).conforms

    def mismatches(self, prediction: Mapping[str, Any]) -> list[str]:
        """Returns the names of the tensors that a prediction does not reproduce within the budget."""
        return [name for name, misfit in self._misfits(prediction).items() if not misfit <= MAX_MISFIT]

    def distance(self, prediction: Mapping[str, Any]) -> float:
        """Returns the mean logarithm of the deviations of all elements from a prediction, in tolerances."""
        logarithms = []
        for name, value in prediction.items():
            tolerance = self.tolerance(name) or _SMALLEST
            deviation = np.abs(self.observation.got[name] - value)
            logarithms.append(
                np.log10(1.0 + np.nan_to_num(deviation / tolerance, nan=_LARGEST, posinf=_LARGEST)).ravel()
            )
        return float(np.concatenate(logarithms).mean())

    def _misfits(self, prediction: Mapping[str, Any]) -> dict[str, float]:
        """Returns the misfit of each tensor, without the elements that the dialect leaves open."""
        expected = self.judged.expectation
        specified = {
            name: np.where(np.isinf(expected.budget[name]), expected.values[name], array)
            for name, array in prediction.items()
        }
        return self.observation.misfits(specified)

    def misfit(self, prediction: Mapping[str, Any]) -> float:
        """Returns the largest |deviation| of any tensor from a prediction, in tolerances."""
        if not self.complete or prediction.keys() != self.observation.got.keys():
            return math.inf
        return max(self._misfits(prediction).values())

    def is_reproduced(self, prediction: Mapping[str, Any]) -> bool:
        """Returns whether a prediction reproduces every tensor, and most of the deviation from the reference.

        A solution that conforms is reproduced within the budget, but has no deviation.
        """
        misfit = self.misfit(prediction)
        if self.verdict.conforms:
            return misfit <= MAX_MISFIT
        return misfit <= MAX_MISFIT and misfit <= MAX_UNEXPLAINED_SHARE * max(
            self.observation.reference_misfits.values()
        )

    def tolerance(self, name: str) -> float:
        """Returns the largest budget of a tensor's specified elements."""
        budget = self.judged.expectation.budget[name]
        return float(np.max(budget, where=np.isfinite(budget), initial=0.0))


@dataclass
class Subject:
    """An implementation under experiment.

    Attributes:
        adapter: adapter of the implementation.
        oracle: source of the expected solutions.
        restart: function that ends the implementation's process, so that the next call starts a new one; None if it
            does not have a process of its own.
        clock: function that returns the CPU seconds that the experiments have taken.
        deadline: time of this clock after which no problem is solved.
        forgets: whether each problem is solved in a new process.
        solved: number of problems that the implementation has solved.
    """

    adapter: Adapter
    oracle: Oracle = field(default_factory=lambda: Oracle(None))
    restart: Callable[[], None] | None = None
    clock: Callable[[], float] = time.thread_time
    deadline: float = math.inf
    forgets: bool = False
    solved: int = 0

    def supported(self, case: Case) -> Case | str:
        """Returns a case, or its forward half, if the implementation supports it; otherwise the reason."""
        reason: str | None = _call(self.adapter.supports, case)
        if reason is None:
            return case
        forward = case.forward_only()
        if forward:
            reason = _call(self.adapter.supports, forward)
        return forward if forward and reason is None else reason or ""

    def problem(self, case: Case, draw: int = 0) -> Problem:
        """Draws a problem, as the implementation's dialect requires."""
        return make_problem(case, draw).under(_call(self.adapter.dialect, case))

    def solve(self, problem: Problem) -> Arrays:
        """Solves a problem with the implementation.

        Raises:
            OutOfTimeError: the deadline has passed.
        """
        if self.clock() > self.deadline:
            raise OutOfTimeError
        if self.forgets and self.restart:
            self.restart()
        self.solved += 1
        return _call(as_arrays, _call(self.adapter.solve, problem))  # type: ignore[no-any-return]

    def try_problem(self, problem: Problem, change: Callable[[Problem], Problem] | None = None) -> Trial:
        """Solves a problem and judges the solution.

        Args:
            problem: the problem.
            change: function that is applied to the problem before; None for none.
        """
        problem = change(problem) if change else problem
        case, adapter = problem.case, self.adapter
        dialect = _call(adapter.dialect, case)
        expectation = self.oracle.expect(problem, _call(adapter.profile, case), dialect)
        solution = self.solve(problem)
        verdict = judge(problem, solution, expectation)
        return Trial(JudgedSolution(problem, solution, expectation, dialect), verdict, change)

    def try_draw(self, trial: Trial, draw: int) -> Trial:
        """Solves another draw of a trial's problem."""
        return self.try_problem(self.problem(trial.case, draw), trial.change)

    def is_float32(self, trial: Trial) -> bool:
        """Returns whether a deviating float64 solution conforms with the rounding of float32."""
        if trial.case.dtype != "float64" or trial.verdict.conforms:
            return False
        problem, solution, _, dialect = trial.judged
        single = PROFILES["float32"]
        expected = self.oracle.expect(problem, single, dialect)
        # What is only copied is rounded, too.
        budget = {name: array + single.u * np.abs(expected.values[name]) for name, array in expected.budget.items()}
        return judge(problem, solution, replace(expected, budget=budget)).conforms

    def is_exact(self, case: Case) -> bool:
        """Returns whether the declared rounding is that of the case's dtype, or finer."""
        return rounds_only_as(_call(self.adapter.profile, case), case.dtype)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:  # An implementation may raise any exception.
        raise ImplementationError(error) from error


def tensors_read(problem: Problem) -> Arrays:
    """Returns the parameters, the input and the given initial states of a problem."""
    return {**problem.parameters, "input": problem.input, **(problem.initial_state or {})}


def with_block(problem: Problem, changed: Mapping[str, Any]) -> Problem:
    """Returns a problem in which some of the tensors that are read, or cotangents, are replaced."""
    state = problem.initial_state
    return replace(
        problem,
        parameters={name: changed.get(name, array) for name, array in problem.parameters.items()},
        input=changed.get("input", problem.input),
        initial_state=state and {name: changed.get(name, array) for name, array in state.items()},
        cotangents={name: changed.get(f"cotangent.{name}", array) for name, array in problem.cotangents.items()},
    )
