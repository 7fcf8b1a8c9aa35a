"""Searches for the rules with which the reference reproduces a wrong solution."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from conformance.defects.experiment.activations import activation_rules
from conformance.defects.experiment.blocks import RESULTS, returned_kinds, tensors_of
from conformance.defects.experiment.factors import scaling_rules
from conformance.defects.experiment.inputs import (
    Response,
    cotangent_rules,
    read_rules,
    suggested_rules,
)
from conformance.defects.experiment.outputs import find_returned
from conformance.defects.experiment.places import simple_scopes
from conformance.defects.experiment.predict import predict, predict_trial
from conformance.defects.experiment.rounding import rounding_rules
from conformance.defects.experiment.rule import Rule, axes_of, length_rules
from conformance.defects.experiment.trial import Trial

Rules = tuple[Rule, ...]
_Candidates = Callable[[Rules, dict[str, Any]], Iterator[Rule]]

MAX_CPU_SECONDS = 5.0
"""CPU time for the search of one case."""
_MAX_EXPLANATIONS = 8
"""Number of explanations of the results for which the gradients are tried."""
_MAX_RULES = 3
"""Number of rules that are added one after another."""
_MAX_STARTS = 3
"""Number of rules, those with the closest results, to which further ones are added."""


def applicable(rules: Sequence[Rule], trial: Trial) -> Rules:
    """Returns the rules that change something in a trial's case."""
    return tuple(rule for rule in rules if rule.applies_to(trial.case))


def describe(rules: Rules) -> str:
    """Describes rules in one sentence."""
    return ", and ".join(map(str, rules))


def explain(
    trial: Trial,
    responses: Callable[[], Sequence[Response]],
    suspects: Sequence[Rules] = (),
    computations: Sequence[Rule] = (),
    seconds: float = MAX_CPU_SECONDS,
) -> Rules | None:
    """Returns rules that reproduce all tensors of a trial; None if none are found.

    Args:
        trial: the wrong solution.
        responses: function that measures how the implementation responds to changes.
        suspects: explanations of other cases, to be tried first.
        computations: rules about wrong computations, to be tried together with others.
        seconds: limit of the CPU time.
    """
    if not trial.complete:
        return None
    for suspect in suspects:
        rules = applicable(suspect, trial)
        if rules and trial.is_reproduced(predict_trial(rules, trial)):
            return _necessary(rules, trial)
    if found := computed(trial):
        return found
    if not (trial.comparable and trial.can_be_searched):
        return None
    known = [rules for suspect in suspects if (rules := applicable(suspect, trial))]
    search = _Search(trial, responses, known, computations, time.thread_time() + seconds)
    for count, rules in enumerate(search.of_results()):
        complete = search.with_gradients(rules)
        if complete and trial.is_reproduced(predict_trial(complete, trial)):
            return _necessary(_merged(complete, trial), trial)
        if count + 1 == _MAX_EXPLANATIONS:
            break
    return None


def computed(trial: Trial) -> Rules | None:
    """Returns a rule about a wrong computation that reproduces a trial; None if there is none."""
    if trial.verdict.conforms or not trial.comparable:
        return None
    results = trial.problem.case.forward_only()
    forward = replace(trial.problem, case=results) if results else trial.problem
    for rules in _by_results((*(activation_rules(trial) if trial.is_driven else ()), *rounding_rules(trial))).values():
        if not trial.mismatches(predict(rules[:1], forward, trial.judged.dialect)):
            for rule in rules:
                if trial.is_reproduced(predict_trial((rule,), trial)):
                    return (rule,)
    return None


def _by_results(rules: Iterable[Rule]) -> dict[str, Rules]:
    """Groups rules whose forward results are the same and that differ only in the gradients."""
    groups: dict[str, Rules] = {}
    for rule in rules:
        words = rule.move.words.partition(";")[0]
        groups[words] = (*groups.get(words, ()), rule)
    return groups


