"""Verifies explanations with further draws, and chooses those that account for most cases."""

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.defects.experiment.explain import Rules, applicable
from conformance.defects.experiment.predict import predict_trial
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import Subject, Trial
from conformance.verdict.oracle import RejectedCaseError

DRAWS = (1, 2)
"""Further draws that an explanation must reproduce."""


@dataclass(frozen=True)
class Verified:
    """Rules that reproduce every tensor of a probe in all draws.

    Attributes:
        rules: the rules.
        misfit: largest |deviation| from the changed reference, in tolerances.
    """

    rules: Rules
    misfit: float


def choose(trials: Mapping[str, Trial], explanations: Mapping[str, Rules]) -> dict[str, Rules]:
    """Returns for each explained probe the rules that also explain the most other probes."""
    candidates = list(dict.fromkeys(explanations.values()))
    explained = {
        rules: {
            name
            for name, trial in trials.items()
            if (own := applicable(rules, trial)) and trial.is_reproduced(predict_trial(own, trial))
        }
        for rules in candidates
    }
    ranked = sorted(candidates, key=lambda rules: -len(explained[rules]))
    chosen: dict[str, Rules] = {}
    for name, trial in trials.items():
        best = next((rules for rules in ranked if name in explained[rules]), None)
        if best is not None:
            chosen[name] = applicable(best, trial)
    return chosen


def verify(subject: Subject, trial: Trial, rules: Rules) -> Verified | None:
    """Returns the verified explanation of a trial; None if a draw refutes it."""
    try:
        draws = [trial, *(subject.try_draw(trial, draw) for draw in DRAWS)]
    except RejectedCaseError:
        return None
    predictions = [predict_trial(rules, draw) for draw in draws]
    if not all(draw.is_reproduced(prediction) for draw, prediction in zip(draws, predictions, strict=True)):
        return None
    return Verified(rules, max(draw.misfit(found) for draw, found in zip(draws, predictions, strict=True)))


def is_verified(rule: Rule, trials: Mapping[str, Trial], verified: Mapping[str, Verified]) -> bool:
    """Returns whether every failing probe to which a rule applies has a verified explanation, and some with the rule.

    Args:
        rule: the rule.
        trials: the failing probes.
        verified: their verified explanations.
    """
    affected = [name for name, trial in trials.items() if rule.applies_to(trial.case)]
    return any(rule in found.rules for found in verified.values()) and all(name in verified for name in affected)
