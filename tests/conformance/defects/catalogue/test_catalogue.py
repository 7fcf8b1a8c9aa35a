"""The catalogue has unique ids and readable sentences, and a shipped case detects each defect."""

import re
from functools import cache

import pytest

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power.detection import DETECTED_ABOVE, error_ratios
from conformance.verdict.oracle import Expectation, Oracle
from conformance.verdict.problem import Problem, make_problem
from reference import PROFILES, Dialect

LARGE = {"cases/large.yaml", "cases/tutorial.yaml"}


@cache
def shipped() -> list[Case]:
    """Returns small cases. Those that touch every feature come first, and those that compare only outputs last."""
    cases = [case for case in load_all([shipped_cases()]) if case.file not in LARGE]
    return sorted(cases, key=lambda case: ("core" not in case.tags, len(case.check) < 4))


@cache
def problem_and_expectation(case: Case) -> tuple[Problem, Expectation]:
    problem = make_problem(case)
    return problem, Oracle().expect(problem, PROFILES[case.dtype], Dialect())


def test_ids_are_unique_and_easy_to_type() -> None:
    ids = [defect.id for defect in CATALOGUE]
    assert len(set(ids)) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+/-]*[A-Za-z0-9]", name), name
        assert len(name) <= 60, name


def test_the_catalogue_covers_gate_orders_and_real_bugs() -> None:
    assert len(CATALOGUE) >= 150
    assert sum(defect.id.startswith("gates-read-") for defect in CATALOGUE) == 23
    assert sum(defect.represents != "" for defect in CATALOGUE) >= 40


def test_descriptions_complete_the_sentence() -> None:
    sentences = [defect.what for defect in CATALOGUE]
    assert len(set(sentences)) == len(sentences)
    for what in sentences:
        assert re.match(r"(\w+ ){0,3}(whose|which|that|with|without) ", what), what
        assert what[-1] not in ".,; ", what


def test_defects_with_a_size_can_be_resized() -> None:
    sized = [defect for defect in CATALOGUE if defect.with_size]
    assert len(sized) >= 5
    for defect in sized:
        assert defect.size is not None
        assert defect.with_size is not None
        other = defect.with_size(defect.size / 2)
        assert (other.size, other.id) != (defect.size, defect.id)
        assert defect.with_size(defect.size).id == defect.id


@pytest.mark.usefixtures("shipped_cache")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("defect", CATALOGUE, ids=lambda defect: defect.id)
def test_a_shipped_case_detects_each_defect(defect: Defect, dtype: str) -> None:
    cases = [case for case in shipped() if case.dtype == dtype and defect.applies_to(case)]
    if defect.equivalent:
        assert all(
            error_ratios(*problem_and_expectation(case), Dialect(), [defect])[defect.id] <= DETECTED_ABOVE
            for case in cases
        )
        return
    if not cases:
        assert any(defect.applies_to(case) for case in shipped())
        return
    assert any(
        error_ratios(*problem_and_expectation(case), Dialect(), [defect])[defect.id] > DETECTED_ABOVE for case in cases
    )
