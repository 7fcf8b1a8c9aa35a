"""Separates failures that come and go, or that earlier calls cause, from mistakes that a fresh process makes, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from conformance.defects.experiment.explain import Rules
from conformance.defects.experiment.history import dependence, kept
from conformance.defects.experiment.repetition import (
    Repetition,
    count_failures,
    differing,
    repetition,
    sometimes_conforms,
)
from conformance.defects.experiment.trial import ImplementationError, OutOfTimeError, Subject
from conformance.results.explanation import Explanation
from conformance.run.failures import Failure, smallest_first, unclaimed

MAX_CPU_SECONDS = 5.0
"""CPU time for solving failing cases again, including that of the implementation, after which no other one starts."""
_MAX_SOLVED_TWICE = 3
"""Number of failing cases for which a dependence on earlier calls is looked for."""


@dataclass(frozen=True)
class Dependence:
    """A dependence of failures on earlier calls, or on chance.

    Attributes:
        what: description; empty if ``how`` says everything.
        how: how it was established.
        comes_and_goes: whether failures do not depend on earlier calls alone, but come and go.
    """

    what: str
    how: str
    comes_and_goes: bool = False


@dataclass(frozen=True)
class Separated:
    """The failures of an implementation whose results depend on earlier calls, or come and go.

    Attributes:
        changed: failures whose results are others when run alone in a fresh process, the smallest ones first.
        correct: failures that conform when run alone or again, and those for which this is not known.
        wrong: failures that do not conform when run alone, with the results of a fresh process, or in any run.
    """

    changed: list[Failure]
    correct: list[Failure]
    wrong: list[Failure]


def find_dependence(subject: Subject, failures: Sequence[Failure]) -> Dependence | None:
    """Returns how some failures depend on earlier calls, or that they come and go; None if all repeat."""
    for failure in _after_others(failures)[:_MAX_SOLVED_TWICE]:
        name = failure.judged.problem.case.id
        try:
            match repetition(subject, failure.trial):
                case Repetition.REPEATS:
                    continue
                case Repetition.COMES_AND_GOES:
                    return Dependence(count_failures(subject, failure.trial), f"counted for {name}", True)
            found = "; ".join(dependence(subject, failure.trial, None))
        except ImplementationError:
            continue  # The experiments report it.
        except OutOfTimeError:
            return None
        if found:
            return Dependence("", f"{name} is {found}")
    return None


def _after_others(failures: Sequence[Failure]) -> list[Failure]:
    """Sorts failures: those after another one of the same shape first, which it can influence, then by their size."""
    shapes = [failure.judged.problem.input.shape for failure in failures]
    later = [failure for place, failure in enumerate(failures) if shapes[place] in shapes[:place]]
    return [*smallest_first(later), *smallest_first(unclaimed(failures, later))]


def separate_repeating(subject: Subject, failures: Sequence[Failure]) -> Separated:
    """Solves failing cases again. Those that fail in every run are wrong."""
    deadline = subject.clock() + MAX_CPU_SECONDS
    found = Separated([], [], [])
    for failure in smallest_first(failures):
        try:
            repeats = subject.clock() < deadline and not sometimes_conforms(subject, failure.trial)
        except (ImplementationError, OutOfTimeError):
            repeats = False
        (found.wrong if repeats else found.correct).append(failure)
    return found


def separate(fresh: Subject, failures: Sequence[Failure]) -> Separated:
    """Solves failing cases alone.

    Args:
        fresh: the implementation, which forgets earlier calls.
        failures: its failures.
    """
    if fresh.restart is None:
        return Separated([], [*failures], [])
    changed, correct, wrong = [], [], []
    deadline = fresh.clock() + MAX_CPU_SECONDS
    for failure in smallest_first(failures):
        try:
            solution = fresh.solve(failure.judged.problem) if fresh.clock() < deadline else None
        except (ImplementationError, OutOfTimeError):
            solution = None
        if solution is None:
            correct.append(failure)
            continue
        alone = replace(failure, judged=failure.judged._replace(solution=solution))
        if differing(failure.trial, solution):
            changed.append(failure)
        if alone.trial.verdict.conforms:
            correct.append(failure)
        else:
            wrong.append(alone)
    return Separated(changed, correct, wrong)


def explain_dependence(
    subject: Subject, found: Dependence, separated: Separated, claims: Mapping[Rules, Sequence[Failure]]
) -> Explanation:
    """Explains failures by what an implementation keeps of earlier calls.

    Args:
        subject: the implementation.
        found: the dependence.
        separated: its failures.
        claims: explanations of those that a fresh process shows, too.
    """
    own = tuple(failure.key for failure in separated.correct or separated.changed)
    wrong = {failure.key for failure in separated.wrong}
    rules = {failure.key: rules for rules, claimed in claims.items() for failure in claimed}
    for failure in (each for each in separated.changed if each.key in rules or each.key not in wrong):
        try:
            what = kept(subject, failure.trial, rules.get(failure.key, ()))
        except (ImplementationError, OutOfTimeError):
            break
        if what:
            return Explanation(subject.adapter.name, what, own, "; ".join(filter(None, (found.what, found.how))))
    return Explanation(subject.adapter.name, found.what or found.how, own, found.how if found.what else "")