class _Search:
    """Search on one trial, until a deadline: a matching pursuit, which adds one rule after another.

    Args:
        trial: the wrong solution.
        responses: function that measures how the implementation responds to changes.
        suspects: rules that may reproduce it in part.
        computations: rules about wrong computations, to be tried together with others.
        deadline: thread time at which the search ends.
    """

    def __init__(
        self,
        trial: Trial,
        responses: Callable[[], Sequence[Response]],
        suspects: Sequence[Rules],
        computations: Sequence[Rule],
        deadline: float,
    ) -> None:
        self._trial = trial
        self._responses = responses
        self._suspects = suspects
        self._computations = _by_results(rule for rule in computations if rule.applies_to(trial.case))
        self._deadline = deadline

    def of_results(self) -> Iterator[Rules]:
        """Yields rules that reproduce ``output``, ``h_n`` and ``c_n``."""
        right = self._predict_results(())
        if not self._trial.mismatches(right):
            yield ()
            yield from (rules for rules in self._suspects if not self._trial.mismatches(self._predict_results(rules)))
            return
        starts = [*self._starts(right), ()]
        for _ in range(_MAX_RULES):
            found: dict[Rules, float] = {}
            for start in starts:
                yield from self._completed(start)
            for candidates, start in product((self._likely, self._others), starts):
                yield from self._extended(start, candidates, found)
            starts = sorted(found, key=found.__getitem__)[:_MAX_STARTS]

    def _starts(self, right: dict[str, Any]) -> list[Rules]:
        """Returns the suspects and computations that may reproduce a part of the results, the closest ones first."""
        limit = self._trial.distance(right)
        computations = [rules[:1] for rules in self._computations.values()]
        every = (*self._suspects, *computations)
        found = {rules: self._trial.distance(self._predict_results(rules)) for rules in every}
        # Another case verified the suspects. A second mistake can hide that they bring the results closer.
        starts = [each for each in found if found[each] < limit or (each in self._suspects and found[each] > limit)]
        return sorted(starts, key=found.__getitem__)[:_MAX_STARTS]

    def _completed(self, start: Rules) -> Iterator[Rules]:
        """Yields rules that reproduce the results, if only returned values are wrong besides."""
        prediction = self._predict_results(start)
        wrong = self._trial.mismatches(prediction)
        returned = self._returned(wrong, prediction)
        if returned is not None:
            yield (*start, *returned)

    def _extended(self, start: Rules, candidates: _Candidates, found: dict[Rules, float]) -> Iterator[Rules]:
        """Yields rules that reproduce the results, which begin with others and have one more.

        Args:
            start: the rules to begin with.
            candidates: function that returns the rules that may follow, given these and their prediction.
            found: receives the distance of the results of those that do not reproduce them.
        """
        prediction = self._predict_results(start)
        wrong = self._trial.mismatches(prediction)
        for rule in candidates(start, prediction):
            if time.thread_time() > self._deadline:
                return
            rules = (*start, rule)
            prediction = self._predict_results(rules)
            left = self._trial.mismatches(prediction)
            if not left:
                yield rules
                continue
            if len(left) < len(wrong) and (returned := self._returned(left, prediction)):
                yield (*rules, *returned)
            found[rules] = self._trial.distance(prediction)

    def with_gradients(self, rules: Rules) -> Rules | None:
        """Adds rules until the gradients are reproduced too; None if they are not."""
        if "gradients" not in self._trial.case.check and not self._trial.case.has_direction:
            return rules
        predictions = {each: predict_trial(each, self._trial) for each in self._variants(rules)}
        best = min(predictions, key=lambda each: len(self._trial.mismatches(predictions[each])))
        wrong = self._trial.mismatches(predictions[best])
        for suspect in self._suspects:
            together = (*best, *(rule for rule in suspect if not _has_variant(best, rule)))
            if not self._trial.mismatches(predict_trial(together, self._trial)):
                return together
        returned = self._returned(wrong, predictions[best])
        if returned is not None:
            return (*best, *returned)
        for rule in cotangent_rules(self._trial.case, self._responses()):
            if time.thread_time() > self._deadline:
                return None
            prediction = predict_trial((*best, rule), self._trial)
            left = self._trial.mismatches(prediction)
            if len(left) < len(wrong) and (returned := self._returned(left, prediction)) is not None:
                return (*best, rule, *returned)
        return None

    def _likely(self, start: Rules, prediction: dict[str, Any]) -> Iterator[Rule]:
        """Yields rules that are likely to explain what others leave."""
        trial, case = self._trial, self._trial.case
        if trial.problem.lengths is not None:
            yield from length_rules()
        self._computations |= _by_results(rounding_rules(trial, {**trial.observation.values, **prediction}))
        yield from (rules[0] for rules in self._computations.values() if not _has_variant(start, rules[0]))
        for rule in dict.fromkeys(rule for rules in self._suspects for rule in rules if rule.role == "reads"):
            places = (scope for scope in simple_scopes(axes_of(rule.kinds), case) if scope)
            yield from (replace(rule, scope=(*rule.scope, *scope)) for scope in places)
        yield from suggested_rules(case, self._responses())

    def _others(self, start: Rules, prediction: dict[str, Any]) -> Iterator[Rule]:
        """Yields further rules that may explain what others leave."""
        del prediction
        yield from scaling_rules(self._trial, lambda rules: self._predict_results((*start, *rules)))
        yield from read_rules(self._trial.case)

    def _returned(self, wrong: Sequence[str], prediction: dict[str, Any]) -> Rules | None:
        """Returns a rule for each kind of wrong tensors; None if one is not found among the predicted values."""
        case, rules = self._trial.case, []
        for kind in returned_kinds(case):
            if any(name in wrong for name in tensors_of(kind, case)):
                rule = find_returned(self._trial, kind, prediction)
                if rule is None:
                    return None
                rules.append(rule)
        return tuple(rules)

    def _predict_results(self, rules: Rules) -> dict[str, Any]:
        problem = self._trial.problem
        compared = tuple(check for check in problem.case.check if check in RESULTS)
        if not compared:
            return {}
        forward = problem.case.model_copy(update={"check": compared})
        return predict(rules, replace(problem, case=forward), self._trial.judged.dialect)

    def _variants(self, rules: Rules) -> Iterator[Rules]:
        """Yields rules with gradients that match the wrong forward pass, and with gradients that do not."""
        choices: list[Rules] = []
        for rule in rules:
            if rule.role in ("reads", "returns"):
                choices.append((replace(rule, adjoint=True), replace(rule, adjoint=False)))
            else:
                choices.append(self._computations.get(rule.move.words.partition(";")[0], (rule,)))
        return product(*choices)


