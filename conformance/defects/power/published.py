"""The power of published suites, beside this one's: their configurations, values and tolerances, as facts.

Each test of a suite becomes a problem whose values are the suite's; every defect is run on it, and is seen where a
tensor that the test compares leaves the test's own tolerance. A suite's problems have what an LSTM of theirs has: a
single bias is ``bias_ih`` beside a ``bias_hh`` of zeros.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cache

import numpy as np

from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.defect import Defect, solve
from conformance.defects.power.kill_matrix import REQUIRED, Row
from conformance.defects.power.power import Share, detected_by
from conformance.defects.power.published_check import Check, Suite, Tolerance
from conformance.defects.power.published_suites import SUITES
from conformance.verdict.problem import make_problem
from reference import Dialect
from reference.cell import Cell

_TRIED = 5
"""Cases by which it is told whether a defect shows in the forward pass."""


@dataclass(frozen=True)
class Measured:
    """A suite's power, over the defects that can be told from a correct LSTM.

    Attributes:
        name: the suite.
        tolerance: in words.
        gates: of the wrong gate orders.
        forward: of the other defects of the forward pass.
        gradients: of the defects of gradients alone.
        absent: why it could not be measured; empty otherwise.
    """

    name: str
    tolerance: str
    gates: Share
    forward: Share
    gradients: Share
    absent: str = ""

    @property
    def all(self) -> Share:
        """Of the whole catalogue."""
        kinds = (self.gates, self.forward, self.gradients)
        return Share(sum(kind.detected for kind in kinds), sum(kind.applicable for kind in kinds))


def measure(suites: Sequence[Suite] = SUITES) -> Iterator[Measured]:
    """The power of each published suite."""
    for suite in suites:
        try:
            checks = suite.checks()
        except ImportError as error:
            yield replace(_measured(suite.name, suite.tolerance, frozenset()), absent=f"needs {error.name}")
            continue
        detected = {defect.id for check in checks for defect in REQUIRED if detects(check, suite.within, defect)}
        yield _measured(suite.name, suite.tolerance, frozenset(detected))


def ours(rows: Sequence[Row]) -> Measured:
    """The power of these cases."""
    return _measured(f"these {len(rows)} cases", "the rounding budget, twice", detected_by(rows))


def detects(check: Check, within: Tolerance, defect: Defect) -> bool:
    """Whether a check of a suite would fail an LSTM with a defect."""
    if not defect.concerns(check.problem.case):
        return False
    cell = check.cell
    right = Defect(id="none", what="without a defect", cell=(lambda _: cell) if cell else None)
    wrong = replace(defect, cell=_with_activations_of(defect, cell)) if cell else defect
    with np.errstate(all="ignore"):
        expected = solve(right, check.problem, check.dialect)
        got = solve(wrong, check.problem, check.dialect)
    return any(
        not (np.abs(got[name] - expected[name]) <= within(expected[name])).all()
        for name in expected
        if name.startswith(check.compared)
    )


def _with_activations_of(defect: Defect, cell: Cell) -> Callable[[Case], Cell]:
    """A defect's cell with the activations of another: where a suite runs no sigmoid, it sees no wrong one."""
    if defect.cell is None:
        return lambda _: cell
    make_cell = defect.cell

    def made(case: Case) -> Cell:
        wrong = copy(make_cell(case))
        for item in fields(Cell):
            object.__setattr__(wrong, item.name, getattr(cell, item.name))
        return wrong

    return made


def _measured(name: str, tolerance: str, detected: frozenset[str]) -> Measured:
    def share(kind: str) -> Share:
        ids = {defect.id for defect in REQUIRED if kinds()[defect.id] == kind}
        return Share(len(detected & ids), len(ids))

    return Measured(name, tolerance, share("gates"), share("forward"), share("gradients"))


@cache
def kinds() -> dict[str, str]:
    """By id: ``gates`` for a wrong gate order, ``gradients`` where the forward pass is right, else ``forward``."""
    cases = [case for case in load_all([shipped_cases()]) if case.dtype == "float64"]
    cases.sort(key=lambda case: case.model.parameter_count())
    return {
        defect.id: "gates"
        if defect.id.startswith("gates-read-")
        else "forward"
        if _is_forward(defect, [case for case in cases if defect.concerns(case)][:_TRIED])
        else "gradients"
        for defect in REQUIRED
    }


def _is_forward(defect: Defect, cases: Sequence[Case]) -> bool:
    right = Defect(id="none", what="without a defect")
    for case in cases:
        problem = make_problem(case)
        forward = replace(problem, case=case.model_copy(update={"check": ("output", "h_n", "c_n")}))
        with np.errstate(all="ignore"):
            expected, got = solve(right, forward, Dialect()), solve(defect, forward, Dialect())
        if any(not np.array_equal(got[name], expected[name]) for name in expected):
            return True
    return False
