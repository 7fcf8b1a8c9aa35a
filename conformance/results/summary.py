"""Figures for several kinds of reports: counts by feature, error ratios, detected defects, CPU times."""

import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from conformance.cases.case import DType
from conformance.cases.casefile import shipped_cases
from conformance.cases.features import FEATURES
from conformance.results.reader import Report
from conformance.results.record import NOT_RUN, Result, counts, phases

LEGEND = "k/n: k of n supported cases conform; !f deviate, +u unsupported, ~d known divergences, -m not run"
"""Explanation of the text of a ``Cell``."""

FRAMEWORK_PHASES = ("import", "solve")
"""Phases in which an implementation uses CPU time. The suite uses the time of all other phases."""


@dataclass(frozen=True)
class Cell:
    """Counts of one implementation's results, for all cases or for those with one feature.

    Attributes:
        passed: number of cases that conform.
        supported: number of cases that ran.
        unsupported: number of cases that the implementation does not support.
        known: number of cases with a known divergence.
        not_run: number of cases that did not run.
    """

    passed: int
    supported: int
    unsupported: int
    known: int
    not_run: int

    @classmethod
    def of(cls, results: Iterable[Result]) -> "Cell":
        """Counts results."""
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
    def deviating(self) -> int:
        """Number of cases with a deviation that is not a known divergence."""
        return self.supported - self.passed - self.known

    @property
    def deviates(self) -> bool:
        """Whether there is a deviation that is not a known divergence."""
        return self.deviating > 0

    def __str__(self) -> str:
        parts = [f"{self.passed}/{self.supported}"] if self.supported else []
        parts += [f"!{self.deviating}"] if self.deviates else []
        parts += [f"+{self.unsupported}"] if self.unsupported else []
        parts += [f"~{self.known}"] if self.known else []
        parts += [f"-{self.not_run}"] if self.not_run else []
        return " ".join(parts) or "no data"


def by_implementation(results: Iterable[Result], planned: Mapping[str, int] | None = None) -> dict[str, list[Result]]:
    """Groups results by implementation, in the planned order. A planned implementation without results is included."""
    grouped: dict[str, list[Result]] = {name: [] for name in planned or {}}
    for result in results:
        grouped.setdefault(result.implementation, []).append(result)
    return grouped


def table(grouped: Mapping[str, Sequence[Result]]) -> dict[str, dict[str, Cell]]:
    """Counts results by feature and implementation. The last row, ``total``, counts all cases."""
    found: defaultdict[tuple[str, str], list[Result]] = defaultdict(list)
    for name, results in grouped.items():
        for result in results:
            for feature in result.features:
                found[feature, name].append(_on(feature, result))
    present = {feature for feature, _ in found}
    rows = {
        feature: {name: Cell.of(found[feature, name]) for name in grouped} for feature in FEATURES if feature in present
    }
    return rows | {"total": {name: Cell.of(results) for name, results in grouped.items()}}


def _on(feature: str, result: Result) -> Result:
    """Returns a result with the status that counts for a feature: unsupported if the case ran without the feature."""
    if feature not in result.unchecked:
        return result
    return replace(result, status="unsupported", reason=result.unchecked[feature])


def error_ratios(results: Iterable[Result]) -> dict[tuple[str, str], float]:
    """Returns the largest error ratio by implementation and dtype, without known divergences."""
    largest: dict[tuple[str, str], float] = {}
    for result in results:
        if result.error_ratio is not None and result.status != "known":
            place = (result.implementation, result.dtype)
            largest[place] = max(largest.get(place, 0.0), result.error_ratio)
    return largest


@dataclass(frozen=True)
class Detection:
    """Defects that the passed cases of an implementation detect.

    Attributes:
        detected: ids of the defects that at least one passed case detects.
        missed: ids of the other defects.
        passed: number of passed cases.
        measured: number of passed cases whose power was measured.
        reduced: the sizes at which power was measured, as text, for each case that was reduced.
    """

    detected: tuple[str, ...]
    missed: tuple[str, ...]
    passed: int
    measured: int
    reduced: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """How power was measured, in words; empty if every case was measured at its own sizes."""
        sample = f"on {self.measured} of {self.passed} cases" if self.measured < self.passed else ""
        if not self.reduced:
            return f"measured {sample}" if sample else ""
        distinct = set(self.reduced)
        place = f"at {self.reduced[0]} (I, H, T, B)" if len(distinct) == 1 else "at reduced sizes"
        if len(self.reduced) < self.measured:
            few = f"{len(self.reduced)} of these" if sample else f"with {len(self.reduced)} of {self.measured} cases"
            place = f"{few} {place}"
        return f"measured {', '.join(filter(None, (sample, place)))}"

    def __str__(self) -> str:
        counts = f"{len(self.detected)} of {len(self.detected) + len(self.missed)} defects"
        return f"{counts}, {self.how}" if self.how else counts


