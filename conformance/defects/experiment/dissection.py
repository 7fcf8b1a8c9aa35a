"""Finds out by experiment what an implementation reads and returns wrongly."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import blocks, read_kinds
from conformance.defects.experiment.explain import MAX_CPU_SECONDS, Rules, explain
from conformance.defects.experiment.findings import Dissection, Finding
from conformance.defects.experiment.inputs import Response, respond
from conformance.defects.experiment.probes import DTYPES, PROBES, probe
from conformance.defects.experiment.repeat import unrepeatable
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import ImplementationError, Subject, Trial
from conformance.defects.experiment.verify import DRAWS, choose, is_verified, verify
from conformance.verdict.oracle import RejectedCaseError

MAX_TOTAL_CPU_SECONDS = 20.0
"""CPU time for the searches on one implementation."""
_MAX_SEARCHES = 3
"""Number of searches without an explanation after which only explanations of other probes are tried."""
_MAX_OBSERVED_PROBES = 2
"""Number of unexplained probes for which responses are measured."""
_MAX_OBSERVATIONS = 4
"""Number of observations about responses that are kept for each probe."""


def dissect(subject: Subject, probes: Iterable[str] = PROBES) -> Dissection:
    """Runs probes and experiments on an implementation.

    Args:
        subject: the implementation.
        probes: names of the probes; by default, all.
    """
    result = Dissection(subject.adapter.name)
    trials = _run_probes(subject, probes, result)
    try:
        if changing := unrepeatable(subject, trials):
            result.findings, result.repeats, result.failing, result.imprecise = changing, False, [], []
            return result
        failing = {name: trial for name, trial in trials.items() if _fails(subject, trial)}
        result.failing += failing
        _explain_failures(subject, trials, failing, result)
        conforming = [trial for name, trial in trials.items() if name not in failing]
        if conforming:
            richest = max(conforming, key=_block_count)
            responses = respond(subject, richest)
            result.changed += len(responses)
            result.findings += _observations(responses, richest.case.name)
    except ImplementationError as raised:
        result.findings.append(Finding(f"raises {raised} after other problems were solved", ()))
    return result


def _run_probes(subject: Subject, probes: Iterable[str], result: Dissection) -> dict[str, Trial]:
    trials: dict[str, Trial] = {}
    for name in probes:
        try:
            case = _supported(subject, name)
            if isinstance(case, str):
                result.unsupported[name] = case
                continue
            trials[name] = subject.try_problem(subject.problem(case))
            if subject.is_float32(trials[name]):
                result.imprecise.append(name)
                single = subject.supported(probe(name, "float32"))
                if isinstance(single, Case):
                    case = single
                    trials[name] = subject.try_problem(subject.problem(case))
        except ImplementationError as raised:
            if getattr(raised.error, "status", "") == "unsupported":
                result.unsupported[name] = str(raised.error)
            else:
                result.findings.append(Finding(f"raises {raised}", (name,)))
                result.failing.append(name)
            continue
        except RejectedCaseError as error:
            result.unsupported[name] = f"cannot be judged: {error}"
            continue
        result.probed[name] = case.dtype
        result.exact &= subject.is_exact(case)
        if "gradients" not in case.check:
            result.forward_only.append(name)
    return trials


def _supported(subject: Subject, name: str) -> Case | str:
    """Returns a probe in the first supported dtype; otherwise the reason for the last one."""
    found: Case | str = ""
    for dtype in DTYPES:
        found = subject.supported(probe(name, dtype))
        if isinstance(found, Case):
            break
    return found


def _block_count(trial: Trial) -> int:
    """Returns the number of blocks that a probe reads."""
    return sum(1 for kind in read_kinds(trial.case) for _ in blocks(kind, trial.case)) + bool(trial.case.lengths)


def _fails(subject: Subject, trial: Trial) -> bool:
    """Returns whether a trial deviates, and its deviation is proven or occurs in another draw."""
    if trial.verdict.conforms or trial.verdict.proven:
        return not trial.verdict.conforms
    return any(not subject.try_problem(subject.problem(trial.case, draw)).verdict.conforms for draw in DRAWS)


def _explain_failures(
    subject: Subject, trials: Mapping[str, Trial], failing: Mapping[str, Trial], result: Dissection
) -> None:
    """Explains the failing probes together, verifies the explanations, and adds them to a result."""
    explanations: dict[str, Rules] = {}
    measured: dict[str, list[Response]] = {}

    def responses(name: str) -> list[Response]:
        if name not in measured:
            measured[name] = respond(subject, failing[name])
        return measured[name]

    tried: list[str] = []
    start = time.process_time()
    for name, trial in failing.items():
        left = MAX_TOTAL_CPU_SECONDS - (time.process_time() - start)
        if len([other for other in tried if other not in explanations]) >= _MAX_SEARCHES:
            left = 0.0
        tried.append(name)
        rules = explain(trial, lambda name=name: responses(name), [*explanations.values()], min(left, MAX_CPU_SECONDS))  # type: ignore[misc]
        if rules:
            explanations[name] = rules
    chosen = choose(failing, explanations)
    verified = {name: found for name, rules in chosen.items() if (found := verify(subject, failing[name], rules))}
    merged: dict[tuple[object, ...], tuple[Rule, Finding]] = {}
    for rule in dict.fromkeys(rule for rules in chosen.values() for rule in rules):
        names = tuple(name for name, rules in chosen.items() if rule in rules)
        sure = is_verified(rule, failing, verified)
        misfit = max(verified[name].misfit for name in names) if sure else 0.0
        others = sum(rule.applies_to(trial.case) for name, trial in trials.items() if name not in failing)
        solutions = len(names) * (1 + len(DRAWS)) if sure else 0
        finding = Finding(str(rule), names, others, sure, solutions, misfit)
        key = (rule.role, rule.move, rule.scope, rule.adjoint, replace(finding, what=""))
        if key in merged:
            rule = replace(rule, kinds=merged[key][0].kinds + rule.kinds)
        merged[key] = rule, replace(finding, what=str(rule))
    result.findings += [finding for _, finding in merged.values()]
    result.findings.sort(key=lambda finding: not finding.verified)
    result.unexplained = [name for name in failing if name not in verified]
    deviating: dict[str, list[str]] = {}
    for count, name in enumerate(result.unexplained):
        trial = failing[name]
        if trial.comparable and count < _MAX_OBSERVED_PROBES:
            result.findings += _observations(responses(name), name)
        deviating.setdefault(_deviation(trial), []).append(name)
    result.findings += [Finding(what, tuple(names)) for what, names in deviating.items()]
    result.changed += sum(len(found) for found in measured.values())


def _deviation(trial: Trial) -> str:
    """Describes which tensors deviate and which conform."""
    if not trial.comparable:
        return next(tensor.reason for tensor in trial.verdict.tensors if tensor.reason)
    wrong = dict.fromkeys(_short(tensor.name) for tensor in trial.verdict.tensors if tensor.reason)
    right = [name for tensor in trial.verdict.tensors if (name := _short(tensor.name)) not in wrong]
    if not any(name.startswith("grad.") for name in wrong):
        right = ["gradients" if name.startswith("grad.") else name for name in right]
    if not right:
        return "all tensors deviate"
    text = f"{', '.join(wrong)} {'deviates' if len(wrong) == 1 else 'deviate'}"
    return f"{text}; {', '.join(dict.fromkeys(right))} conform"


def _short(name: str) -> str:
    """Returns the name of a tensor, without layer and direction."""
    return name.partition("_l")[0]


def _observations(responses: list[Response], name: str) -> list[Finding]:
    """Describes the first wrong responses."""
    wrong = [str(response) for response in responses if response.is_wrong]
    found = [Finding(text, (name,)) for text in wrong[:_MAX_OBSERVATIONS]]
    if len(wrong) > _MAX_OBSERVATIONS:
        found.append(Finding(f"{len(wrong) - _MAX_OBSERVATIONS} more blocks respond wrongly", (name,)))
    return found
