"""Power of published suites, for comparison with this suite's power.

Each test of a published suite becomes a problem with the published configuration and values, on which every defect
runs. The test detects a defect if a compared tensor deviates by more than the suite's own tolerance. For suites with a
single bias, ``bias_ih`` holds that bias and ``bias_hh`` is zero.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal

import numpy as np

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.defect import Defect
from conformance.defects.power.kill_matrix import REQUIRED, Row
from conformance.defects.power.power import Share, detected_by
from conformance.defects.power.published.check import Check, Suite, Tolerance
from conformance.defects.power.published.suites import SUITES
from conformance.defects.solve import solve
from conformance.verdict.problem import make_problem
from reference.cell import Cell

Kind = Literal["gates", "forward", "gradients"]

_MAX_CASES = 5
"""Number of cases to run per defect to find out whether the defect changes the forward pass."""


@dataclass(frozen=True)
class SuitePower:
    """Power of one suite.

    Attributes:
        name: name of the suite.
        tolerance: the suite's tolerance in words.
        gates: power for wrong gate orders.
        forward: power for other defects of the forward pass.
        gradients: power for defects that change only gradients.
        absent: reason why the suite could not be measured; empty if it was.
    """

    name: str
    tolerance: str
    gates: Share
    forward: Share
    gradients: Share
    absent: str = ""

    @property
    def all(self) -> Share:
        """Power for all required defects."""
        shares = (self.gates, self.forward, self.gradients)
        return Share(sum(share.detected for share in shares), sum(share.applicable for share in shares))


def measure_published(suites: Sequence[Suite] = SUITES) -> Iterator[SuitePower]:
    """Yields the power of each published suite."""
    for suite in suites:
        try:
            checks = suite.checks()
        except ImportError as error:
            yield replace(_suite_power(suite.name, suite.tolerance, frozenset()), absent=f"needs {error.name}")
            continue
        detected = {defect.id for defect in REQUIRED if any(detects(check, suite.within, defect) for check in checks)}
        yield _suite_power(suite.name, suite.tolerance, frozenset(detected))


def measure_cases(rows: Sequence[Row]) -> SuitePower:
    """Returns the power of this suite's cases, given the rows of their kill matrix."""
    return _suite_power(f"these {len(rows)} cases", "the rounding budget, twice", detected_by(rows))


def detects(check: Check, within: Tolerance, defect: Defect) -> bool:
    """Returns whether a check of a published suite would fail an LSTM with a defect.

    Args:
        check: the check.
        within: the suite's tolerance, for a check without its own.
        defect: the defect.
    """
    if not defect.applies_to(check.problem.case):
        return False
    cell, within, expected = check.cell, check.within or within, check.solution
    wrong = replace(defect, cell=_with_activations_of(cell, defect)) if cell else defect
    with np.errstate(all="ignore"):
        got = solve(wrong, check.problem, check.dialect)
    return any(
        not (np.abs(got[name] - expected[name]) <= within(expected[name])).all()
        for name in expected
        if name.startswith(check.compared)
    )


def _with_activations_of(cell: Cell, defect: Defect) -> Callable[[Case], Cell]:
    """Returns a defect's cell with the activations of a suite's cell.

    A suite that does not run the sigmoid cannot detect a wrong sigmoid.
    """
    if defect.cell is None:
        return lambda _: cell
    make_cell = defect.cell

    def make(case: Case) -> Cell:
        wrong = copy(make_cell(case))
        for item in fields(Cell):
            object.__setattr__(wrong, item.name, getattr(cell, item.name))
        return wrong

    return make


def _suite_power(name: str, tolerance: str, detected: frozenset[str]) -> SuitePower:
    def share(kind: Kind) -> Share:
        ids = {defect.id for defect in REQUIRED if kinds()[defect.id] == kind}
        return Share(len(detected & ids), len(ids))

    return SuitePower(name, tolerance, share("gates"), share("forward"), share("gradients"))


@cache
def kinds() -> dict[str, Kind]:
    """Returns the kind of each required defect, by id.

    ``gates``: a wrong gate order. ``gradients``: a defect that changes only gradients. ``forward``: any other defect.
    """
    cases = [case for case in load_all([shipped_cases()]) if case.dtype == "float64"]
    cases.sort(key=lambda case: case.model.parameter_count())

    def kind(defect: Defect) -> Kind:
        if defect.id.startswith("gates-read-"):
            return "gates"
        applicable = [case for case in cases if defect.applies_to(case)]
        return "forward" if _changes_forward_pass(defect, applicable[:_MAX_CASES]) else "gradients"

    return {defect.id: kind(defect) for defect in REQUIRED}


def _changes_forward_pass(defect: Defect, cases: Sequence[Case]) -> bool:
    for case in cases:
        forward = _forward_check(case)
        expected = forward.solution
        with np.errstate(all="ignore"):
            got = solve(defect, forward.problem, forward.dialect)
        if any(not np.array_equal(got[name], expected[name]) for name in expected):
            return True
    return False


@cache
def _forward_check(case: Case) -> Check:
    """Returns a check of the forward pass of a case."""
    compared = ("output", "h_n", "c_n")
    return Check(replace(make_problem(case), case=case.model_copy(update={"check": compared})), compared)
