"""Divergences are known if they are there, and fixed only if they would show, on 2,000 random cases.

No framework runs. An implementation is simulated by the reference with the divergences that it is known for.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray
from packaging.specifiers import SpecifierSet

from conformance.adapters import Adapter, registry
from conformance.cases.case import Case
from conformance.cases.features import features
from conformance.defects.defect import Defect
from conformance.defects.power.detection import DETECTED_ABOVE, FlatExpectation
from conformance.defects.solve import solve
from conformance.known import expected
from conformance.known.defects import make_defect
from conformance.known.divergences import Divergence, shipped
from conformance.known.trial import Trial, compose_any
from conformance.verdict.judge import judge
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Expectation, Oracle, OverflowingCaseError, RejectedCaseError
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect, Profile
from tests.conformance.known.random_cases import random_cases

CHUNKS = 10
CASES_PER_CHUNK = 200


class RoughOracle(Oracle):
    """Oracle with a rough budget, which is fast to compute and enough for simulated implementations."""

    def expect(self, problem: Problem, profile: Profile, dialect: Dialect) -> Expectation:
        """Returns the reference's solution with a budget of 100 roundings of each tensor's largest element."""
        with np.errstate(all="ignore"):
            values = solve(Defect(id="none", what="without a defect"), problem, dialect)
        sizes = {name: _size(array) for name, array in values.items()}
        if max(sizes.values()) > 1e4:
            raise OverflowingCaseError("too large")
        budget = {name: np.full(array.shape, 100 * profile.u * sizes[name]) for name, array in values.items()}
        if (specified := problem.specified_steps(dialect)) is not None and "output" in budget:
            budget["output"][~specified] = np.inf
        return Expectation(values, budget, budget, condition=1.0, largest=1.0)


ORACLE = RoughOracle(None)


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
    """Returns a chunk of the random cases, each with one implementation that is expected to show divergences in it."""
    start = chunk * CASES_PER_CHUNK
    found = []
    for number, drawn in enumerate(islice(random_cases(1, rate=0.15), start, start + CASES_PER_CHUNK)):
        parts = [_Part.of(drawn), _Part.of(drawn.forward_only() or drawn)]
        candidates = [each for name in _implementations() if (each := _expected_of(name, *parts))[1]]
        if not candidates:
            continue
        name, entries, case = candidates[number % len(candidates)]
        with suppress(RejectedCaseError):
            found.append(Matched(_solve_correctly(case, _dialect(name, case)), entries))
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
            if entry.error_ratio and not np.isfinite(solution[name].flat[0]):
                continue  # Rounding does not remove NaN.
            limit = (entry.error_ratio or np.inf) / 2 * matched.correct.expectation.budget[name].flat[0]
            deviation = np.nan if entry.nan else min(limit, 1.0 + _size(solution[name]))
            solution[name].flat[0] = np.nan_to_num(solution[name].flat[0]) + deviation
    return matched.correct._replace(solution=solution)


def outcome(judged: JudgedSolution, entries: Sequence[Divergence]) -> expected.Outcome | None:
    """Returns what the runner makes of a solution."""
    failing = [tensor.name for tensor in judge(*judged[:3]).tensors if not tensor.conforms]
    if failing:
        return expected.for_deviation(entries, failing, judged, ORACLE) or expected.Outcome("fail", "")
    return expected.for_conformance(entries, judged)


def would_show(entry: Divergence, matched: Matched) -> bool:
    """Returns whether a correct implementation noticeably differs from one with the divergence."""
    problem, _, expectation, dialect = matched.correct
    if not entry.tensors:
        return True
    names = [name for name in expectation.values if entry.concerns(name)]
    resembled = entry.defects or entry.resembles
    if not resembled:
        return bool(names)
    for name in resembled:
        with np.errstate(all="ignore"):
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
    registered = [name for name in registry.registered() if _entries(name)]
    others = {entry.implementation for entry in shipped() if "*" not in entry.implementation} - set(registered)
    return (*registered, *sorted(others), "tfjs.layers.lstm", "onnxruntime-web")


@dataclass(frozen=True)
class _Part:
    """A random case, or its part without gradients, with its features."""

    case: Case
    features: frozenset[str]

    @classmethod
    def of(cls, case: Case) -> "_Part":
        return cls(case, frozenset(features(case)))


@cache
def _adapter(name: str) -> Adapter | None:
    return registry.load(name) if name in registry.registered() else None


@cache
def _entries(name: str) -> list[Divergence]:
    """Returns the divergences of an implementation."""
    return [entry for entry in shipped() if entry.is_of(name)]


def _expected_of(name: str, whole: _Part, forward: _Part) -> tuple[str, list[Divergence], Case]:
    """Returns an implementation, the divergences that it should show, and the part of a case that it supports."""
    adapter = _adapter(name)
    part = forward if adapter and "gradients" not in adapter.features else whole
    if adapter and not part.features <= adapter.features:
        return name, [], part.case
    entries = [entry for entry in _entries(name) if entry.matches(part.case, name, partial(_version, entry))]
    return name, entries, part.case


def _version(entry: Divergence, package: str) -> str:
    """Returns the newest version in an entry's range; the version that fixed the divergence if there is one."""
    del package
    return next(item.version for item in SpecifierSet(entry.versions) if item.operator in ("<=", "==", "<"))


def _dialect(name: str, case: Case) -> Dialect:
    return adapter.dialect(case) if (adapter := _adapter(name)) else Dialect()


def _solve_correctly(case: Case, dialect: Dialect) -> JudgedSolution:
    problem = make_problem(case).under(dialect)
    expectation = ORACLE.expect(problem, PROFILES[case.dtype], dialect)
    return JudgedSolution(problem, expectation.values, expectation, dialect)


def _size(array: NDArray[np.floating]) -> float:
    """Returns the largest |element| that is not NaN."""
    return float(np.abs(np.nan_to_num(array)).max(initial=1e-3))
