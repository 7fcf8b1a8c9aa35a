"""Divergences are known if they are there, and fixed only if they would show, on 2,000 random cases.

No framework runs. An implementation is simulated by the reference with the divergences that it is known for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import islice

import numpy as np
import pytest
from packaging.specifiers import SpecifierSet

from conformance.adapters import registry
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.defects.defect import solve
from conformance.defects.power.detection import DETECTED_ABOVE, FlatExpectation
from conformance.known import expected
from conformance.known.defects import make_defect
from conformance.known.divergences import Divergence, shipped
from conformance.known.trial import Trial, compose_any
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle, RejectedCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect
from tests.conformance.known.random_cases import random_cases

CHUNKS = 10
CASES_PER_CHUNK = 200
ORACLE = Oracle(None)


@dataclass(frozen=True)
class Matched:
    """A random case with the divergences that one implementation is expected to show.

    Attributes:
        correct: the reference's solution.
        entries: all expected divergences.
        deviating: those that return tensors.
    """

    correct: JudgedSolution
    entries: Sequence[Divergence]

    @property
    def deviating(self) -> list[Divergence]:
        return [entry for entry in self.entries if entry.tensors]


@cache
def matched(chunk: int) -> list[Matched]:
    """Returns a chunk of the random cases, each for one of the implementations that have divergences there."""
    start = chunk * CASES_PER_CHUNK
    found = []
    for number, drawn in enumerate(islice(random_cases(1, rate=0.15), start, start + CASES_PER_CHUNK)):
        candidates = [each for name in _implementations() if (each := _expected_of(name, drawn))[1]]
        if not candidates:
            continue
        name, entries, case = candidates[number % len(candidates)]
        try:
            found.append(Matched(_solve_correctly(case, _dialect(name, case)), entries))
        except RejectedCaseError:
            continue
    return found


def simulate(matched: Matched, shown: Sequence[Divergence]) -> JudgedSolution | None:
    """Returns the solution of an implementation with some divergences; None if their defects cannot be combined."""
    problem, _, _, dialect = matched.correct
    trial = Trial(matched.correct)
    defect = trial.combined(shown)
    for entry in shown:
        if entry.profile:
            defect = defect and compose_any(defect, make_defect(entry.resembles[0], problem, dialect))
    if defect is None:
        return None
    with np.errstate(all="ignore"):
        solution = {name: np.array(array, np.float64) for name, array in solve(defect, problem, dialect).items()}
    for entry in shown:
        for name in trial.concerned(entry) if not (entry.defects or entry.profile) else ():
            solution[name].flat[0] = np.nan if entry.nan else solution[name].flat[0] + 1.0
    return matched.correct._replace(solution=solution)


def outcome(judged: JudgedSolution, entries: Sequence[Divergence]) -> expected.Outcome | None:
    """Returns what the runner makes of a solution."""
    failing = [tensor.name for tensor in judge(*judged[:3]).tensors if not tensor.conforms]
    if failing:
        return expected.for_deviation(entries, failing, judged, ORACLE) or expected.Outcome("fail", "")
    return expected.for_conformance(entries, judged)


def would_show(entry: Divergence, matched: Matched) -> bool:
    """Returns whether a correct implementation lacks a divergence noticeably."""
    problem, _, expectation, dialect = matched.correct
    if not entry.tensors:
        return True
    names = [name for name in expectation.values if entry.concerns(name)]
    resembled = entry.defects or entry.resembles
    if not resembled:
        return bool(names)
    for name in resembled:
        found = solve(make_defect(name, problem, dialect), problem, dialect)
        kept = {each: expectation.values[each] if each not in names else found[each] for each in expectation.values}
        if FlatExpectation(expectation).error_ratio(kept) > DETECTED_ABOVE:
            return True
    return False


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_correct_implementation_is_fixed_if_a_divergence_would_show(chunk: int) -> None:
    for each in matched(chunk):
        showing = {entry.id for entry in each.entries if entry.always and would_show(entry, each)}
        found = expected.for_conformance(each.entries, each.correct)
        assert (found.status if found else "pass") == ("fixed" if showing else "pass"), each.correct.problem.case
        assert found is None or found.reason.split()[0] in showing


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_an_implementation_with_its_divergences_is_known_or_passes(chunk: int) -> None:
    for each in matched(chunk):
        judged = simulate(each, each.deviating)
        if judged is None:
            continue
        found = outcome(judged, each.deviating)
        assert found is None or found.status == "known", (each.correct.problem.case, found, each.deviating)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_only_a_divergence_that_is_missing_is_fixed(chunk: int) -> None:
    statuses = set()
    for each in matched(chunk):
        for missing in each.deviating:
            rest = [entry for entry in each.deviating if entry is not missing]
            judged = simulate(each, rest)
            if judged is None:
                continue
            found = outcome(judged, each.deviating)
            status = found.status if found else "pass"
            assert status in ("known", "pass", "fixed")
            assert status != "fixed" or (found and found.reason.split()[0] == missing.id)
            assert status == "fixed" or rest or not (missing.always and would_show(missing, each))
            statuses.add(status)
    assert "fixed" in statuses


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_divergence_that_raises_describes_its_error(chunk: int) -> None:
    for each in matched(chunk):
        for entry in each.entries:
            if entry.error and "(" not in entry.error:
                found = expected.for_error(each.entries, entry.error.split("|")[0].replace(".*", " ").replace("\\", ""))
                assert found is not None
                assert found.status == "known"


@cache
def _implementations() -> tuple[str, ...]:
    """Returns the names of all implementations that have divergences."""
    patterns = {entry.implementation.replace("[", "[[]") for entry in shipped()}
    registered = [name for name in registry.registered() if any(fnmatchcase(name, pattern) for pattern in patterns)]
    others = {entry.implementation for entry in shipped() if "*" not in entry.implementation} - set(registered)
    return (*registered, *sorted(others), "tfjs.layers.lstm")


def _expected_of(name: str, drawn: Case) -> tuple[str, list[Divergence], Case]:
    """Returns an implementation with the divergences that it is expected to show, in a case as far as it supports it."""
    adapter = registry.load(name) if name in registry.registered() else None
    case = drawn
    if adapter and "gradients" not in adapter.features:
        case = drawn.forward_only() or drawn
    if adapter and not set(features(case)) <= adapter.features:
        return name, [], case
    return name, [entry for entry in shipped() if entry.matches(case, name, lambda _, e=entry: _version(e))], case


def _version(entry: Divergence) -> str:
    """Returns a version in an entry's range."""
    return next(item.version for item in SpecifierSet(entry.versions) if item.operator in ("<=", "=="))


def _dialect(name: str, case: Case) -> Dialect:
    return registry.load(name).dialect(case) if name in registry.registered() else Dialect()


def _solve_correctly(case: Case, dialect: Dialect) -> JudgedSolution:
    problem = make_problem(case).under(dialect)
    expectation = ORACLE.expect(problem, PROFILES[case.dtype], dialect)
    return JudgedSolution(problem, expectation.values, expectation, dialect)
