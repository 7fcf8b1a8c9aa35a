"""Compares two runs row by row.

Rows are matched by the case's key and the implementation, so renamed files and cases do not matter. A version at the
end of an implementation's name (``torch.nn.LSTM@2.9``) is ignored if the match is still unique.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Literal, get_args

from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, Result
from conformance.results.summary import by_implementation, detected_mask, detection

Kind = Literal[
    "new-fail",
    "added-fail",
    "new-known",
    "new-unsupported",
    "not-run",
    "lost-case",
    "fixed",
    "new-supported",
    "added-case",
    "other",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""Kinds of changes, in the order of a report."""

KIND_TITLES: Mapping[Kind, str] = {
    "new-fail": "newly failing",
    "added-fail": "failing and not in the old run",
    "new-known": "newly deviating (known divergence)",
    "new-unsupported": "newly unsupported",
    "not-run": "no longer run",
    "lost-case": "lost: only in the old run",
    "fixed": "fixed",
    "new-supported": "newly supported and conforming",
    "added-case": "only in the new run",
    "other": "changed in another way",
}


@dataclass(frozen=True)
class Change:
    """A changed row: one case on one implementation.

    Attributes:
        kind: kind of the change.
        old: old result; None if the row is only in the new run.
        new: new result; None if the row is only in the old run.
    """

    kind: Kind
    old: Result | None
    new: Result | None

    @property
    def result(self) -> Result:
        """New result, or the old one if there is no new one."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def statuses(self) -> str:
        """Both statuses: ``pass → fail``."""
        return f"{self.old.status if self.old else 'absent'} → {self.new.status if self.new else 'absent'}"


@dataclass(frozen=True)
class Drift:
    """Change of one tensor's error ratio on one implementation, over the cases that pass in both runs.

    Attributes:
        implementation: name of the implementation in the new run.
        tensor: name of the tensor.
        cases: number of cases.
        old: median and 99th percentile in the old run.
        new: median and 99th percentile in the new run.
        widest: id of the case with the largest growth of the error ratio.
    """

    implementation: str
    tensor: str
    cases: int
    old: tuple[float, float]
    new: tuple[float, float]
    widest: str

    @property
    def ratio(self) -> float:
        """Factor by which the 99th percentile grew."""
        return _ratio(self.old[1], self.new[1])

    @property
    def changed(self) -> bool:
        """Whether the median or the 99th percentile changed."""
        return self.old != self.new


@dataclass(frozen=True)
class ProvenanceChange:
    """A changed fact about a run, such as ``torch.nn.LSTM: torch`` from ``2.9`` to ``2.10``."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """Two runs and their differences.

    Attributes:
        old: results file of the old run.
        new: results file of the new run.
        matched: implementations that are in both runs: name in the old run to name in the new run.
    """

    old: Report
    new: Report
    matched: Mapping[str, str]

    @cached_property
    def pairs(self) -> list[tuple[Result | None, Result | None]]:
        """Old and new result of each row: the rows of the new run in their order, then rows that only the old run has.

        Implementations that are in one run only are omitted, see ``only_old`` and ``only_new``.
        """
        waiting: dict[tuple[str, str], list[Result]] = {}
        for result in self.old.results:
            name = self.matched.get(result.implementation)
            if name is not None:
                waiting.setdefault((result.key, name), []).append(result)
        found: list[tuple[Result | None, Result | None]] = []
        names = set(self.matched.values())
        for result in self.new.results:
            if result.implementation not in names:
                continue
            # Several cases may have the same key. Each row is matched once, if possible to a case with the same name.
            candidates = waiting.get((result.key, result.implementation), [])
            candidates.sort(key=lambda old: old.case != result.case)
            found.append((candidates.pop(0) if candidates else None, result))
        return found + [(old, None) for rows in waiting.values() for old in rows]

    @cached_property
    def changes(self) -> list[Change]:
        """Changed rows, by kind."""
        found = [Change(kind, old, new) for old, new in self.pairs if (kind := _kind(old, new))]
        return sorted(found, key=lambda change: KINDS.index(change.kind))

    @cached_property
    def unchanged(self) -> int:
        """Number of rows with the same status in both runs."""
        return len(self.pairs) - len(self.changes)

    @cached_property
    def drifts(self) -> list[Drift]:
        """Drift of each tensor on each implementation, largest growth of the 99th percentile first."""
        values: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
        for old, new in self.pairs:
            if old and new and old.status == new.status == "pass":
                for tensor in old.tensors.keys() & new.tensors.keys():
                    both = (old.tensors[tensor], new.tensors[tensor], new.case)
                    values.setdefault((new.implementation, tensor), []).append(both)
        found = [_drift(name, tensor, rows) for (name, tensor), rows in sorted(values.items())]
        return sorted(found, key=lambda drift: -drift.ratio)

    @cached_property
    def lost_power(self) -> dict[str, tuple[str, ...]]:
        """Ids of the defects that an implementation's passed cases detect in the old run only, by implementation.

        A case that passes in both runs detects what it did before, if the new run measured it at other sizes or not.
        """
        before, after = detection(self.old), detection(self.new)
        ids = set(self.new.header.defects)
        unmeasured: dict[str, list[Result]] = {}
        for old, new in self.pairs:
            if old and new and new.status == "pass" and not _measured_alike(old, new):
                unmeasured.setdefault(new.implementation, []).append(old)
        found = {}
        for name, new_name in self.matched.items():
            if name in before:
                still = set(after[new_name].detected) if new_name in after else set()
                mask = detected_mask(unmeasured.get(new_name, ()))
                still |= {each for bit, each in enumerate(self.old.header.defects) if mask >> bit & 1}
                found[new_name] = tuple(each for each in before[name].detected if each in ids and each not in still)
        return {name: lost for name, lost in found.items() if lost}

    @cached_property
    def provenance(self) -> list[ProvenanceChange]:
        """Differences between the headers and between the implementations' descriptions."""
        same = {name: name for name in self.matched.values()}
        before, after = dict(_facts(self.old, self.matched)), dict(_facts(self.new, same))
        return [
            ProvenanceChange(what, before.get(what, "absent"), after.get(what, "absent"))
            for what in before | after
            if before.get(what) != after.get(what)
        ]

    @property
    def only_old(self) -> dict[str, list[Result]]:
        """Implementations that are only in the old run, with their results."""
        found = by_implementation(self.old.results, self.old.planned)
        return {name: results for name, results in found.items() if name not in self.matched}

    @property
    def only_new(self) -> dict[str, list[Result]]:
        """Implementations that are only in the new run, with their results."""
        found, names = by_implementation(self.new.results, self.new.planned), set(self.matched.values())
        return {name: results for name, results in found.items() if name not in names}

    def of(self, kind: Kind) -> list[Change]:
        """Returns the changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


def _measured_alike(old: Result, new: Result) -> bool:
    """Returns whether the new run measured the power of a case at the same sizes as the old one."""
    return new.detects is not None and new.power_sizes == old.power_sizes


def compare(old: Report, new: Report) -> Comparison:
    """Compares two runs."""
    before = list(by_implementation(old.results, old.planned))
    after = list(by_implementation(new.results, new.planned))
    return Comparison(old, new, match(before, after))


def match(old: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """Matches implementations of two runs: first by name, then by name without the version.

    If a run has several unmatched versions of an implementation, none of them is matched.

    Returns:
        Names in the old run to names in the new run.
    """
    matched = {name: name for name in old if name in new}
    rest, left = _by_base(old, matched), _by_base(new, matched)
    return matched | {
        names[0]: left[base][0] for base, names in rest.items() if len(names) == 1 and len(left.get(base, ())) == 1
    }


def _by_base(names: Iterable[str], taken: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        if name not in taken:
            found.setdefault(name.partition("@")[0], []).append(name)
    return found


def _kind(old: Result | None, new: Result | None) -> Kind | None:
    """Returns the kind of a change; None if the status and a known divergence are the same."""
    if new is None:
        return "lost-case"
    if old is None:
        return "added-fail" if new.deviates else "added-case"
    before, after = old.status, new.status
    if before == after:
        # The reason starts with the ids of divergences.
        return "other" if after == "known" and old.reason.split(":")[0] != new.reason.split(":")[0] else None
    ran = DEVIATIONS | {"pass", "known"}
    # `fixed` is an improvement, although such a run fails until the entry of the divergence is removed.
    if before in DEVIATIONS | {"known"} and after in ("pass", "fixed"):
        return "fixed"
    if after in DEVIATIONS:
        return "other" if before in DEVIATIONS else "new-fail"
    if after == "known":
        return "new-known" if before not in DEVIATIONS else "other"
    if after == "unsupported":
        return "new-unsupported"
    if after == "not-run":
        return "not-run" if before in ran else "other"
    return "new-supported" if before == "unsupported" else "other"


def _drift(name: str, tensor: str, rows: Sequence[tuple[float, float, str]]) -> Drift:
    before, after = [row[0] for row in rows], [row[1] for row in rows]
    widest = max(rows, key=lambda row: _ratio(row[0], row[1]))[2]
    return Drift(
        name, tensor, len(rows), (median(before), percentile(before)), (median(after), percentile(after)), widest
    )


def percentile(values: Sequence[float], share: float = 0.99) -> float:
    """Returns the smallest value v such that at least the given share of the values is ≤ v."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _ratio(old: float, new: float) -> float:
    if new == old:
        return 1.0
    return new / old if old else math.inf


def _facts(report: Report, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yields facts about a run as name and value.

    Args:
        report: results file of the run.
        names: names of the implementations to include, with their names in the new run.
    """
    header = report.header
    yield "suite", header.suite or ""
    yield "selection", header.selection
    for group, values in (("machine", header.machine), ("threads", header.threads)):
        for key, value in values.items():
            yield f"{group}: {key}", str(value)
    for name, status in header.controls.items():
        yield f"control: {name}", status
    for name, new_name in names.items():
        for key, value in {**header.packages.get(name, {}), **report.implementations.get(name, {})}.items():
            yield f"{new_name}: {key}", str(value)