def _has_variant(rules: Rules, rule: Rule) -> bool:
    """Returns whether some rules contain a rule, possibly with other gradients."""
    return any(_without_gradients(rule) == _without_gradients(other) for other in rules)


def _without_gradients(rule: Rule) -> Rule:
    """Returns a rule without what it says about gradients, for comparisons."""
    return replace(rule, adjoint=True, move=replace(rule.move, words=rule.move.words.partition(";")[0]))


def _merged(rules: Rules, trial: Trial) -> Rules:
    """Replaces several rules about the same returned tensors by one, if one reproduces the trial too.

    The first of them can explain another case, in which it is the only one.
    """
    for kinds in dict.fromkeys(rule.kinds for rule in rules if rule.role == "returns"):
        own = [rule for rule in rules if rule.role == "returns" and rule.kinds == kinds]
        if len(own) < 2:
            continue
        others = tuple(rule for rule in rules if rule not in own)
        found = find_returned(trial, kinds[0], predict_trial(others, trial))
        if found is None:
            continue
        for adjoint in (True, False):
            merged = (*others, replace(found, adjoint=adjoint))
            if trial.is_reproduced(predict_trial(merged, trial)):
                return merged
    return rules


def _necessary(rules: Rules, trial: Trial) -> Rules:
    """Leaves out rules without which the others reproduce the trial too."""
    for rule in rules:
        others = tuple(other for other in rules if other != rule)
        if others and trial.is_reproduced(predict_trial(others, trial)):
            return _necessary(others, trial)
    return rules
