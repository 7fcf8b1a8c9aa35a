"""Two runs, row by row: what changed from an old results file to a new one.

Rows are matched by the case's key and the implementation, so that renamed files and cases do not matter. The version
with which an implementation's name may end (``torch.nn.LSTM@2.9``) is left aside where that leaves no doubt.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal, get_args

from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, Result
from conformance.results.summary import by_implementation, detection

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
"""What can have become of a row, in the order in which they are shown."""

WORDS: Mapping[Kind, str] = {
    "new-fail": "newly failing",
    "added-fail": "failing, and not in the old run",
    "new-known": "newly deviating, as is known",
    "new-unsupported": "newly unsupported",
    "not-run": "no longer run",
    "lost-case": "lost: only in the old run",
    "fixed": "fixed",
    "new-supported": "newly supported, and conforming",
    "added-case": "only in the new run",
    "other": "changed in another way",
}


@dataclass(frozen=True)
class Change:
    """What became of one case on one implementation.

    Attributes:
        kind: what it is.
        old: its old result; None where there is none.
        new: its new result; None where there is none.
    """

    kind: Kind
    old: Result | None
    new: Result | None

    @property
    def result(self) -> Result:
        """The new result, or the last there was."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def statuses(self) -> str:
        """The two statuses: ``pass → fail``."""
        return f"{self.old.status if self.old else 'absent'} → {self.new.status if self.new else 'absent'}"


@dataclass(frozen=True)
class Drift:
    """The error ratio of one tensor of one implementation over all cases that pass in both runs.

    Attributes:
        implementation: its name in the new run.
        tensor: its name.
        cases: how many there are.
        old: median and 99th percentile in the old run.
        new: the same in the new run.
        widest: the case whose error ratio grew most.
    """

    implementation: str
    tensor: str
    cases: int
    old: tuple[float, float]
    new: tuple[float, float]
    widest: str

    @property
    def ratio(self) -> float:
        """By how much the 99th percentile grew."""
        return _ratio(self.old[1], self.new[1])

    @property
    def moved(self) -> bool:
        """Whether there is anything to show."""
        return self.old != self.new


@dataclass(frozen=True)
class Provenance:
    """Something about a run that is not as it was: ``torch.nn.LSTM: torch``, from ``2.9`` to ``2.10``."""

    what: str
    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        old: the one.
        new: the other.
        matched: names in the old run to names in the new one.
    """

    old: Report
    new: Report
    matched: Mapping[str, str]

    @cached_property
    def pairs(self) -> list[tuple[Result | None, Result | None]]:
        """Results that belong together, those of the new run in its order, then those that are only in the old one.

        Of implementations that are in both runs; ``gone`` and ``came`` name the others.
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
            # The same configuration may stand under several names: each is matched once, its namesake first.
            candidates = waiting.get((result.key, result.implementation), [])
            candidates.sort(key=lambda old: old.case != result.case)
            found.append((candidates.pop(0) if candidates else None, result))
        return found + [(old, None) for rows in waiting.values() for old in rows]

    @cached_property
    def changes(self) -> list[Change]:
        """All rows that changed, by kind."""
        found = [Change(kind, old, new) for old, new in self.pairs if (kind := _kind(old, new))]
        return sorted(found, key=lambda change: KINDS.index(change.kind))

    @cached_property
    def same(self) -> int:
        """How many rows have the status that they had."""
        return len(self.pairs) - len(self.changes)

    @cached_property
    def drifts(self) -> list[Drift]:
        """Of each implementation and tensor, those whose 99th percentile grew most first."""
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
        """Of each implementation, the defects that its passed checks would have caught before, and no longer do."""
        before, after = detection(self.old), detection(self.new)
        ids = set(self.new.header.get("defects", ()))
        found = {}
        for name, new_name in self.matched.items():
            if name in before:
                still = set(after[new_name].detected) if new_name in after else set()
                found[new_name] = tuple(each for each in before[name].detected if each in ids and each not in still)
        return {name: lost for name, lost in found.items() if lost}

    @cached_property
    def provenance(self) -> list[Provenance]:
        """All that the two runs say about themselves and their implementations, and that differs."""
        same = {name: name for name in self.matched.values()}
        before, after = dict(_facts(self.old, self.matched)), dict(_facts(self.new, same))
        return [
            Provenance(what, before.get(what, "absent"), after.get(what, "absent"))
            for what in before | after
            if before.get(what) != after.get(what)
        ]

    @property
    def gone(self) -> dict[str, list[Result]]:
        """Implementations of the old run that the new one has not, with their results."""
        found = by_implementation(self.old.results, self.old.planned)
        return {name: results for name, results in found.items() if name not in self.matched}

    @property
    def came(self) -> dict[str, list[Result]]:
        """Implementations of the new run that the old one has not, with their results."""
        found, names = by_implementation(self.new.results, self.new.planned), set(self.matched.values())
        return {name: results for name, results in found.items() if name not in names}

    def of(self, kind: Kind) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]


def compare(old: Report, new: Report) -> Comparison:
    """Matches two runs."""
    before = list(by_implementation(old.results, old.planned))
    after = list(by_implementation(new.results, new.planned))
    return Comparison(old, new, match(before, after))


def match(old: Sequence[str], new: Sequence[str]) -> dict[str, str]:
    """Names of one run to those of another: the same name first, then one that differs in its version only.

    Where one run has several versions of an implementation left over, it is not said which is which.
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
    """What became of a row; None when its status is what it was."""
    if new is None:
        return "lost-case"
    if old is None:
        return "added-fail" if new.deviates else "added-case"
    before, after = old.status, new.status
    if before == after:
        return None
    ran = DEVIATIONS | {"pass", "known"}
    # A divergence that is gone is good news, although its entry must go before a run conforms.
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
    """The smallest of the values that at least this share of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _ratio(old: float, new: float) -> float:
    if new == old:
        return 1.0
    return new / old if old else math.inf


def _facts(report: Report, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a run says about itself, a line each; of implementations those that have a name in the new run."""
    header = report.header
    yield "suite", str(header.get("suite", ""))
    yield "selection", str(header.get("selection", ""))
    for group in ("machine", "threads"):
        for key, value in header.get(group, {}).items():
            yield f"{group}: {key}", str(value)
    for name, status in header.get("controls", {}).items():
        yield f"control: {name}", str(status)
    packages: Mapping[str, Mapping[str, Any]] = header.get("packages", {})
    for name, new_name in names.items():
        for key, value in {**packages.get(name, {}), **report.implementations.get(name, {})}.items():
            yield f"{new_name}: {key}", str(value)
