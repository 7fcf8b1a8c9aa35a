"""Compares explanations of broken implementations with the truth, on problems that no engine has seen.

An explanation is ``correct`` if the reference with the described mistake, or with all that are described, has the true
results in cases whose sizes no probe has, and all failing cases are explained. It is ``narrow`` if it has them, within
the budget, only in the cases that it explains, and else ``false``. The verdict is ``none`` if nothing is explained, and
``unread`` if a finding cannot be read back.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.grammar.broken import Broken
from benchmarks.grammar.draw import Drawn
from benchmarks.grammar.mistake import Mistake
from benchmarks.grammar.wording import read
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.diagnosis.diagnose import diagnose, misfits
from conformance.defects.diagnosis.observation import Observation
from conformance.defects.diagnosis.search import MAX_MISFIT
from conformance.defects.solve import solve
from conformance.results.explanation import Explanation
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

_HELD_OUT = 7
"""Draw of the problems on which explanations are tested. No engine uses it."""
_SAME = 1e-9
"""Relative difference below which two solutions in float64 are the same."""
_ROUNDINGS = 4.0
"""Relative difference, in roundings of the dtype, below which two solutions are the same."""
_SAMPLE = 12
"""Number of cases of an explanation, about, on which it is tested."""


def judge_catalogue(drawn: Drawn, failing: Sequence[JudgedSolution]) -> str:
    """Judges the causes from the catalogue that are named for some failing cases."""
    verdicts = set()
    for judged in failing:
        found = diagnose(judged, CATALOGUE)
        for cause in found.causes if found else ():
            if not cause.like_best:
                continue
            if max(misfits(_judged(drawn, judged.problem.case), cause.defect).values()) > MAX_MISFIT:
                verdicts.add("false")
            elif all(_behaves_like(cause.defect, drawn, case) for case in drawn.cases):
                verdicts.add("correct")
            else:
                verdicts.add("narrow")
    return next((each for each in ("false", "correct", "narrow") if each in verdicts), "none")


def _judged(drawn: Drawn, case: Case) -> JudgedSolution:
    """Returns the results of the mistakes on a held-out problem, with their budget."""
    problem = make_problem(case, _HELD_OUT)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
    return JudgedSolution(problem, Broken(drawn.mistakes).solve(problem), expectation, Dialect())


def _behaves_like(defect: Defect, drawn: Drawn, case: Case) -> bool:
    """Returns whether a defect gives the results of the mistakes on a held-out problem."""
    problem = make_problem(case.model_copy(update={"dtype": "float64"}), _HELD_OUT)
    if not defect.applies_to(problem.case):
        return False
    with np.errstate(all="ignore"):
        return _is_same(solve(defect, problem, Dialect()), Broken(drawn.mistakes).solve(problem))


def judge_experiments(drawn: Drawn, explanations: Sequence[Explanation], failing: Mapping[str, Case]) -> str:
    """Judges what the experiments of a run found out.

    Args:
        drawn: the mistakes.
        explanations: the explanations.
        failing: the failing cases, by key.
    """
    if earlier := [each for each in explanations if _is_about_earlier_calls(each)]:
        return _judge_history(drawn, explanations, earlier, failing)
    verified = [(each.keys, _mistakes(each.what)) for each in explanations if each.verified]
    for keys, mistakes in verified:
        if mistakes is None:
            return "unread"
        sample = keys[:: max(1, len(keys) // _SAMPLE)]
        if not all(_is_within_budget(mistakes, drawn, failing[key]) for key in sample):
            return "false"
    if not verified:
        return _judge_observations(drawn, explanations)
    explained = {key for keys, _ in verified for key in keys}
    found = [mistakes for _, mistakes in verified if mistakes]
    every = [mistake for mistakes in found for mistake in mistakes]
    # No failing case need show all mistakes at once.
    found.append([mistake for place, mistake in enumerate(every) if mistake not in every[:place]])
    wide = all(any(_reproduces(mistakes, drawn, case) for mistakes in found) for case in drawn.cases)
    return "correct" if wide and explained == failing.keys() else "narrow"


def _mistakes(text: str) -> list[Mistake] | None:
    """Returns the mistakes that an explanation describes; None if one cannot be read."""
    found = [read(part) for part in re.split(r", and (?=reads|returns|ignores|computes|rounds)", text)]
    return None if None in found else [mistake for mistakes in found for mistake in mistakes or ()]


def _judge_observations(drawn: Drawn, explanations: Sequence[Explanation]) -> str:
    """Judges observations about the precision."""
    if any("only as precise as float32" in each.what for each in explanations):
        single = {each.change.verb for each in drawn.mistakes if each.role == "rounding" and each.change.value == 24}
        complete = len(explanations) == 1 and single == {"all"}
        return "none" if len(single) < len(drawn.mistakes) else "correct" if complete else "narrow"
    return "none"


def _is_about_earlier_calls(explanation: Explanation) -> bool:
    text = f"{explanation.what}; {explanation.how}"
    return not explanation.verified and ("does not repeat" in text or "earlier call" in text)


def _judge_history(
    drawn: Drawn, explanations: Sequence[Explanation], earlier: Sequence[Explanation], failing: Mapping[str, Case]
) -> str:
    """Compares what is kept of earlier calls with the truth, and judges the explanations of the other mistakes."""
    others = tuple(each for each in drawn.mistakes if each.role != "history")
    kept = [each for each in drawn.mistakes if each.role == "history"]
    if not kept:
        return "false"
    if len(kept) > 1 or not _is_kept(kept[0], "; ".join(f"{each.what}; {each.how}" for each in earlier)):
        return "narrow"
    explained = {key for each in earlier for key in each.keys}
    if not others:
        return "correct" if explained == failing.keys() else "narrow"
    rest = [each for each in explanations if each not in earlier]
    explained -= {key for each in rest for key in each.keys}
    alone = {key: case for key, case in failing.items() if key not in explained}
    verdict = judge_experiments(replace(drawn, mistakes=others), rest, alone)
    return "narrow" if verdict == "none" else verdict


def _is_kept(mistake: Mistake, text: str) -> bool:
    """Returns whether a text describes what a mistake keeps of earlier calls."""
    kind = (*mistake.kinds, "")[0]
    true = {
        "stale": f"returns {kind} of the call before",
        "accumulated": f"returns {kind} plus that of the call before",
        "carried": "starts from the final states of the call before",
        "first-call": f"reads {kind} of an earlier call",
    }[mistake.change.verb]
    changes = re.findall(r"does not repeat: (.*?) changes? when", text)
    found = {name.partition("_l")[0] for names in changes for name in names.split(", ")}
    return text.startswith(true) or found == set(mistake.kinds)


def _is_within_budget(explanation: Sequence[Mistake], drawn: Drawn, case: Case) -> bool:
    """Returns whether an explanation gives the results of the mistakes on a held-out problem, within their budget."""
    judged = _judged(drawn, case)
    found = Broken(explanation).solve(judged.problem)
    return max(Observation(judged).misfits(found).values()) <= MAX_MISFIT


def _reproduces(explanation: Sequence[Mistake], drawn: Drawn, case: Case) -> bool:
    """Returns whether an explanation gives the results of the mistakes on a held-out problem."""
    problem = make_problem(case, _HELD_OUT)
    found, true = Broken(explanation).solve(problem), Broken(drawn.mistakes).solve(problem)
    return _is_same(found, true, max(_SAME, _ROUNDINGS * PROFILES[case.dtype].u))


def _is_same(one: Any, other: Any, tolerance: float = _SAME) -> bool:
    wide = {name: (np.asarray(array, np.float64), np.asarray(other[name], np.float64)) for name, array in one.items()}
    return all(
        np.allclose(got, true, rtol=tolerance, atol=tolerance * max(1.0, float(np.abs(got).max(initial=0.0))))
        for got, true in wide.values()
    )
