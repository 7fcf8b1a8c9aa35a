"""Cases × implementations to results. The command line and the pytest plug-in both run this."""

import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance import known, registry
from conformance.adapters import Adapter, Solution
from conformance.case import Case
from conformance.errors import UserError
from conformance.features import features
from conformance.judge import Verdict, judge
from conformance.oracle import ChaoticCaseError, Oracle
from conformance.problem import Problem, make_problem
from conformance.results import Result, Status

CONFIRMING_DRAWS = (1, 2)
"""Further draws of a case that decide when a deviation is beyond the budget, yet not beyond the rigorous bound."""

_KEPT_WARNINGS = 5


class RefusedCaseError(UserError):
    """A case that cannot be judged, with the reason."""


class _Attempt:
    """One case on one implementation as it goes on: CPU seconds by phase, and what the implementation warns of."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self._last = time.process_time()

    def charge(self, phase: str) -> None:
        """Books what has passed since the last call."""
        now = time.process_time()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last
        self._last = now

    def charge_to(self, parts: Mapping[str, float]) -> None:
        """Books what has passed since the last call by parts that were measured elsewhere."""
        for phase, seconds in parts.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        self._last = time.process_time()

    def call(self, function: Any, *arguments: Any) -> Any:
        """Calls into an adapter. What it raises is a result, save an interrupt by the user; warnings are kept."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return function(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise _Raised(error) from error
            finally:
                self.warnings += [f"{item.category.__name__}: {item.message}" for item in caught]


