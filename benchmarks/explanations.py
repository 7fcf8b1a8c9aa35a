"""Compares explanations of broken implementations with the truth, on problems that no engine has seen.

An explanation is ``correct`` if the reference with the described mistake has the true results in cases whose sizes no
probe has, ``narrow`` if it has them only in the cases that it explains, and else ``false``. The verdict is ``none`` if
nothing is explained, and ``unread`` if a finding cannot be read back.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.grammar.broken import Broken
from benchmarks.grammar.draw import Drawn
from benchmarks.grammar.mistake import Mistake
from benchmarks.grammar.wording import read
from conformance.cases.case import Case
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect, solve
from conformance.defects.diagnosis.diagnose import diagnose, misfits
from conformance.defects.diagnosis.search import MAX_MISFIT
from conformance.defects.experiment.findings import Dissection, Finding
from conformance.defects.experiment.probes import probe
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

_HELD_OUT = 7
"""Draw of the problems on which explanations are tested. No engine uses it."""
_SAME = 1e-9
"""Relative difference below which two solutions in float64 are the same."""


def judge_catalogue(drawn: Drawn, failing: Sequence[JudgedSolution]) -> str:
    """Judges the causes from the catalogue that are named for some failing cases."""
    verdicts = set()
    for judged in failing:
        found = diagnose(judged, CATALOGUE)
        for cause in found.causes if found else ():
            if not cause.like_best:
                continue
            if not _fits_another_draw(cause.defect, drawn, judged.problem.case):
                verdicts.add("false")
            elif all(_behaves_like(cause.defect, drawn, case) for case in drawn.cases):
                verdicts.add("correct")
            else:
                verdicts.add("narrow")
    return next((each for each in ("false", "correct", "narrow") if each in verdicts), "none")


def _fits_another_draw(defect: Defect, drawn: Drawn, case: Case) -> bool:
    """Returns whether a defect predicts the results of the mistakes on another draw of a case, within its budget."""
    problem = make_problem(case, _HELD_OUT)
    expectation = Oracle(None).expect(problem, PROFILES[case.dtype], Dialect())
    judged = JudgedSolution(problem, Broken(drawn.mistakes).solve(problem), expectation, Dialect())
    return max(misfits(judged, defect).values()) <= MAX_MISFIT


def _behaves_like(defect: Defect, drawn: Drawn, case: Case) -> bool:
    """Returns whether a defect gives the results of the mistakes on a held-out problem."""
    problem = make_problem(case.model_copy(update={"dtype": "float64"}), _HELD_OUT)
    if not defect.applies_to(problem.case):
        return False
    with np.errstate(all="ignore"):
        return _is_same(solve(defect, problem, Dialect()), Broken(drawn.mistakes).solve(problem))


def judge_dissection(drawn: Drawn, result: Dissection) -> str:
    """Judges the verified findings of a dissection."""
    if not result.repeats:
        return _judge_history(drawn, result)
    verified = [finding for finding in result.findings if finding.verified]
    if not verified:
        return _judge_precision(drawn) if result.imprecise and not result.failing else "none"
    tested = {name for finding in verified for name in finding.probes}
    for name in sorted(tested):
        explanation = _explanation(verified, name)
        if explanation is None:
            return "unread"
        if not _reproduces(explanation, drawn, probe(name, result.probed[name])):
            return "false"
    if result.unexplained:
        return "narrow"
    wide = [_reproduces(_explanation(verified, _like(case, tested)), drawn, case) for case in drawn.cases]
    return "correct" if all(wide) else "narrow"


def _judge_history(drawn: Drawn, result: Dissection) -> str:
    """Compares the tensors that do not repeat with those that depend on earlier calls."""
    mistake, *others = drawn.mistakes
    if mistake.role != "history":
        return "false" if all(each.role != "history" for each in others) else "narrow"
    found: set[str] = set()
    for finding in result.findings:
        if changes := re.match(r"does not repeat: (.*) changes? when", finding.what):
            found |= {name.partition("_l")[0] for name in changes[1].split(", ")}
    if others:
        return "narrow"
    if mistake.change.verb == "carried":
        probes = {name for finding in result.findings for name in finding.probes}
        return "correct" if all(name.startswith("no initial state") for name in probes) else "false"
    return "correct" if found == set(mistake.kinds) else "narrow"


def _judge_precision(drawn: Drawn) -> str:
    """Judges the finding that float64 is only as precise as float32."""
    single = {each.change.verb for each in drawn.mistakes if each.role == "rounding" and each.change.value == 24}
    return "none" if len(single) < len(drawn.mistakes) else "correct" if single == {"all"} else "narrow"


def _like(case: Case, probes: set[str]) -> str:
    """Returns the one of some probes whose options are most like those of a case."""
    wanted = {
        "lengths": case.lengths is not None,
        "both directions": case.direction == "bidirectional",
        "reverse": case.direction == "reverse",
        "no initial state": not case.gives_state,
        "no biases": not case.bias,
        "two layers": case.num_layers > 1,
        "one step": case.seq_len == 1,
        "one row": case.rows == 1,
    }
    return max(sorted(probes), key=lambda name: sum((option in name) == has for option, has in wanted.items()))


def _explanation(verified: Sequence[Finding], name: str) -> list[Mistake] | None:
    """Returns the mistakes that the findings on a probe describe; None if one cannot be read."""
    found: list[Mistake] = []
    for finding in verified:
        if name in finding.probes:
            mistakes = read(finding.what)
            if mistakes is None:
                return None
            found += mistakes
    return found


def _reproduces(explanation: Sequence[Mistake] | None, drawn: Drawn, case: Case) -> bool:
    """Returns whether an explanation gives the results of the mistakes on a held-out problem."""
    if explanation is None:
        return False
    problem = make_problem(case.model_copy(update={"dtype": "float64"}), _HELD_OUT)
    return _is_same(Broken(explanation).solve(problem), Broken(drawn.mistakes).solve(problem))


def _is_same(one: Any, other: Any) -> bool:
    return all(
        np.allclose(array, other[name], rtol=_SAME, atol=_SAME * max(1.0, float(np.abs(array).max(initial=0.0))))
        for name, array in one.items()
    )
