"""Runs cases on implementations and returns results. The command line and the pytest plug-in share this runner."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import takewhile
from queue import Empty, SimpleQueue

from conformance.adapters import Adapter, installed
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.cases.size import LONG_SECONDS, SizeLimits, estimate
from conformance.defects.power.bitmasks import Detector
from conformance.errors import abridge, first_line, short_traceback
from conformance.known import divergences as known
from conformance.known import expected
from conformance.results.explanation import Explanation
from conformance.results.record import Result, Status
from conformance.run import explaining, rejection, smaller, solving
from conformance.run.attempt import Attempt, RaisedError
from conformance.run.diagnoser import Diagnoser
from conformance.run.plan import Plan, by_shape
from conformance.run.problems import Problems
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.kinks import judge_across_kinks
from conformance.verdict.mistakes import DESCRIPTIONS
from conformance.verdict.oracle import Oracle, RejectedCaseError, UnquantizableCaseError
from conformance.verdict.problem import make_problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError
from reference import Profile

CONFIRMING_DRAWS = (1, 2)
"""Additional draws of a case that confirm or refute a deviation beyond the budget but within the rigorous bound."""

PHASES = ("reference and budget", "solve", "judging", "diagnosis")
"""Phases of a case, as shown while it runs."""

_MAX_WARNINGS = 5
_MAX_EVIDENCE = 4
"""Number of tensors, the worst first, whose evidence a result keeps."""
_MAX_REASON_CHARACTERS = 500
_NO_PROCESS = "{} has no process of its own, which a number of threads requires. Use `conformance run`, or --isolate"


@dataclass
class Runner:
    """Runs cases on implementations.

    Attributes:
        oracle: source of the expected solutions.
        divergences: known divergences of released implementations.
        diagnoses: whether failures are diagnosed.
        detector: source of the defects that each case detects; None to omit them from the results.
        explains_all: whether experiments explain failures with a known cause, too.
        rejected: reasons why cases cannot be judged, by case key. These cases are not run.
        limits: limits of the memory and the CPU time of a case. Larger cases are not run.
        show_phase: function that is called with the phase of a case that takes long.
        descriptions: each implementation's description of itself, by name.
    """

    oracle: Oracle
    divergences: Sequence[known.Divergence] = ()
    diagnoses: bool = True
    detector: Detector | None = None
    explains_all: bool = False
    rejected: Mapping[str, str] = field(default_factory=dict)
    limits: SizeLimits = field(default_factory=SizeLimits.of)
    show_phase: Callable[[str], None] | None = None
    descriptions: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._problems = Problems()
        self._ending = [entry for entry in self.divergences if entry.ends_process]
        self._packages: dict[str, dict[str, str]] = {}
        self._diagnoser = Diagnoser(self.explains_all)
        self._explanations: SimpleQueue[Explanation] = SimpleQueue()

    def check(self, case: Case, adapter: Adapter) -> Result:
        """Runs one case on one implementation."""
        result = blank(case, adapter.name, "not-run")
        if absent := installed.missing(adapter):
            return replace(result, reason=absent)
        if case.key in self.rejected:
            return _rejected(result, self.rejected[case.key])
        if refusal := self.limits.refusal(case):
            return _rejected(result, rejection.reason(refusal))
        attempt = Attempt(adapter)
        variant: smaller.SmallerFailure | None = None
        try:
            result, judged, variant = self._attempt(result, case, adapter, attempt)
        except RaisedError as raised:
            attempt.charge("solve")
            result, judged = self._raised(result, case, raised), None
        except UnquantizableCaseError as error:
            # Other implementations can be judged in this case.
            result, judged = replace(result, status="unsupported", reason=str(error)), None
        except RejectedCaseError as error:
            result, judged = _rejected(result, rejection.reason(error)), None
        attempt.charge("judging")
        if result.status == "fail" and self.diagnoses and judged:
            # Diagnosis changes the warning filters, which all threads share.
            self._show(case, 4)
            with adapter.exclusive() if isinstance(adapter, WorkerAdapter) else nullcontext():
                result = self._diagnoser.diagnose(result, adapter, judged, variant)
            attempt.charge("diagnosis")
        if result.status == "pass" and self.detector and judged:
            if power := self.detector.measure(judged.problem.case, adapter, case.key):
                detects, detected = power.mask.bit_count(), f"{power.mask:x}"
                result = replace(result, detects=detects, detected=detected, power_sizes=power.sizes)
            attempt.charge("power")
        warnings = list(dict.fromkeys(attempt.warnings))[:_MAX_WARNINGS]
        notes = (*result.notes, *attempt.notes, *warnings)
        return replace(result, seconds=attempt.seconds, unchecked=attempt.unchecked, notes=notes)

    def run(self, plan: Plan) -> Iterator[Result]:
        """Yields the results of a plan, one implementation after the other.

        After the last case of an implementation, experiments explain its failures without a known cause. See
        ``write_explanations``.
        """
        for adapter, cases in plan:
            passing: list[Case] = []
            for case in sorted(cases, key=by_shape):
                result = self.check(case, adapter)
                if result.status == "pass" and not (case.refuses or case.is_empty):
                    passing.append((result.unchecked and case.forward_only()) or case)
                yield result
            if failures := self._diagnoser.take_unexplained(adapter.name):
                self.add_explanations(explaining.explain(adapter, failures, self.oracle, passing=passing))

    def add_explanations(self, explanations: Iterable[Explanation]) -> None:
        """Adds explanations, also those of another process, to the ones to write."""
        for explanation in explanations:
            self._explanations.put(explanation)

    def write_explanations(self, write: Callable[[Explanation], None]) -> None:
        """Passes the explanations that were found since the last call to a function."""
        with suppress(Empty):
            while True:
                write(self._explanations.get_nowait())

    def _attempt(
        self, blank_result: Result, case: Case, adapter: Adapter, attempt: Attempt
    ) -> tuple[Result, JudgedSolution | None, smaller.SmallerFailure | None]:
        """Returns the result before diagnosis, the judged solution to diagnose, and a smaller failure, if any.

        Raises:
            RaisedError: the implementation raised an error.
            RejectedCaseError: the case cannot be judged.
        """
        if case.threads and not isinstance(adapter, WorkerAdapter):
            return replace(blank_result, status="unsupported", reason=_NO_PROCESS.format(adapter.name)), None, None
        self._describe(adapter, attempt)
        attempt.charge("import")
        if reason := attempt.call(adapter.supports, case):
            # The forward half is worth checking on an implementation without gradients.
            forward = case.forward_only() if "gradients" in case.check else None
            unsupported = attempt.call(adapter.supports, forward) if forward else reason
            if forward is None or unsupported is not None:
                return replace(blank_result, status="unsupported", reason=unsupported), None, None
            case, attempt.unchecked = forward, {"gradients": reason}
        if case.refuses:
            return self._refused(blank_result, case, attempt), None, None
        profile = attempt.call(adapter.profile, case)
        verdict, judged = self._verdict(case, adapter, profile, attempt, draw=0)
        blank_result = replace(blank_result, profile=profile.name)
        result = self._judged(blank_result, case, verdict, judged)
        if result.status == "fail" and (crossing := judge_across_kinks(judged, verdict, profile)):
            verdict, judged = crossing.verdict, crossing.judged
            blank_result = replace(blank_result, notes=(crossing.note,))
            result = self._judged(blank_result, case, verdict, judged, crossed=True)
        attempt.charge("judging")
        variant = None
        if result.status == "fail" and (self.diagnoses or not verdict.proven):
            variant = smaller.find(case, verdict, adapter, partial(self._check, adapter), attempt)
        # The values of a smaller variant are drawn independently, so that its failure confirms this one.
        if result.status == "fail" and not (verdict.proven or variant):
            draws = (self._verdict_across_kinks(case, adapter, profile, attempt, draw) for draw in CONFIRMING_DRAWS)
            others = list(takewhile(lambda other: other[0].conforms, draws))
            if len(others) == len(CONFIRMING_DRAWS):
                note = f"error ratio {verdict.error_ratio:.3g} in the case's own draw, within budget in two others"
                decisive = max(others, key=lambda other: other[0].error_ratio)
                result = self._judged(replace(blank_result, notes=(note,)), case, *decisive)
        unexplainable = case.is_empty or solving.has_only_wrong_declarations(verdict)
        return result, None if unexplainable else judged, variant

    def _refused(self, result: Result, case: Case, attempt: Attempt) -> Result:
        """Returns the result of a case with a mistake that the implementation must refuse.

        An error that correct arguments raise, too, is not a refusal.

        Raises:
            RaisedError: the adapter raised an error, or the process died.
        """
        assert case.refuses
        problem = make_problem(case)
        correct = replace(problem, case=case.model_copy(update={"refuses": None}), wrong={})
        entries = self._expected(case, result.implementation)
        attempt.charge("problem")
        try:
            attempt.solve(correct)
        except RaisedError as raised:
            return self._raised(result, correct.case, raised)
        finally:
            attempt.charge("solve")
        try:
            attempt.solve(problem)
        except RaisedError as raised:
            if not raised.is_refusal:
                raise
            refusal = f"refused: {abridge(raised.message)}"
            return _as_known(replace(result, status="pass", notes=(refusal,)), expected.for_refusal(entries))
        finally:
            attempt.charge("solve")
        accepted = f"accepted {DESCRIPTIONS[case.refuses]}, expected an error"
        return _as_known(replace(result, status="fail", reason=accepted), expected.for_acceptance(entries))

    def _check(self, adapter: Adapter, case: Case, attempt: Attempt) -> tuple[Verdict, JudgedSolution]:
        return self._verdict_across_kinks(case, adapter, attempt.call(adapter.profile, case), attempt, draw=0)

    def _describe(self, adapter: Adapter, attempt: Attempt) -> None:
        """Asks the implementation once to describe itself, which imports its framework."""
        if adapter.name not in self.descriptions:
            self.descriptions[adapter.name] = dict(attempt.call(adapter.describe))
            self._packages[adapter.name] = installed.versions(adapter)

    def _verdict(
        self, case: Case, adapter: Adapter, profile: Profile, attempt: Attempt, draw: int
    ) -> tuple[Verdict, JudgedSolution]:
        self._show(case, 1)
        problem = self._problems.draw(case, draw)
        if not isinstance(adapter, WorkerAdapter):
            problem = problem.copied()  # The implementation may change arrays that others solve.
        attempt.charge("problem")
        dialect = attempt.call(adapter.dialect, case)
        problem = replace(problem.under(dialect), dropout_masks=attempt.call(adapter.dropout_masks, problem))
        attempt.charge("solve")
        # Before solve, so that the implementation does not run a case that cannot be judged.
        before = dict(self.oracle.seconds)
        expectation = self.oracle.expect(problem, profile, dialect)
        attempt.charge_parts({phase: spent - before.get(phase, 0.0) for phase, spent in self.oracle.seconds.items()})
        self._show(case, 2)
        solution, wrong = solving.solve(adapter, problem, expectation, attempt)
        attempt.charge("solve")
        self._show(case, 3)
        verdict = Verdict((*judge(problem, solution, expectation).tensors, *wrong))
        attempt.charge("judging")
        return verdict, JudgedSolution(problem, solution, expectation, dialect)

    def _verdict_across_kinks(
        self, case: Case, adapter: Adapter, profile: Profile, attempt: Attempt, draw: int
    ) -> tuple[Verdict, JudgedSolution]:
        verdict, judged = self._verdict(case, adapter, profile, attempt, draw)
        crossing = judge_across_kinks(judged, verdict, profile)
        attempt.charge("judging")
        return (crossing.verdict, crossing.judged) if crossing else (verdict, judged)

    def _show(self, case: Case, phase: int) -> None:
        """Shows the phase of a case that takes long."""
        if self.show_phase and (seconds := estimate(case).seconds) > LONG_SECONDS:
            cost = f" (about {seconds:,.0f} CPU s)" if phase == 1 else ""
            self.show_phase(f"{case.name}: {phase}/{len(PHASES)} {PHASES[phase - 1]}{cost}")

    def _judged(
        self, result: Result, case: Case, verdict: Verdict, judged: JudgedSolution, crossed: bool = False
    ) -> Result:
        """Returns the result of a verdict: ``known`` or ``fixed`` if known divergences account for it.

        The prediction of a divergence has no arguments on the other side of a kink. A solution that conforms because
        some have ``crossed`` therefore never makes one ``fixed``.
        """
        ratios = {tensor.name: tensor.error_ratio for tensor in verdict.tensors}
        result = replace(result, status="pass", error_ratio=verdict.error_ratio, tensors=ratios)
        entries = self._expected(case, result.implementation)
        if verdict.conforms:
            return result if crossed else _as_known(result, expected.for_conformance(entries, judged))
        failing = sorted((tensor for tensor in verdict.tensors if tensor.reason), key=lambda each: -each.error_ratio)
        details = {tensor.name: {"reason": tensor.reason, **tensor.detail} for tensor in failing}
        for tensor in failing[_MAX_EVIDENCE:]:
            details[tensor.name].pop("evidence", None)
        result = replace(result, status="fail", reason=failing[0].reason, details=details)
        names = [tensor.name for tensor in failing]
        return _as_known(result, expected.for_deviation(entries, names, judged, self.oracle))

    def _raised(self, result: Result, case: Case, raised: RaisedError) -> Result:
        error, message = raised.error, raised.message
        if isinstance(error, WorkerError):
            status, trace = error.status, error.log
        else:
            status, trace = "error", short_traceback(error)
        if case.refuses and raised.by_adapter:
            message = f"the adapter, not the implementation, raised {message}"
        message = message.strip().rstrip(":")
        reason = first_line(message)[:_MAX_REASON_CHARACTERS]
        result = replace(result, status=status, reason=reason, traceback=trace)
        if status == "unsupported":
            return result
        return _as_known(result, expected.for_error(self._expected(case, result.implementation), message))

    def needs_process(self, case: Case, adapter: Adapter) -> bool:
        """Returns whether a case requires a number of threads, or an implementation is known to end its process."""
        return case.threads is not None or bool(self._matching(self._ending, case, adapter.name))

    def _expected(self, case: Case, implementation: str) -> list[known.Divergence]:
        """Returns the known divergences that match a case on an implementation."""
        return self._matching(self.divergences, case, implementation)

    def _matching(
        self, entries: Sequence[known.Divergence], case: Case, implementation: str
    ) -> list[known.Divergence]:  # fmt: skip
        """Returns the entries that match a case on an implementation."""
        packages = self._packages.get(implementation, {})
        # The name of an implementation in another environment ends with a version: torch.nn.LSTM@2.9.
        name = implementation.partition("@")[0]

        def version(package: str) -> str:
            return packages.get(package) or installed.version(package)

        return [entry for entry in entries if entry.matches(case, name, version)]


def blank(case: Case, implementation: str, status: Status, reason: str = "") -> Result:
    """Returns a result with only the fields that are known before anything runs."""
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


def _rejected(result: Result, reason: str) -> Result:
    return replace(result, status="not-run", reason=reason, rejected=True)


def _as_known(result: Result, outcome: expected.Outcome | None) -> Result:
    return replace(result, status=outcome.status, reason=outcome.reason) if outcome else result
