"""Power of a set of cases, computed from its kill matrix."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, get_args

import numpy as np

from conformance.cases.case import Case, DType
from conformance.cases.features import FEATURES, features
from conformance.defects.catalogue import CATALOGUE
from conformance.defects.defect import Defect
from conformance.defects.power import detection
from conformance.defects.power.kill_matrix import REQUIRED, Row
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

_MAX_SCALINGS = 4
"""Attempts to find a defect's smallest detected size. One suffices if the deviation grows linearly with the size."""
_ERROR_RATIO_TOLERANCE = 0.05
"""Largest relative difference between ``DETECTED_ABOVE`` and the error ratio of the smallest detected size."""


class Share(NamedTuple):
    """Numbers of detected and applicable defects."""

    detected: int
    applicable: int

    def __str__(self) -> str:
        return f"{self.detected}/{self.applicable}"


@dataclass(frozen=True)
class SmallestSize:
    """The smallest size at which a defect is detected in a dtype.

    Attributes:
        defect: id of the defect.
        dtype: dtype of the case.
        size: smallest detected size; None if the error ratio does not grow with the size.
        case: id of the case with the largest error ratio.
    """

    defect: str
    dtype: str
    size: float | None
    case: str


@dataclass(frozen=True)
class Power:
    """Power of a set of cases.

    Attributes:
        rows: kill matrix of the cases.
    """

    rows: Sequence[Row]

    @property
    def applicable(self) -> list[Defect]:
        """Required defects that apply to some case."""
        ids = {name for row in self.rows for name in row.error_ratios}
        return [defect for defect in REQUIRED if defect.id in ids]

    @property
    def undetected(self) -> list[Defect]:
        """Applicable defects that no case detects."""
        detected = detected_by(self.rows)
        return [defect for defect in self.applicable if defect.id not in detected]

    @property
    def inapplicable(self) -> list[Defect]:
        """Required defects that apply to no case."""
        ids = {defect.id for defect in self.applicable}
        return [defect for defect in REQUIRED if defect.id not in ids]

    @property
    def contradicted(self) -> list[Defect]:
        """Defects that are marked as equivalent to a correct LSTM but that some case detects."""
        detected = detected_by(self.rows)
        return [defect for defect in CATALOGUE if defect.equivalent and defect.id in detected]

    @property
    def total(self) -> Share:
        """Power of all cases."""
        return count_detected(self.rows)

    def by_dtype(self) -> dict[str, Share]:
        """Returns the power of the cases of each dtype."""
        return {
            dtype: count_detected(rows)
            for dtype in get_args(DType)
            if (rows := [row for row in self.rows if row.case.dtype == dtype])
        }

    def by_feature(self) -> dict[str, Share]:
        """Returns the power of the cases with each feature."""
        by_name = {name: [row for row in self.rows if name in features(row.case)] for name in FEATURES}
        return {name: count_detected(rows) for name, rows in by_name.items() if rows}

    def sufficient_rows(self) -> list[Row]:
        """Returns the rows of a small subset of the cases that detects as much as all cases, in every dtype.

        The subset is chosen greedily. Among equally good rows, the first one is chosen.
        """
        pairs = {id(row): {(row.case.dtype, name) for name in row.detected} for row in self.rows}
        missing = {pair for detected in pairs.values() for pair in detected}
        chosen = []
        while missing:
            best = max(self.rows, key=lambda row: len(pairs[id(row)] & missing))
            chosen.append(best)
            missing -= pairs[id(best)]
        # Later choices can make an earlier one redundant.
        for row in list(chosen):
            others = {pair for other in chosen if other is not row for pair in pairs[id(other)]}
            if pairs[id(row)] <= others:
                chosen.remove(row)
        return chosen

    def smallest_sizes(self) -> list[SmallestSize]:
        """Returns the smallest detected size of each defect with a size, in each dtype.

        Each size is found by scaling and verified by running the defect with that size.
        """
        found = []
        for defect in (defect for defect in REQUIRED if defect.size and defect.with_size):
            for dtype in get_args(DType):
                finite = [
                    row
                    for row in self.rows
                    if row.case.dtype == dtype and 0 < row.error_ratios.get(defect.id, 0.0) < np.inf
                ]
                if finite:
                    best = max(finite, key=lambda row: row.error_ratios[defect.id])
                    found.append(SmallestSize(defect.id, dtype, _smallest_size(defect, best), best.case.id))
        return found


def detected_by(rows: Iterable[Row]) -> frozenset[str]:
    """Returns the ids of the defects that at least one row detects."""
    return frozenset().union(*(row.detected for row in rows))


def count_detected(rows: Sequence[Row]) -> Share:
    """Counts the required defects that apply to some row, and how many of these some row detects."""
    required = {defect.id for defect in REQUIRED}
    applicable = required.intersection(*[{name for row in rows for name in row.error_ratios}])
    return Share(len(applicable & detected_by(rows)), len(applicable))


def find_undetected(cases: Iterable[Case], defects: Iterable[Defect]) -> tuple[list[Defect], list[Defect]]:
    """Returns the defects that apply but that no case detects, and the defects that apply to no case.

    This is much cheaper than a kill matrix, because a defect is not run again after a case has detected it.
    """
    left = list(defects)
    applicable: set[str] = set()
    for case in cases:
        if not any(defect.applies_to(case) for defect in left):
            continue
        problem = make_problem(case)
        expectation = Oracle().expect(problem, PROFILES[case.dtype], Dialect())
        with np.errstate(all="ignore"):
            error_ratios = detection.error_ratios(problem, expectation, Dialect(), left)
        applicable |= error_ratios.keys()
        left = [defect for defect in left if error_ratios.get(defect.id, 0.0) <= detection.DETECTED_ABOVE]
    undetected = [defect for defect in left if defect.id in applicable]
    return undetected, [defect for defect in left if defect.id not in applicable]


def _smallest_size(defect: Defect, row: Row) -> float | None:
    """Returns the size at which a defect's error ratio is ``DETECTED_ABOVE``; None if it is not found."""
    assert defect.size is not None
    assert defect.with_size is not None
    problem = make_problem(row.case)
    expectation = Oracle().expect(problem, PROFILES[row.case.dtype], Dialect())
    size, error_ratio = defect.size, row.error_ratios[defect.id]
    for _ in range(_MAX_SCALINGS):
        size *= detection.DETECTED_ABOVE / error_ratio
        resized = replace(defect.with_size(size), id=defect.id)
        error_ratio = detection.error_ratios(problem, expectation, Dialect(), [resized]).get(defect.id, 0.0)
        if abs(error_ratio / detection.DETECTED_ABOVE - 1) <= _ERROR_RATIO_TOLERANCE:
            return size
        if not 0 < error_ratio < np.inf:
            return None
    return None
