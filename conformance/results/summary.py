"""What every report says about results, before it is laid out: cells, error ratios, times, how to run again."""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from conformance.cases.case import DType
from conformance.cases.casefile import shipped_cases
from conformance.cases.features import FEATURES
from conformance.results.reader import Report
from conformance.results.record import NOT_RUN, Result, counts, phases

LEGEND = "k/n: k of n supported cases conform; +u unsupported, ~d known divergences, -m not run"

FRAMEWORK_PHASES = ("import", "solve")
"""The phases that are an implementation's own; the others are the suite's."""


@dataclass(frozen=True)
class Cell:
    """How one implementation does on the cases of one feature.

    Attributes:
        passed: cases that conform.
        supported: cases that ran.
        unsupported: cases that the implementation cannot run.
        known: cases that deviate as is known.
        not_run: cases that did not run.
    """

    passed: int
    supported: int
    unsupported: int
    known: int
    not_run: int

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Cell":
        """The cell of these results."""
        results = list(results)
        found = counts(results)
        return cls(
            passed=found.get("pass", 0),
            supported=sum(result.status not in NOT_RUN for result in results),
            unsupported=found.get("unsupported", 0),
            known=found.get("known", 0),
            not_run=found.get("not-run", 0),
        )

    @property
    def deviates(self) -> bool:
        """Whether something deviates that is not known."""
        return self.passed + self.known < self.supported

    def __str__(self) -> str:
        parts = [f"{self.passed}/{self.supported}"] if self.supported else []
        parts += [f"+{self.unsupported}"] if self.unsupported else []
        parts += [f"~{self.known}"] if self.known else []
        parts += [f"-{self.not_run}"] if self.not_run else []
        return " ".join(parts) or "no data"


def by_implementation(results: Iterable[Result], planned: Mapping[str, int] | None = None) -> dict[str, list[Result]]:
    """Results of each implementation, in the order of the plan; one without any has an empty list."""
    grouped: dict[str, list[Result]] = {name: [] for name in planned or {}}
    for result in results:
        grouped.setdefault(result.implementation, []).append(result)
    return grouped


def table(grouped: Mapping[str, Sequence[Result]]) -> dict[str, dict[str, Cell]]:
    """Feature to implementation to cell; the last row, ``total``, holds all cases."""
    seen = {feature for results in grouped.values() for result in results for feature in result.features}
    rows = {
        feature: {
            name: Cell.of(_on(feature, result) for result in results if feature in result.features)
            for name, results in grouped.items()
        }
        for feature in FEATURES
        if feature in seen
    }
    return rows | {"total": {name: Cell.of(results) for name, results in grouped.items()}}


def _on(feature: str, result: Result) -> Result:
    """A result as it counts for a feature: what was run without the feature says nothing about it."""
    if feature not in result.unchecked:
        return result
    return replace(result, status="unsupported", reason=result.unchecked[feature])


def error_ratios(results: Iterable[Result]) -> dict[tuple[str, str], float]:
    """The largest error ratio of each implementation and dtype, known divergences aside."""
    largest: dict[tuple[str, str], float] = {}
    for result in results:
        if result.error_ratio is not None and result.status != "known":
            place = (result.implementation, result.dtype)
            largest[place] = max(largest.get(place, 0.0), result.error_ratio)
    return largest


@dataclass(frozen=True)
class Detection:
    """What the checks that an implementation passed would have caught.

    Attributes:
        detected: ids of the defects that some passed case detects.
        missed: ids of the others.
    """

    detected: tuple[str, ...]
    missed: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.detected)} of {len(self.detected) + len(self.missed)} defects"


def detection(report: Report) -> dict[str, Detection]:
    """Of each implementation of which a result says so."""
    masks: dict[str, int] = {}
    for result in report.results:
        if result.detects is not None:
            masks[result.implementation] = masks.get(result.implementation, 0) | int(result.detected, 16)
    ids = report.header.get("defects", ())
    return {
        name: Detection(
            tuple(each for bit, each in enumerate(ids) if mask >> bit & 1),
            tuple(each for bit, each in enumerate(ids) if not mask >> bit & 1),
        )
        for name, mask in masks.items()
    }


def invalid(report: Report) -> str:
    """Why no result of a run means anything, in a line; empty when it is not so."""
    if not report.undetected_controls:
        return ""
    missed = ", ".join(report.undetected_controls)
    return f"INVALID: the run did not detect the negative controls {missed}. None of its results can be trusted"


def unfinished(report: Report) -> str:
    """That a run was cut short, in a line; empty when it was not."""
    if report.complete:
        return ""
    ran, planned = len(report.results), sum(report.planned.values())
    return f"INCOMPLETE: the run was cut short; {ran} of {planned} results are there"


def dtypes(largest: Iterable[tuple[str, str]]) -> list[str]:
    """The dtypes among keys of ``error_ratios``, the most precise first."""
    seen = {dtype for _, dtype in largest}
    return [dtype for dtype in get_args(DType) if dtype in seen]


def times(
    grouped: Mapping[str, Sequence[Result]], footer: Mapping[str, float] | None = None
) -> list[tuple[str, float]]:
    """Where the CPU time went: import and solve of each implementation, then the suite's own phases."""
    rows: list[tuple[str, float]] = []
    for name, results in grouped.items():
        spent = phases(results)
        rows += [(f"{phase} {name}", spent[phase]) for phase in FRAMEWORK_PHASES if phase in spent]
    total = footer or phases(result for results in grouped.values() for result in results)
    return rows + [(phase, seconds) for phase, seconds in total.items() if phase not in FRAMEWORK_PHASES]


def own_file(case: str) -> str:
    """The file to name on the command line for a case of this id; empty where the case is a shipped one."""
    file = case.partition("::")[0]
    return "" if (shipped_cases().parent / file).is_file() else file


def rerun(result: Result, spec: str = "") -> tuple[str, str]:
    """The two commands that run one result again.

    Args:
        result: the result.
        spec: how its implementation is named on the command line, where that is not its name.
    """
    name = spec or result.implementation
    own = [file] if (file := own_file(result.case)) else []
    exactly = f"'{result.case}'" if set(" ()") & set(result.case) else result.case
    direct = ["conformance", "run", *own, "-i", name, "-k", exactly]
    under_pytest = ["pytest", result.id]
    if spec and spec != result.implementation:
        under_pytest += ["--conformance-implementation", spec]
    return shlex.join(direct), shlex.join(under_pytest)


def described(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What a tensor's detail says in words and numbers, beside its reason."""
    return {key: value for key, value in detail.items() if key not in ("reason", "evidence")}


def number(error_ratio: float | None) -> str:
    """An error ratio in three digits."""
    if error_ratio is None:
        return "-"
    return f"{error_ratio:.3g}" if math.isfinite(error_ratio) else "inf"
