"""Cases × implementations to results. The command line and the pytest plug-in both run this."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from conformance.adapters import Adapter, Solution, installed
from conformance.adapters.adapter import as_arrays
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.diagnose import diagnose
from conformance.defects.diagnosis.locate import locate
from conformance.defects.power.bitmasks import Detector
from conformance.errors import UserError, message_of, short_traceback
from conformance.known import divergences as known
from conformance.known import expected
from conformance.results.record import Result, Status
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import ChaoticCaseError, Oracle
from conformance.verdict.problem import Problem, make_problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError

CONFIRMING_DRAWS = (1, 2)
"""Further draws of a case that decide when a deviation is beyond the budget, yet not beyond the rigorous bound."""

UNEXPLAINED_CPU_SECONDS = 20.0
"""CPU time to spend on failures without a diagnosis, per implementation. Pairs of defects are not tried after that."""

_KEPT_WARNINGS = 5
_KEPT_EVIDENCE = 4
"""Tensors of a result of which the evidence is kept: the worst ones."""


class RefusedCaseError(UserError):
    """A case that cannot be judged, with the reason."""


class _Attempt:
    """One case on one implementation as it goes on: CPU seconds by phase, and what the implementation warns of."""

    def __init__(self, adapter: Adapter) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.judged: JudgedSolution | None = None
        self.profile = ""
        self._worker = adapter if isinstance(adapter, WorkerAdapter) else None
        # Beside workers several threads may run; here, a framework may have threads of its own.
        self._clock = time.thread_time if self._worker else time.process_time
        self._last = self._clock()

    def charge(self, phase: str) -> None:
        """Books what has passed since the last call, in a worker too."""
        now = self._clock()
        elsewhere, heard = self._worker.take() if self._worker else (0.0, [])
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last + elsewhere
        self.warnings += heard
        self._last = now

    def charge_to(self, parts: Mapping[str, float]) -> None:
        """Books what has passed since the last call by parts that were measured elsewhere."""
        for phase, seconds in parts.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        self._last = self._clock()

    def call(self, function: Any, *arguments: Any) -> Any:
        """Calls into an adapter. What it raises is a result, save an interrupt by the user; warnings are kept."""
        if self._worker:
            try:
                return function(*arguments)
            except WorkerError as error:
                raise _Raised(error) from error
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
        diagnoses: whether failures are explained.
        detector: tells which defects a case sees; without, no result says so.
    """

    oracle: Oracle
    divergences: Sequence[known.Divergence] = ()
    diagnoses: bool = True
    detector: Detector | None = None

    def __post_init__(self) -> None:
        self.descriptions: dict[str, dict[str, str]] = {}
        self._packages: dict[str, dict[str, str]] = {}
        self._suspects: dict[str, list[Defect]] = {}
        self._patience: dict[str, float] = {}

    def check(self, case: Case, adapter: Adapter) -> Result:
        """One case on one implementation.

        Raises:
            RefusedCaseError: the case is chaotic: no rule can judge it.
        """
        attempt = _Attempt(adapter)
        draft = blank(case, adapter.name, "pass")
        absent = installed.missing(adapter)
        if absent:
            return replace(draft, status="not-run", reason=absent)
        result = self._supported(draft, case, adapter, attempt)
        attempt.charge("judging")
        if result.status == "fail" and self.diagnoses and attempt.judged:
            # It changes what warnings do, for all threads.
            with adapter.alone() if isinstance(adapter, WorkerAdapter) else nullcontext():
                result = self._diagnosed(result, adapter, attempt.judged)
            attempt.charge("diagnosis")
        if result.status == "pass" and self.detector:
            mask = self.detector.mask(_checked(case, result), adapter)
            result = replace(result, detects=mask.bit_count(), detected=f"{mask:x}")
            attempt.charge("power")
        notes = list(dict.fromkeys(attempt.warnings))[:_KEPT_WARNINGS]
        return replace(result, seconds=attempt.seconds, notes=(*result.notes, *notes), profile=attempt.profile)

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
                # An implementation without gradients is worth checking forward.
                forward = case.forward_only() if "gradients" in case.check else None
                if forward is None or attempt.call(adapter.supports, forward) is not None:
                    return replace(draft, status="unsupported", reason=reason)
                case, draft = forward, replace(draft, unchecked={"gradients": reason})
            verdict, judged = self._verdict(case, adapter, attempt, draw=0)
            attempt.judged = judged
            if verdict.conforms or verdict.proven:
                return self._judged(draft, case, verdict, judged)
            others = [self._verdict(case, adapter, attempt, draw)[0] for draw in CONFIRMING_DRAWS]
        except _Raised as raised:
            attempt.charge("solve")
            return self._raised(draft, case, raised.error)
        if not all(other.conforms for other in others):
            return self._judged(draft, case, verdict, judged)
        note = f"error ratio {verdict.error_ratio:.3g} in the case's own draw, within budget in two others"
        decisive = max(others, key=lambda other: other.error_ratio)
        return self._judged(replace(draft, notes=(note,)), case, decisive, judged)

    def _describe(self, adapter: Adapter, attempt: _Attempt) -> None:
        """Asks once; this is what imports the framework."""
        if adapter.name not in self.descriptions:
            self.descriptions[adapter.name] = dict(attempt.call(adapter.describe))
            self._packages[adapter.name] = installed.versions(adapter)

    def _verdict(self, case: Case, adapter: Adapter, attempt: _Attempt, draw: int) -> tuple[Verdict, JudgedSolution]:
        problem = make_problem(case, draw)
        attempt.charge("problem")
        profile, dialect = attempt.call(adapter.profile, case), attempt.call(adapter.dialect, case)
        problem = replace(problem.under(dialect), dropout_masks=attempt.call(adapter.dropout_masks, problem))
        solution = attempt.call(_solve, adapter, problem)
        attempt.profile = profile.name
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
        return verdict, JudgedSolution(problem, solution, expectation, dialect)

    def _judged(self, draft: Result, case: Case, verdict: Verdict, judged: JudgedSolution) -> Result:
        failing = [tensor for tensor in verdict.tensors if tensor.reason]
        result = replace(
            draft,
            error_ratio=verdict.error_ratio,
            tensors={tensor.name: tensor.error_ratio for tensor in verdict.tensors},
        )
        entries = self._expected(case, draft.implementation)
        if verdict.conforms:
            return _as_known(result, expected.for_conformance(entries, judged))
        worst = max(failing, key=lambda tensor: tensor.error_ratio)
        details = {tensor.name: {"reason": tensor.reason, **tensor.detail} for tensor in failing}
        for tensor in sorted(failing, key=lambda tensor: -tensor.error_ratio)[_KEPT_EVIDENCE:]:
            details[tensor.name].pop("evidence", None)
        result = replace(result, status="fail", reason=worst.reason, details=details)
        names = [tensor.name for tensor in failing]
        return _as_known(result, expected.for_deviation(entries, names, judged, self.oracle))

    def _diagnosed(self, result: Result, adapter: Adapter, judged: JudgedSolution) -> Result:
        name = result.implementation
        suspects = self._suspects.setdefault(name, [])
        patience = self._patience.get(name, UNEXPLAINED_CPU_SECONDS)
        start = time.process_time()
        diagnosis = diagnose(judged, CATALOGUE, suspects, pairs=patience > 0)
        if diagnosis is None:
            return result
        found = [cause.defect for cause in diagnosis.causes]
        known_ids = {defect.id for defect in suspects}
        suspects += [defect for defect in found if defect.id not in known_ids]
        words = str(diagnosis)
        if not found:
            where = locate(adapter, judged)
            words += f"; {where}" if where else ""
            self._patience[name] = patience - (time.process_time() - start)
        return replace(result, diagnosis=words, causes={defect.id: defect.what for defect in found})

    def _raised(self, draft: Result, case: Case, error: BaseException) -> Result:
        if isinstance(error, WorkerError):
            status, message, trace = error.status, str(error), error.log
        else:
            status, message, trace = "error", f"{type(error).__name__}: {message_of(error)}", short_traceback(error)
        message = message.strip().rstrip(":")
        result = replace(draft, status=status, reason=(message.splitlines() or [""])[0][:500], traceback=trace)
        if status == "unsupported":
            return result
        return _as_known(result, expected.for_error(self._expected(case, draft.implementation), message))

    def _expected(self, case: Case, implementation: str) -> list[known.Divergence]:
        packages = self._packages.get(implementation, {})
        # What runs in another environment is named for its version, and has the versions of that environment.
        name = implementation.partition("@")[0]

        def version(package: str) -> str:
            return packages.get(package) or installed.version(package)

        return [item for item in self.divergences if item.covers(case, name, version)]


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
        options=case.model_dump(mode="json", exclude_defaults=True, exclude={"name", "file", "line", "tags"}),
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


def _as_known(result: Result, found: expected.Outcome | None) -> Result:
    return replace(result, status=found.status, reason=found.reason) if found else result


def _checked(case: Case, result: Result) -> Case:
    """What was run of a case."""
    return (case.forward_only() or case) if "gradients" in result.unchecked else case


class _Raised(Exception):  # noqa: N818 (it carries an error, it is none)
    """What an implementation raised, told apart from the suite's own errors."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(message_of(error))
        self.error = error


def _solve(adapter: Adapter, problem: Problem) -> Solution:
    return as_arrays(adapter.solve(problem))
