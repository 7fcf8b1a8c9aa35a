"""Power: the share of the defects that apply to a set of cases which these cases see, and what follows from it."""

from collections.abc import Iterable, Mapping, Sequence
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

_TRIES = 4
"""Sizes that are tried until a defect is just seen; one is enough where deviations grow linearly."""
_SMALLEST_STEP = 0.05
"""By how much the error ratio of the smallest visible size may differ from what is just seen."""


class Share(NamedTuple):
    """How many of the defects that apply are seen."""

    detected: int
    applicable: int

    def __str__(self) -> str:
        return f"{self.detected}/{self.applicable}"


@dataclass(frozen=True)
class Visible:
    """The smallest size at which a defect is seen in a dtype.

    Attributes:
        defect: its id.
        dtype: of the case.
        size: just seen; None where the error ratio does not follow the size, so that there is no such number.
        case: the case that sees it best.
    """

    defect: str
    dtype: str
    size: float | None
    case: str


@dataclass(frozen=True)
class Power:
    """What a kill matrix says."""

    rows: Sequence[Row]

    @property
    def applicable(self) -> list[Defect]:
        """The defects to be seen that apply to some case."""
        there = {name for row in self.rows for name in row.error_ratios}
        return [defect for defect in REQUIRED if defect.id in there]

    @property
    def undetected(self) -> list[Defect]:
        """Those of them that no case sees."""
        detected = detected_by(self.rows)
        return [defect for defect in self.applicable if defect.id not in detected]

    @property
    def inapplicable(self) -> list[Defect]:
        """The defects to be seen for which there is no case."""
        there = {defect.id for defect in self.applicable}
        return [defect for defect in REQUIRED if defect.id not in there]

    @property
    def contradicted(self) -> list[Defect]:
        """The defects marked as equivalent to a correct LSTM that some case sees nevertheless."""
        detected = detected_by(self.rows)
        return [defect for defect in CATALOGUE if defect.equivalent and defect.id in detected]

    @property
    def total(self) -> Share:
        """Over all cases."""
        return share(self.rows)

    def by_dtype(self) -> dict[str, Share]:
        """Of the cases of each dtype."""
        return {
            dtype: share(rows)
            for dtype in get_args(DType)
            if (rows := [row for row in self.rows if row.case.dtype == dtype])
        }

    def by_feature(self) -> dict[str, Share]:
        """Of the cases with each feature."""
        having = {name: [row for row in self.rows if name in features(row.case)] for name in FEATURES}
        return {name: share(rows) for name, rows in having.items() if rows}

    def sufficient(self) -> list[Row]:
        """Few cases that see, in every dtype, all that all of them see: taken greedily, in the order of the rows."""
        missing = {(row.case.dtype, name) for row in self.rows for name in row.detected}
        new = {id(row): {(row.case.dtype, name) for name in row.detected} for row in self.rows}
        taken = []
        while missing:
            best = max(self.rows, key=lambda row: len(new[id(row)] & missing))
            taken.append(best)
            missing -= new[id(best)]
        # What was taken early may have become superfluous.
        for row in list(taken):
            others = {pair for other in taken if other is not row for pair in new[id(other)]}
            if new[id(row)] <= others:
                taken.remove(row)
        return taken

    def smallest(self, dialects: Mapping[str, Dialect] | None = None) -> list[Visible]:
        """The smallest visible size of each defect that has one, in each dtype, found and then verified by running it.

        Args:
            dialects: by a case's key, where they are not the default.
        """
        found = []
        for defect in (defect for defect in REQUIRED if defect.size and defect.sized):
            for dtype in get_args(DType):
                rows = [
                    row for row in self.rows if row.case.dtype == dtype and row.error_ratios.get(defect.id, 0.0) > 0
                ]
                finite = [row for row in rows if np.isfinite(row.error_ratios[defect.id])]
                if finite:
                    best = max(finite, key=lambda row: row.error_ratios[defect.id])
                    dialect = (dialects or {}).get(best.case.key, Dialect())
                    size = _just_seen(defect, best, dialect)
                    found.append(Visible(defect.id, dtype, size, best.case.id))
        return found


def detected_by(rows: Iterable[Row]) -> frozenset[str]:
    """The ids of the defects that some row sees."""
    return frozenset().union(*(row.detected for row in rows))


def share(rows: Sequence[Row]) -> Share:
    """How many of the defects that apply to these cases they see; equivalent ones do not count."""
    required = {defect.id for defect in REQUIRED}
    applicable = required.intersection(*[{name for row in rows for name in row.error_ratios}])
    return Share(len(applicable & detected_by(rows)), len(applicable))


def undetected(cases: Iterable[Case], defects: Iterable[Defect]) -> tuple[list[Defect], list[Defect]]:
    """The defects that no case detection, and those that no case has what it takes for.

    Each defect is tried only until a case sees it, so this costs little beside a kill matrix.
    """
    left = list(defects)
    tried: set[str] = set()
    for case in cases:
        if not left:
            break
        problem = make_problem(case)
        expectation = Oracle().expect(problem, PROFILES[case.dtype], Dialect())
        with np.errstate(all="ignore"):
            error_ratios = detection.error_ratios(problem, expectation, Dialect(), left)
        tried |= error_ratios.keys()
        left = [defect for defect in left if error_ratios.get(defect.id, 0.0) <= detection.DETECTED_ABOVE]
    return [defect for defect in left if defect.id in tried], [defect for defect in left if defect.id not in tried]


def _just_seen(defect: Defect, row: Row, dialect: Dialect) -> float | None:
    """The size whose error ratio is just what is seen."""
    assert defect.size is not None
    assert defect.sized is not None
    problem = make_problem(row.case).under(dialect)
    expectation = Oracle().expect(problem, PROFILES[row.case.dtype], dialect)
    size, error_ratio = defect.size, row.error_ratios[defect.id]
    for _ in range(_TRIES):
        size *= detection.DETECTED_ABOVE / error_ratio
        tried = replace(defect.sized(size), id=defect.id)
        error_ratio = detection.error_ratios(problem, expectation, dialect, [tried]).get(defect.id, 0.0)
        if abs(error_ratio / detection.DETECTED_ABOVE - 1) <= _SMALLEST_STEP:
            return size
        if not 0 < error_ratio < np.inf:
            return None
    return None
