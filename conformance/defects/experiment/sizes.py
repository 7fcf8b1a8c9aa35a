"""Finds out at other sizes in which place a rule applies: *unit 3*, *the last unit* or *units from 3 on*."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.defects.experiment.blocks import blocks, values
from conformance.defects.experiment.explain import Rules
from conformance.defects.experiment.places import UNIT, Place, places_of_values
from conformance.defects.experiment.predict import predict_trial
from conformance.defects.experiment.rule import Rule
from conformance.defects.experiment.trial import ImplementationError, Subject, Trial
from conformance.verdict.oracle import RejectedCaseError

_AXES = (UNIT, "row", "step", "layer")
"""Coordinates whose number of values is a size of a case."""
_MAX_TRIALS = 3
"""Number of other sizes that are tried for one coordinate."""
_MAX_GROWTH = 9
"""Largest difference between a size that is tried and that of the case."""
_MAX_CANDIDATES = 64


def generalize(subject: Subject, trial: Trial, rules: Rules) -> Rules:
    """Returns rules that reproduce a trial with the simplest places that also hold at other sizes.

    Args:
        subject: the implementation.
        trial: the trial.
        rules: rules that reproduce it. Their places may be too narrow or too wide at other sizes.
    """
    for axis in _AXES:
        candidates = list(_candidates(rules, axis, trial.case))
        for _ in range(_MAX_TRIALS):
            case = _separating(candidates, axis, trial.case)
            supported = subject.supported(case) if case else ""
            if not isinstance(supported, Case):
                break
            try:
                other = subject.try_problem(subject.problem(supported))
            except (RejectedCaseError, ImplementationError):
                break
            fitting = [each for each in candidates if other.is_reproduced(predict_trial(each, other))]
            if not fitting:
                candidates = [rules]
                break
            candidates = fitting
        rules = candidates[0]
    return rules


def _candidates(rules: Rules, axis: str, case: Case) -> Iterator[Rules]:
    """Yields rules that are the same at the sizes of a case, the simplest ones first."""
    choices = [_with_other_places(rule, axis, case) for rule in rules]
    yield from product(*choices) if prod(map(len, choices)) <= _MAX_CANDIDATES else [rules]


def _with_other_places(rule: Rule, axis: str, case: Case) -> list[Rule]:
    """Returns a rule with each of the places along an axis that are the same at the sizes of a case."""
    if not any(place.axis == axis for place in rule.scope):
        return [rule]
    choices = (_alternatives(place, axis, rule, case) for place in rule.scope)
    return [replace(rule, scope=places) for places in product(*choices)]


def _alternatives(place: Place, axis: str, rule: Rule, case: Case) -> Sequence[Place]:
    if place.axis != axis:
        return [place]
    if place.rule in ("end", "padding"):
        return [place]
    count = _count(rule, axis, case)
    found = list(places_of_values(axis, np.flatnonzero(place.among(count)).tolist(), count))
    if axis == "step" and case.lengths is None and Place(axis, "last") in found:
        found.append(Place(axis, "end"))
    return found


def _count(rule: Rule, axis: str, case: Case) -> int:
    """Returns the number of values that a coordinate of the blocks of a rule has."""
    if axis == UNIT:
        return next(blocks(rule.kinds[0], case)).width(case)[0]
    return len(values(axis, case))


def _separating(candidates: Sequence[Rules], axis: str, case: Case) -> Case | None:
    """Returns the smallest case with another size at which the most candidates differ; None if none do."""
    best, most = None, 1
    for growth in range(1, _MAX_GROWTH + 1):
        larger = _grown(case, axis, growth)
        patterns = {_pattern(rules, axis, larger) for rules in candidates}
        if len(patterns) > most:
            best, most = larger, len(patterns)
    return best


def _pattern(rules: Rules, axis: str, case: Case) -> tuple[Any, ...]:
    """Returns which values of a coordinate meet the places of rules."""
    return tuple(
        place.rule if place.rule in ("end", "padding") else place.among(_count(rule, axis, case)).tobytes()
        for rule in rules
        for place in rule.scope
        if place.axis == axis
    )


def _grown(case: Case, axis: str, growth: int) -> Case:
    """Returns a case with more units, rows, steps or layers."""
    changed: dict[str, Any] = {
        UNIT: {"hidden_size": case.hidden_sizes[0] + growth, "input_size": case.input_size + growth},
        "row": {"batch": (case.rows or 1) + growth},
        "step": {"seq_len": case.seq_len + growth},
        "layer": {"num_layers": case.num_layers + growth},
    }[axis]
    if isinstance(case.lengths, tuple):
        rows, steps = changed.get("batch", len(case.lengths)), changed.get("seq_len", case.seq_len)
        lengths = (case.lengths * rows)[:rows]
        changed["lengths"] = tuple(steps if length == case.seq_len else length for length in lengths)
    return case.model_copy(update=changed)