@dataclass
class Runner:
    """Runs cases, and remembers what holds for all of them.

    Attributes:
        oracle: gives what is expected of each problem.
        divergences: the known deviations.
    """

    oracle: Oracle
    divergences: Sequence[known.Divergence] = ()

    def __post_init__(self) -> None:
        self.descriptions: dict[str, dict[str, str]] = {}

    def check(self, case: Case, adapter: Adapter) -> Result:
        """One case on one implementation.

        Raises:
            RefusedCaseError: the case is chaotic: no rule can judge it.
        """
        attempt = _Attempt()
        draft = blank(case, adapter.name, "pass")
        absent = registry.missing(adapter)
        if absent:
            return replace(draft, status="not-run", reason=absent)
        result = self._supported(draft, case, adapter, attempt)
        notes = list(dict.fromkeys(attempt.warnings))[:_KEPT_WARNINGS]
        return replace(result, seconds=attempt.seconds, notes=(*result.notes, *notes))

    def run(self, plan: Sequence[tuple[Adapter, Sequence[Case]]]) -> Iterator[Result]:
        """All results of a plan, one implementation after the other."""
        for adapter, cases in plan:
            for case in sorted(cases, key=order):
                yield self.check(case, adapter)

    def _supported(self, draft: Result, case: Case, adapter: Adapter, attempt: _Attempt) -> Result:
        try:
            self._describe(adapter, attempt)
            attempt.charge("import")
            reason = attempt.call(adapter.supports, case)
            if reason is not None:
                return replace(draft, status="unsupported", reason=reason)
            verdict = self._verdict(case, adapter, attempt, draw=0)
            if verdict.conforms or verdict.proven:
                return self._judged(draft, case, verdict)
            confirmed = any(not self._verdict(case, adapter, attempt, draw).conforms for draw in CONFIRMING_DRAWS)
        except _Raised as raised:
            attempt.charge("solve")
            return self._raised(draft, case, raised.error)
        if confirmed:
            return self._judged(draft, case, verdict)
        note = f"headroom {verdict.headroom:.3g} in the case's own draw, within budget in two others"
        return self._judged(replace(draft, notes=(note,)), case, verdict, passed=True)

    def _describe(self, adapter: Adapter, attempt: _Attempt) -> None:
        """Asks once; this is what imports the framework."""
        if adapter.name not in self.descriptions:
            self.descriptions[adapter.name] = dict(attempt.call(adapter.describe))

    def _verdict(self, case: Case, adapter: Adapter, attempt: _Attempt, draw: int) -> Verdict:
        problem = make_problem(case, draw)
        attempt.charge("problem")
        problem = replace(problem, dropout_masks=attempt.call(adapter.dropout_masks, problem))
        solution = attempt.call(_solve, adapter, problem)
        profile, dialect = attempt.call(adapter.profile, case), attempt.call(adapter.dialect, case)
        attempt.charge("solve")
        before = dict(self.oracle.seconds)
        try:
            expectation = self.oracle.expect(problem, profile, dialect)
        except ChaoticCaseError as error:
            place = f"{case.file}:{case.line}" if case.file else case.name
            raise RefusedCaseError(f"{place}: {case.name} cannot be judged: {error}") from error
        attempt.charge_to({phase: spent - before.get(phase, 0.0) for phase, spent in self.oracle.seconds.items()})
        verdict = judge(problem, solution, expectation)
        attempt.charge("judging")
        return verdict

    def _judged(self, draft: Result, case: Case, verdict: Verdict, passed: bool = False) -> Result:
        failing = [tensor for tensor in verdict.tensors if tensor.reason]
        result = replace(
            draft, headroom=verdict.headroom, tensors={tensor.name: tensor.headroom for tensor in verdict.tensors}
        )
        expected = self._expected(case, draft.implementation)
        if passed or verdict.conforms:
            if not expected:
                return result
            return replace(result, status="fixed", reason=f"{expected[0].id} no longer happens: remove its entry")
        worst = max(failing, key=lambda tensor: tensor.headroom)
        details = {tensor.name: {"reason": tensor.reason, **tensor.detail} for tensor in failing}
        result = replace(result, status="fail", reason=worst.reason, details=details)
        return self._excused(result, expected, [tensor.name for tensor in failing])

    def _raised(self, draft: Result, case: Case, error: BaseException) -> Result:
        message = f"{type(error).__name__}: {error}".strip().rstrip(":")
        result = replace(draft, status="error", reason=message.splitlines()[0][:500], traceback=_short_traceback(error))
        return self._excused(result, self._expected(case, draft.implementation), [], message)

    def _expected(self, case: Case, implementation: str) -> list[known.Divergence]:
        return [item for item in self.divergences if item.covers(case, implementation, registry.version)]

    def _excused(
        self, result: Result, expected: Sequence[known.Divergence], failing: Sequence[str], error: str = ""
    ) -> Result:
        for divergence in expected:
            if divergence.explains(failing, error):
                return replace(result, status="known", reason=f"{divergence.id}: {divergence.what}")
        return result


def blank(case: Case, implementation: str, status: Status, reason: str = "") -> Result:
    """A result that holds only what is known before anything ran."""
    return Result(
        case.id,
        case.key,
        implementation,
        status,
        reason,
        features=tuple(features(case)),
        tags=case.tags,
        dtype=case.dtype,
        line=case.line,
    )


def order(case: Case) -> tuple[Any, ...]:
    """Sorts alike layers next to each other: a framework that compiles for a layer's shape then does so once."""
    return (
        case.dtype,
        case.input_size,
        case.hidden_sizes,
        case.proj_size,
        case.direction,
        case.bias,
        case.lengths is not None,
        case.gives_state,
        case.file,
        case.line,
        case.name,
    )


class _Raised(Exception):  # noqa: N818 (it carries an error, it is none)
    """What an implementation raised, told apart from the suite's own errors."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _solve(adapter: Adapter, problem: Problem) -> Solution:
    solution = adapter.solve(problem)
    if not isinstance(solution, Mapping):
        raise TypeError(f"solve returned a {type(solution).__name__}, not a mapping of names to arrays")
    return {name: np.asarray(value) for name, value in solution.items()}


def _short_traceback(error: BaseException, frames: int = 6, characters: int = 4000) -> str:
    """The last frames; the first ones are the suite's own."""
    return "".join(traceback.format_exception(error, limit=-frames))[-characters:]
