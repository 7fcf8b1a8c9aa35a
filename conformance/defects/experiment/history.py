"""Finds out whether solutions depend on earlier calls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import PARAMETERS
from conformance.defects.experiment.findings import Finding
from conformance.defects.experiment.predict import predict
from conformance.defects.experiment.repetition import Repetition, count_failures, differing, repetition
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Arrays, Subject, Trial, tensors_read, with_block
from conformance.verdict.judge import judge
from conformance.verdict.problem import Problem


def unrepeatable(subject: Subject, trials: Mapping[str, Trial]) -> tuple[list[Finding], bool]:
    """Solves each problem twice, and again after others unless the implementation forgets them.

    Returns:
        What does not repeat, and whether failures come and go, so that fresh processes do not repeat them either.
    """
    found: dict[str, list[str]] = {}
    before = None
    for name, trial in trials.items():
        for when, solution in _solved_again(subject, trial, before):
            if names := differing(trial, solution):
                what = f"does not repeat: {', '.join(names)} changes when the same problem is solved {when}"
                found.setdefault(what, []).append(name)
                break
        before = trial.problem
    findings = [Finding(what, tuple(names)) for what, names in found.items()]
    if findings:
        name = findings[0].probes[0]
        comes_and_goes = repetition(subject, trials[name]) is Repetition.COMES_AND_GOES
        own = [] if comes_and_goes else dependence(subject, trials[name], before)
        details = [count_failures(subject, trials[name]), *own]
        return [*findings, *(Finding(what, (name,)) for what in details)], comes_and_goes
    for name, trial in trials.items():
        if details := _depends_on_lengths(subject, trial):
            return [Finding(f"with other lengths: {what}", (name,)) for what in details], False
    return [], False


def _solved_again(subject: Subject, trial: Trial, before: Problem | None) -> Iterator[tuple[str, Arrays]]:
    """Yields further solutions of a problem, and when it was solved.

    Args:
        subject: the implementation.
        trial: the first solution.
        before: problem of another shape, if there is one.
    """
    if subject.forgets:
        yield "in another process", subject.solve(trial.problem)
        return
    yield "again after others", subject.solve(trial.problem)
    yield "twice in a row", subject.solve(trial.problem)
    for words, problem in _earlier(subject, trial, before):
        subject.solve(problem)
        yield f"again after one {words}", subject.solve(trial.problem)


def _depends_on_lengths(subject: Subject, trial: Trial) -> list[str]:
    """Solves a problem of the same shape with other lengths. Returns on which earlier calls its failure depends."""
    if trial.problem.lengths is None or subject.restart is None or subject.forgets:
        return []
    other = subject.try_problem(_with_other_lengths(subject, trial))
    return [] if other.verdict.conforms else dependence(subject, other, None)


def _with_other_lengths(subject: Subject, trial: Trial) -> Problem:
    """Draws a problem of the same shape whose lengths are reversed."""
    assert trial.problem.lengths is not None
    lengths = tuple(trial.problem.lengths[::-1].tolist())
    return subject.problem(trial.case.model_copy(update={"lengths": lengths}), 1)


def dependence(subject: Subject, trial: Trial, other: Problem | None) -> list[str]:
    """Returns the kinds of earlier calls on which a failure depends.

    There are none if a fresh process has the same results, or cannot be started.

    Args:
        subject: the implementation.
        trial: the failure.
        other: problem of another shape, if there is one.
    """
    if subject.restart is None:
        return []
    subject.restart()
    alone = subject.solve(trial.problem)
    conforms = trial.accepts(alone)
    if not conforms and not differing(trial, alone):
        return []
    # Solved again first, since the solution of the trial may come from other calls.
    first = replace(trial, judged=trial.judged._replace(solution=alone))
    subject.restart()
    if differing(first, subject.solve(trial.problem)):
        return []  # It does not depend on earlier calls alone.
    verdict = "correct" if conforms else "different"
    earlier = [("with the same problem", trial.problem), *_earlier(subject, trial, other)]
    harmful = []
    for words, problem in earlier:
        subject.restart()
        subject.solve(problem)
        if differing(first, subject.solve(trial.problem)):
            harmful.append(words)
    if not harmful:
        return [f"{verdict} when run alone in a fresh process: depends on earlier calls"]
    which = "any earlier call" if len(harmful) == len(earlier) else f"an earlier call {' or '.join(harmful)}"
    return [f"{verdict} when run alone in a fresh process: depends on {which}"]


def kept(subject: Subject, trial: Trial, rules: Sequence[Rule] = ()) -> str:
    """Describes what an implementation keeps of a call of the same shape; empty if this is not found.

    Args:
        subject: the implementation, which can be restarted.
        trial: a failure that depends on earlier calls.
        rules: what the implementation does wrongly in a fresh process, too.
    """
    if subject.restart is None:
        return ""
    before = subject.problem(trial.case, 1)
    subject.restart()
    first = subject.solve(before)
    solution = subject.solve(trial.problem)
    verdict = judge(trial.problem, solution, trial.judged.expectation)
    after = replace(trial, judged=trial.judged._replace(solution=solution), verdict=verdict)
    if after.is_reproduced(predict(rules, trial.problem, trial.judged.dialect)):
        return ""
    return next((what for what, found in _memories(trial, before, first, rules) if after.is_reproduced(found)), "")


def _memories(trial: Trial, before: Problem, first: Arrays, rules: Sequence[Rule]) -> Iterator[tuple[str, Arrays]]:
    """Yields data that an implementation may keep of a call, in words, with the results of the next call if it does."""
    problem, old = trial.problem, tensors_read(before)

    def solved(changed: Problem) -> Arrays:
        return predict(rules, changed, trial.judged.dialect)

    right = solved(problem)
    for kind in (*PARAMETERS, "input", *problem.case.given_states):
        names = [name for name in old if name.partition("_l")[0] == kind]
        if names:
            yield f"reads {kind} of an earlier call", solved(with_block(problem, {name: old[name] for name in names}))
    if problem.initial_state is None and "h_n" in first and "c_n" in first:
        with_state = {"h_0": first["h_n"], "c_0": first["c_n"]}
        yield "starts from the final states of the call before", solved(replace(problem, initial_state=with_state))
    for kind in dict.fromkeys(name.partition("_l")[0] for name in right):
        same = {name: first[name] for name in right if name.partition("_l")[0] == kind}
        yield f"returns {kind} of the call before", {**right, **same}
        sums = {name: right[name] + array for name, array in same.items()}
        yield f"returns {kind} plus that of the call before", {**right, **sums}


def _earlier(subject: Subject, trial: Trial, other: Problem | None) -> Iterator[tuple[str, Problem]]:
    """Yields problems to solve before that of a trial, with a description."""
    case, problem = trial.case, trial.problem
    same_shape = subject.problem(case, 1)
    if problem.lengths is None:
        yield "of the same shape", same_shape
    else:
        yield "of the same shape and lengths", same_shape
        yield "of the same shape and other lengths", _with_other_lengths(subject, trial)
    forward = case.forward_only()
    if "gradients" in case.check and forward and isinstance(subject.supported(forward), Case):
        yield "without gradients", replace(same_shape, case=forward)
    if other is not None:
        yield "of another shape", other
