"""Explains the failures of an implementation for which the catalogue has no cause, by experiments on it."""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.defects.diagnosis.where import where
from conformance.defects.experiment import condition
from conformance.defects.experiment.dissection import MAX_TOTAL_CPU_SECONDS, investigate
from conformance.defects.experiment.explain import Rules, applicable, describe
from conformance.defects.experiment.findings import Dissection
from conformance.defects.experiment.predict import predict_trial
from conformance.defects.experiment.probes import PROBES
from conformance.defects.experiment.trial import OutOfTimeError, Subject
from conformance.results.explanation import Explanation
from conformance.run.earlier_calls import Dependence, explain_dependence, find_dependence, separate, separate_repeating
from conformance.run.failures import Failure, smallest_first, unclaimed
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter

MAX_CPU_SECONDS = 30.0
"""CPU time for the experiments on one implementation, including its own, after which they stop."""
MAX_CONDITION_CPU_SECONDS = 10.0
"""CPU time for finding the conditions of all explanations. A process of the implementation may take twice as much."""
MAX_OPERATIONS = 2**20
"""Operations of a case above which its solution is not kept for experiments."""
_MAX_PROBED = 2
"""Number of failing cases, the smallest ones, that are solved again as probes."""
_MAX_DETAILS = 3
"""Number of observations to list."""


def explain(
    adapter: Adapter,
    failures: Sequence[Failure],
    oracle: Oracle,
    restart: Callable[[], None] | None = None,
    passing: Sequence[Case] | None = None,
) -> list[Explanation]:
    """Experiments with an implementation, and returns what accounts for its failures.

    Args:
        adapter: the implementation.
        failures: its failures without a known cause.
        oracle: source of the expected solutions.
        restart: function that makes the implementation forget earlier calls; None for one that ends its process, if it
            has its own.
        passing: cases in which it conforms; None to leave out the conditions.
    """
    if isinstance(adapter, WorkerAdapter):
        restart = adapter.close

    def clock() -> float:
        return time.thread_time() + (adapter.seconds if isinstance(adapter, WorkerAdapter) else 0.0)

    subject = Subject(adapter, oracle, restart, clock, clock() + MAX_CPU_SECONDS)
    earlier: list[Explanation] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dependence = find_dependence(subject, failures)
        if dependence is None:
            dissection, claims = _investigate(subject, failures)
            if not dissection.repeats:
                what, *details = [finding.what for finding in dissection.findings]
                dependence = Dependence(what, "; ".join(details[:_MAX_DETAILS]))
        if dependence is not None:
            fresh = replace(subject, forgets=not dependence.comes_and_goes)
            separated = (separate_repeating if dependence.comes_and_goes else separate)(fresh, failures)
            wrong = separated.wrong
            dissection, claims = _investigate(fresh, wrong) if wrong else (Dissection(adapter.name), {})
            if not dissection.repeats:
                separated, claims = replace(separated, correct=[*failures], wrong=[]), {}
            earlier = [explain_dependence(subject, dependence, separated, claims)]
            subject, failures = fresh, separated.wrong
    rest = unclaimed(failures, [failure for own in claims.values() for failure in own])
    imprecise = [failure for failure in rest if dissection.imprecise and subject.is_float32(failure.trial)]
    found = [
        *_verified(subject, claims, dissection),
        *_imprecise(adapter.name, imprecise),
        *_observed(adapter.name, unclaimed(rest, imprecise), dissection),
    ]
    if passing is None:
        return [*earlier, *found]
    start, before = time.thread_time(), adapter.seconds if isinstance(adapter, WorkerAdapter) else 0.0

    def spent() -> float:
        own = adapter.seconds - before if isinstance(adapter, WorkerAdapter) else 0.0
        return max(time.thread_time() - start, own / 2)

    subject.clock, subject.deadline = spent, MAX_CONDITION_CPU_SECONDS
    return [*earlier, *(replace(each, when=_when(subject, each, failures, passing, claims)) for each in found)]