def detection(report: Report) -> dict[str, Detection]:
    """Returns the detected defects by implementation, for implementations with at least one measured case."""
    ids = report.header.defects
    found = {}
    for name, results in by_implementation(result for result in report.results if result.status == "pass").items():
        measured = [result for result in results if result.detects is not None]
        if measured:
            mask = detected_mask(measured)
            found[name] = Detection(
                tuple(each for bit, each in enumerate(ids) if mask >> bit & 1),
                tuple(each for bit, each in enumerate(ids) if not mask >> bit & 1),
                len(results),
                len(measured),
                tuple(_sizes(result.power_sizes) for result in measured if result.power_sizes),
            )
    return found


def detected_mask(results: Iterable[Result]) -> int:
    """Returns the mask of the defects that at least one of several results detects."""
    mask = 0
    for result in results:
        mask |= int(result.detected or "0", 16)
    return mask


def _sizes(options: Mapping[str, Any]) -> str:
    """Formats the sizes I, H, T and B at which power was measured."""
    return ", ".join(str(options.get(name, "?")) for name in ("input_size", "hidden_size", "seq_len", "batch"))


def invalid_warning(report: Report) -> str:
    """Returns one line that says why a run is invalid; empty for a valid run."""
    return controls_warning(report.header.controls)


def controls_warning(statuses: Mapping[str, str]) -> str:
    """Returns one line that says why a run is invalid; empty for a valid run.

    Args:
        statuses: status of each negative control. Any status but ``fail`` makes the run invalid.
    """
    missed = ", ".join(name for name, status in statuses.items() if status != "fail")
    if not missed:
        return ""
    return f"INVALID: the run did not detect the negative controls {missed}. None of its results can be trusted"


def incomplete_warning(report: Report) -> str:
    """Returns one line that says how many results are missing; empty for a complete run."""
    if report.complete:
        return ""
    return f"INCOMPLETE: the run did not finish; it has {len(report.results)} of {sum(report.planned.values())} results"


def dtypes(largest: Iterable[tuple[str, str]]) -> list[str]:
    """Returns the dtypes among the keys of ``error_ratios``, the most precise first."""
    present = {dtype for _, dtype in largest}
    return [dtype for dtype in get_args(DType) if dtype in present]


def cpu_times(
    grouped: Mapping[str, Sequence[Result]], total: Mapping[str, float] | None = None
) -> list[tuple[str, float]]:
    """Returns CPU seconds by phase: the framework phases of each implementation, then the suite's own phases.

    Args:
        grouped: results by implementation.
        total: CPU seconds by phase of the whole run; by default, the sum over the results.
    """
    rows: list[tuple[str, float]] = []
    for name, results in grouped.items():
        spent = phases(results)
        rows += [(f"{phase} {name}", spent[phase]) for phase in FRAMEWORK_PHASES if phase in spent]
    total = total or phases(result for results in grouped.values() for result in results)
    return rows + [(phase, seconds) for phase, seconds in total.items() if phase not in FRAMEWORK_PHASES]


def user_file(case: str) -> str:
    """Returns the file of a case id; empty for a shipped case, which needs no file on the command line."""
    file = case.partition("::")[0]
    return "" if (shipped_cases().parent / file).is_file() else file


def rerun_commands(result: Result, spec: str = "") -> list[str]:
    """Returns the commands that run one result again, with ``conformance run`` and with pytest.

    A case that a campaign has drawn is in no file, so it has no commands. A note names the file of its minimal case.

    Args:
        result: result to run again.
        spec: name of its implementation on the command line; empty if it is the implementation's name.
    """
    if "::" not in result.case:
        return []
    name = spec or result.implementation
    files = [file] if (file := user_file(result.case)) else []
    expression = f"'{result.case}'" if set(" ()") & set(result.case) else result.case
    direct = ["conformance", "run", *files, "-i", name, "-k", expression]
    under_pytest = ["pytest", result.id]
    if spec and spec != result.implementation:
        under_pytest += ["--conformance-implementation", spec]
    return [shlex.join(direct), shlex.join(under_pytest)]


def facts_of(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tensor's detail without its reason and its evidence."""
    return {key: value for key, value in detail.items() if key not in ("reason", "evidence")}


def format_error_ratio(error_ratio: float | None) -> str:
    """Formats an error ratio with three significant digits; a dash for None."""
    if error_ratio is None:
        return "-"
    return f"{error_ratio:.3g}" if math.isfinite(error_ratio) else "inf"
