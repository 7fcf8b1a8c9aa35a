"""Finds out by experiment what an implementation reads and returns wrongly."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from conformance.cases.case import Case
from conformance.defects.diagnosis.where import where
from conformance.defects.experiment.activations import activation_rules_of_parts, describe_activations
from conformance.defects.experiment.blocks import blocks, read_kinds
from conformance.defects.experiment.drive import drive
from conformance.defects.experiment.explain import MAX_CPU_SECONDS, Rules, computed, describe, explain
from conformance.defects.experiment.findings import Dissection, Finding
from conformance.defects.experiment.history import dependence, unrepeatable
from conformance.defects.experiment.inputs import Response, respond
from conformance.defects.experiment.nonfinite import describe_nonfinite
from conformance.defects.experiment.probes import DRIVEN, DTYPES, PROBES, variants
from conformance.defects.experiment.response_map import response_map
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.sizes import generalize
from conformance.defects.experiment.trial import ImplementationError, OutOfTimeError, Subject, Trial
from conformance.defects.experiment.verify import DRAWS, choose, is_verified, verify
from conformance.verdict.oracle import RejectedCaseError

MAX_TOTAL_CPU_SECONDS = 14.0
"""CPU time for the searches on one implementation."""
MAX_ALONE_CPU_SECONDS = 60.0
"""CPU time for experiments that solve each problem in a fresh process, including that of the processes."""
_MAX_SEARCHES = 3
"""Number of searches without an explanation after which only explanations of other probes are tried."""
_MAX_OBSERVED_PROBES = 2
"""Number of unexplained probes for which responses are measured."""
_MAX_IMPRECISE = 3
"""Number of imprecise probes for which rounding is tried as an explanation."""
_MAX_OBSERVATIONS = 4
"""Number of observations about responses that are kept for each probe."""


def dissect(subject: Subject, probes: Iterable[str] = PROBES, cases: Iterable[Case] = ()) -> Dissection:
    """Runs probes and experiments on an implementation.

    If its results depend on earlier calls alone, the experiments are repeated with each problem in a fresh process.

    Args:
        subject: the implementation.
        probes: names of the probes; by default, all.
        cases: further cases to probe. They are named by their ids.
    """
    result, _ = investigate(subject, probes, cases)
    if result.repeats or result.comes_and_goes or subject.restart is None:
        return result
    fresh = replace(subject, forgets=True, deadline=subject.clock() + MAX_ALONE_CPU_SECONDS)
    alone, _ = investigate(fresh, probes, cases)
    alone.history = result.findings
    return alone if alone.repeats else result


def investigate(
    subject: Subject,
    probes: Iterable[str] = PROBES,
    cases: Iterable[Case] = (),
    known: Sequence[Rules] = (),
    deadline: float | None = None,
) -> tuple[Dissection, list[Rules]]:
    """Runs probes and experiments like ``dissect``.

    Args:
        subject: the implementation.
        probes: names of the probes.
        cases: further cases to probe.
        known: verified explanations of other cases.
        deadline: thread time after which nothing is searched for; None for one that ``MAX_TOTAL_CPU_SECONDS`` sets.

    Returns:
        What was found, and the verified explanations, those that were known first.
    """
    result = Dissection(subject.adapter.name)
    explanations = [*known]
    deadline = time.thread_time() + MAX_TOTAL_CPU_SECONDS if deadline is None else deadline
    if subject.restart is None:
        result.left_out["a fresh process"] = "the implementation has no process of its own"
    # Probes have few options each, so that they often show one of several mistakes alone. They come first.
    candidates = {name: [case for dtype in DTYPES for case in variants(name, dtype)] for name in probes}
    candidates |= {case.id: [case] for case in cases}
    try:
        _experiment(subject, candidates, result, explanations, deadline)
    except ImplementationError as raised:
        result.findings.append(Finding(f"raises {raised} after other problems were solved", ()))
    except OutOfTimeError:
        how = "in fresh processes is over" if subject.forgets else "is over. `conformance dissect` has no limit"
        result.left_out["further experiments"] = f"the time {how}"
    return result, explanations


def _experiment(
    subject: Subject,
    candidates: Mapping[str, Sequence[Case]],
    result: Dissection,
    explanations: list[Rules],
    deadline: float,
) -> None:
    """Runs all experiments. Adds findings to a result, and rules to the verified explanations."""
    trials, imprecise = _run_probes(subject, candidates, result)
    changing, result.comes_and_goes = unrepeatable(subject, trials)
    failing = {} if changing else {name: trial for name, trial in trials.items() if _fails(subject, trial)}
    if failing and not subject.forgets:
        changing = _depend_on_history(subject, trials, failing)
    if changing:
        result.findings, result.repeats, result.failing, result.imprecise = changing, False, [], []
        return
    result.failing += failing
    explanations += _explain_failures(subject, trials, failing, result, explanations, deadline)
    explanations += _explain_imprecision(subject, imprecise, result)
    conforming = [trial for name, trial in trials.items() if name not in failing and trial.can_be_changed]
    if conforming and not subject.forgets:
        richest = max(conforming, key=_block_count)
        responses = respond(subject, richest)
        result.changed += len(responses)
        result.findings += _observations(responses, richest.case.name)
        _add_map(result, "", richest.case.name, richest.case, responses)


def _run_probes(
    subject: Subject, candidates: Mapping[str, Sequence[Case]], result: Dissection
) -> tuple[dict[str, Trial], dict[str, Trial]]:
    """Solves each probe in the first supported of its candidates.

    Returns:
        The trials, and those in float64 that are only as precise as float32. These are replaced by trials in float32.
    """
    trials: dict[str, Trial] = {}
    imprecise: dict[str, Trial] = {}
    for name, own in candidates.items():
        change = drive if name == DRIVEN else None
        try:
            case = _first_supported(subject, own)
            if isinstance(case, str):
                result.unsupported[name] = case
                continue
            trials[name] = subject.try_problem(subject.problem(case), change)
            if subject.is_float32(trials[name]):
                imprecise[name] = trials[name]
                single = subject.supported(case.model_copy(update={"dtype": "float32"}))
                if isinstance(single, Case):
                    case = single
                    trials[name] = subject.try_problem(subject.problem(case), change)
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
        if "gradients" not in case.check and not case.has_direction:
            result.forward_only.append(name)
    result.imprecise += imprecise
    return trials, imprecise


def _first_supported(subject: Subject, candidates: Sequence[Case]) -> Case | str:
    """Returns the first case that the implementation supports; otherwise the reason for the first one."""
    reasons = []
    for case in candidates:
        found = subject.supported(case)
        if isinstance(found, Case):
            return found
        reasons.append(found)
    return reasons[0]


def _depend_on_history(subject: Subject, trials: Mapping[str, Trial], failing: Mapping[str, Trial]) -> list[Finding]:
    """Solves the last failing probe again in a fresh process. Returns on which earlier calls its failure depends."""
    name, trial = list(failing.items())[-1]
    others = (other.problem for key, other in trials.items() if key != name)
    return [Finding(what, (name,)) for what in dependence(subject, trial, next(others, None))]


def _explain_imprecision(subject: Subject, imprecise: Mapping[str, Trial], result: Dissection) -> list[Rules]:
    """Finds out where float64 is rounded to float32. Returns the verified explanations."""
    ordinary = {name: trial for name, trial in imprecise.items() if not trial.is_driven}
    found: dict[Rule, list[str]] = {}
    misfit = 0.0
    for name, trial in list(ordinary.items())[:_MAX_IMPRECISE]:
        rules = computed(trial)
        verified = verify(subject, trial, rules) if rules else None
        if verified is None:
            result.imprecise_place = result.imprecise_place or where(trial.judged)
            continue
        misfit = max(misfit, verified.misfit)
        found.setdefault(verified.rules[0], []).append(name)
    for rule, names in found.items():
        solutions = len(names) * (1 + len(DRAWS))
        result.findings.append(Finding(str(rule), tuple(names), 0, True, solutions, misfit))
    return [(rule,) for rule in found]


def _block_count(trial: Trial) -> int:
    """Returns the number of blocks that a probe reads."""
    return sum(1 for kind in read_kinds(trial.case) for _ in blocks(kind, trial.case)) + bool(trial.case.lengths)


def _fails(subject: Subject, trial: Trial) -> bool:
    """Returns whether a trial deviates, and its deviation is proven or occurs in another draw."""
    if trial.verdict.conforms or trial.verdict.proven:
        return not trial.verdict.conforms
    return any(not subject.try_draw(trial, draw).verdict.conforms for draw in DRAWS)


def _explain_failures(
    subject: Subject,
    trials: Mapping[str, Trial],
    failing: Mapping[str, Trial],
    result: Dissection,
    known: Sequence[Rules],
    deadline: float,
) -> list[Rules]:
    """Explains the failing probes together, verifies the explanations, and adds them to a result.

    Returns:
        The verified explanations.
    """
    explanations: dict[str, Rules] = {}
    measured: dict[str, list[Response]] = {}

    def responses(name: str) -> list[Response]:
        if name not in measured:
            measured[name] = respond(subject, failing[name]) if failing[name].can_be_changed else []
        return measured[name]

    tried: list[str] = []
    computations: list[Rule] = []
    for name, trial in failing.items():
        left = deadline - time.thread_time()
        if len([other for other in tried if other not in explanations]) >= _MAX_SEARCHES:
            left = 0.0
        if trial.can_be_searched:
            tried.append(name)
        suspects = list(dict.fromkeys([*known, *explanations.values()]))
        measure = partial(responses, name)
        rules = explain(trial, measure, suspects, computations, min(left, MAX_CPU_SECONDS))
        if trial.is_driven and not rules:
            computations += activation_rules_of_parts(trial)
        if rules:
            explanations[name] = rules if rules in suspects else generalize(subject, trial, rules)
    chosen = choose(failing, explanations)
    verified = {name: found for name, rules in chosen.items() if (found := verify(subject, failing[name], rules))}
    merged: dict[tuple[object, ...], tuple[Rule, Finding]] = {}
    # A driven problem has many zeros, so that a mistake need not show.
    ordinary = [trial for name, trial in trials.items() if name not in failing and not trial.is_driven]
    for rule in dict.fromkeys(rule for rules in chosen.values() for rule in rules):
        names = tuple(name for name, rules in chosen.items() if rule in rules)
        sure = is_verified(rule, failing, verified)
        misfit = max(verified[name].misfit for name in names) if sure else 0.0
        others = sum(rule.applies_to(trial.case) for trial in ordinary)
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
        if trial.is_driven:
            if not verified:
                result.findings += [Finding(what, (name,)) for what in describe_activations(trial)]
        elif trial.comparable and trial.can_be_changed and count < _MAX_OBSERVED_PROBES:
            result.findings += _observations(responses(name), name)
        is_observed = trial.complete and not trial.is_driven and count < _MAX_OBSERVED_PROBES
        begin = describe_nonfinite(subject, trial) if is_observed else ""
        deviating.setdefault(begin or _deviation(trial), []).append(name)
    result.findings += [Finding(what, tuple(names)) for what, names in deviating.items()]
    result.changed += sum(len(found) for found in measured.values())
    for name, own in measured.items():
        what = describe(verified[name].rules) if name in verified else ""
        _add_map(result, what, name, failing[name].case, own)
    return [rules for rules in dict.fromkeys(each.rules for each in verified.values()) if rules not in known]


def _add_map(result: Dissection, what: str, name: str, case: Case, responses: Sequence[Response]) -> None:
    """Adds the map of a probe's wrong responses to a result, unless it has one for the same explanation."""
    if what not in result.responses and (found := response_map(name, case, responses)):
        result.responses[what] = found


def _deviation(trial: Trial) -> str:
    """Describes which tensors deviate and which conform."""
    if not trial.comparable:
        return next(tensor.reason for tensor in trial.verdict.tensors if tensor.reason)
    wrong = dict.fromkeys(_short(tensor.name) for tensor in trial.verdict.tensors if tensor.reason)
    right = [name for tensor in trial.verdict.tensors if (name := _short(tensor.name)) not in wrong]
    if not any(name.startswith("grad.") for name in wrong):
        right = ["gradients" if name.startswith("grad.") else name for name in right]
    place = "" if trial.is_driven else where(trial.judged)
    if not right:
        return "; ".join(filter(None, ("all tensors deviate", place)))
    text = f"{', '.join(wrong)} {'deviates' if len(wrong) == 1 else 'deviate'}"
    return "; ".join(filter(None, (f"{text}; {', '.join(dict.fromkeys(right))} conform", place)))


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
