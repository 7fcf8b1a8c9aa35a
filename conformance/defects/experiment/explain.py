"""Searches for the rules with which the reference reproduces a wrong solution."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from conformance.defects.experiment.activations import activation_rules
from conformance.defects.experiment.blocks import RESULTS, read_kinds, tensors_of
from conformance.defects.experiment.factors import scaling_rules
from conformance.defects.experiment.inputs import (
    Response,
    cotangent_rules,
    pairs_of_read_rules,
    read_rules,
    suggested_rules,
)
from conformance.defects.experiment.outputs import find_returned
from conformance.defects.experiment.predict import predict
from conformance.defects.experiment.rounding import rounding_rules
from conformance.defects.experiment.rule import Rule, length_rules
from conformance.defects.experiment.trial import Trial

Rules = tuple[Rule, ...]

MAX_CPU_SECONDS = 5.0
"""CPU time for the search of one case."""
_MAX_EXPLANATIONS = 4
"""Number of explanations of the results for which the gradients are tried."""


def applicable(rules: Sequence[Rule], trial: Trial) -> Rules:
    """Returns the rules that change something in a trial's case."""
    return tuple(rule for rule in rules if rule.applies_to(trial.case))


def explain(
    trial: Trial,
    responses: Callable[[], Sequence[Response]],
    suspects: Sequence[Rules] = (),
    seconds: float = MAX_CPU_SECONDS,
) -> Rules | None:
    """Returns rules that reproduce all tensors of a trial; None if none are found.

    Args:
        trial: the wrong solution.
        responses: function that measures how the implementation responds to changes.
        suspects: explanations of other cases, to be tried first.
        seconds: limit of the CPU time.
    """
    if not trial.comparable:
        return None
    for suspect in suspects:
        rules = applicable(suspect, trial)
        if rules and trial.is_reproduced(_predict(rules, trial)):
            return _necessary(rules, trial)
    if found := computed(trial):
        return found
    if not trial.can_be_searched:
        return None
    search = _Search(trial, responses, time.thread_time() + seconds)
    for count, rules in enumerate(search.of_results()):
        complete = search.with_gradients(rules)
        if complete and trial.is_reproduced(_predict(complete, trial)):
            return _necessary(complete, trial)
        if count + 1 == _MAX_EXPLANATIONS:
            break
    return None


def computed(trial: Trial) -> Rules | None:
    """Returns a rule about a wrong computation that reproduces a trial; None if there is none."""
    if trial.verdict.conforms or not trial.comparable:
        return None
    results = trial.problem.case.forward_only()
    forward = replace(trial.problem, case=results) if results else trial.problem
    rejected: set[str] = set()
    for rule in (*(activation_rules(trial) if trial.is_driven else ()), *rounding_rules(trial)):
        # Rules that differ only in the gradients predict the same results.
        forward_words = str(rule).partition(";")[0]
        if forward_words in rejected:
            continue
        if trial.mismatches(predict((rule,), forward, trial.judged.dialect)):
            rejected.add(forward_words)
        elif trial.is_reproduced(_predict((rule,), trial)):
            return (rule,)
    return None


class _Search:
    """Search on one trial, until a deadline."""

    def __init__(self, trial: Trial, responses: Callable[[], Sequence[Response]], deadline: float) -> None:
        self._trial = trial
        self._responses = responses
        self._deadline = deadline

    def of_results(self) -> Iterator[Rules]:
        """Yields rules that reproduce ``output``, ``h_n`` and ``c_n``."""
        wrong = self._wrong_results(())
        if not wrong:
            yield ()
            return
        if returned := self._returned(wrong, self._predict_results(())):
            yield returned
        for rules in self._candidates():
            if time.thread_time() > self._deadline:
                return
            prediction = self._predict_results(rules)
            left = self._wrong(prediction)
            if not left:
                yield rules
            elif len(left) < len(wrong) and (returned := self._returned(left, prediction)):
                yield (*rules, *returned)

    def with_gradients(self, rules: Rules) -> Rules | None:
        """Adds rules until the gradients are reproduced too; None if they are not."""
        if "gradients" not in self._trial.case.check:
            return rules
        best = min(_variants(rules), key=lambda each: len(self._wrong(_predict(each, self._trial))))
        prediction = _predict(best, self._trial)
        wrong = self._wrong(prediction)
        returned = self._returned(wrong, prediction)
        if returned is not None:
            return (*best, *returned)
        for rule in cotangent_rules(self._trial.case, self._responses()):
            if time.thread_time() > self._deadline:
                return None
            prediction = _predict((*best, rule), self._trial)
            left = self._wrong(prediction)
            if len(left) < len(wrong) and (returned := self._returned(left, prediction)) is not None:
                return (*best, rule, *returned)
        return None

    def _candidates(self) -> Iterator[Rules]:
        case = self._trial.case
        if self._trial.problem.lengths is not None:
            yield from ((rule,) for rule in length_rules())
        yield from ((rule,) for rule in suggested_rules(case, self._responses()))
        yield from ((rule,) for rule in scaling_rules(self._trial, self._predict_results))
        # Two mistakes that the responses suggest are more likely than one that they do not.
        yield from pairs_of_read_rules(case, self._responses())
        yield from ((rule,) for rule in read_rules(case))

    def _returned(self, wrong: Sequence[str], prediction: dict[str, Any]) -> Rules | None:
        """Returns a rule for each kind of wrong tensors; None if one is not found among the predicted values."""
        case, rules = self._trial.case, []
        for kind in [*RESULTS, *(f"grad.{kind}" for kind in read_kinds(case))]:
            if any(name in wrong for name in tensors_of(kind, case)):
                rule = find_returned(self._trial, kind, prediction)
                if rule is None:
                    return None
                rules.append(rule)
        return tuple(rules)

    def _predict_results(self, rules: Rules) -> dict[str, Any]:
        problem = self._trial.problem
        forward = problem.case.forward_only()
        if forward is None:
            return {}
        return predict(rules, replace(problem, case=forward), self._trial.judged.dialect)

    def _wrong_results(self, rules: Rules) -> list[str]:
        return self._wrong(self._predict_results(rules))

    def _wrong(self, prediction: dict[str, Any]) -> list[str]:
        return self._trial.mismatches(prediction)


def _necessary(rules: Rules, trial: Trial) -> Rules:
    """Leaves out rules without which the others reproduce the trial too."""
    for rule in rules:
        others = tuple(other for other in rules if other != rule)
        if others and trial.is_reproduced(_predict(others, trial)):
            return _necessary(others, trial)
    return rules


def _predict(rules: Rules, trial: Trial) -> dict[str, Any]:
    return predict(rules, trial.problem, trial.judged.dialect)


def _variants(rules: Rules) -> Iterator[Rules]:
    """Yields the rules with gradients that match the wrong forward pass, and with gradients that do not."""
    choices = [(True, False) if rule.role in ("reads", "returns") else (True,) for rule in rules]
    for flags in product(*choices):
        yield tuple(replace(rule, adjoint=flag) for rule, flag in zip(rules, flags, strict=True))