def _when(
    subject: Subject,
    explanation: Explanation,
    failures: Sequence[Failure],
    passing: Sequence[Case],
    claims: Mapping[Rules, Sequence[Failure]],
) -> str:
    """Describes the condition under which the failures of an explanation occur; empty if none is found in time."""
    own = [failure.judged.problem.case for failure in failures if failure.key in explanation.keys]
    reproducing = (rules for rules, claimed in claims.items() if claimed[0].key in explanation.keys)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(condition.find(own, passing, condition.outcome_of(subject, next(reproducing, ()))) or "")
    except OutOfTimeError:
        return ""


def _investigate(subject: Subject, failures: Sequence[Failure]) -> tuple[Dissection, Mapping[Rules, list[Failure]]]:
    """Experiments with probes and failing cases, until all failures are explained or nothing else is found.

    Returns:
        What the first experiments found, and the failures that each explanation reproduces.
    """
    probed = smallest_first(failures)[:_MAX_PROBED]
    deadline = time.thread_time() + MAX_TOTAL_CPU_SECONDS
    result, rules = investigate(subject, PROBES, [failure.judged.problem.case for failure in probed], (), deadline)
    claims = _claims(failures, rules)
    while result.repeats and rules:
        rest = unclaimed(failures, [failure for own in claims.values() for failure in own])
        further = smallest_first(unclaimed(rest, probed))[:_MAX_PROBED]
        if not further:
            break
        probed += further
        known = len(rules)
        added, rules = investigate(subject, (), [failure.judged.problem.case for failure in further], rules, deadline)
        result.responses = added.responses | result.responses
        if len(rules) == known:
            break
        claims = _claims(failures, rules)
    return result, claims


def _claims(failures: Sequence[Failure], explanations: Sequence[Rules]) -> Mapping[Rules, list[Failure]]:
    """Returns the failures that each explanation reproduces."""
    claimed: dict[Rules, list[Failure]] = {}
    for failure in failures:
        trial = failure.trial
        for rules in explanations:
            own = applicable(rules, trial)
            if own and trial.is_reproduced(predict_trial(own, trial)):
                claimed.setdefault(own, []).append(failure)
                break
    return claimed


def _verified(
    subject: Subject, claims: Mapping[Rules, Sequence[Failure]], dissection: Dissection
) -> Iterator[Explanation]:
    for rules, claimed in claims.items():
        what = describe(rules)
        exactly = "exactly" if dissection.exact else "within the declared rounding"
        how = f"the reference with this mistake reproduces every tensor of these cases and of further draws, {exactly}"
        if subject.forgets:
            how += ", if each is run alone in a fresh process"
        keys = tuple(failure.key for failure in claimed)
        responses = dissection.responses.get(what)
        yield Explanation(
            subject.adapter.name, what, keys, how, where(claimed[0].judged), verified=True, responses=responses
        )


def _imprecise(name: str, failures: Sequence[Failure]) -> Iterator[Explanation]:
    """Yields an observation about failures in float64 that are only as precise as float32."""
    if failures:
        keys = tuple(failure.key for failure in failures)
        how = "these results conform with the rounding of float32"
        yield Explanation(name, "float64 is only as precise as float32", keys, how, where(failures[0].judged))


def _observed(name: str, failures: Sequence[Failure], dissection: Dissection) -> Iterator[Explanation]:
    """Yields an observation about failures for which no explanation accounts."""
    if not failures:
        return
    seen = list(dict.fromkeys(finding.what for finding in dissection.findings if not finding.verified))
    seen = [text for text in seen if not any(other != text and other.startswith(text) for other in seen)]
    limits = [f"{what}: {why}" for what, why in dissection.left_out.items()]
    details = "; ".join([*seen[:_MAX_DETAILS], *limits])
    keys = tuple(failure.key for failure in failures)
    responses = dissection.responses.get("")
    yield Explanation(name, "unexplained", keys, details, where(failures[0].judged), responses=responses)
