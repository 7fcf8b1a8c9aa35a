"""Groups of deviations with the same explanation, exception or location. Each has a minimal case in a case file."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from conformance.cases import schema
from conformance.cases.case import Case
from conformance.reports.explain import printable
from conformance.results import atomic
from conformance.results.record import Result

FOLDER = "cases"
"""Folder of the case files, in the output folder of a campaign."""

_NUMBER = re.compile(r"-?\d[\d.,]*(?:e[+-]?\d+)?|0x[0-9a-f]+")


@dataclass(frozen=True)
class Minimal:
    """The minimal case of a deviation.

    Attributes:
        result: its result.
        cases: the case, or the sequence of cases that shows the deviation, which ends with it.
        signature: signature of the deviation.
    """

    result: Result
    cases: Sequence[Case]
    signature: str


class Group(BaseModel):
    """Deviations of one implementation with the same explanation.

    Attributes:
        implementation: name of the implementation.
        what: the explanation, exception or location.
        count: number of drawn cases in the group.
        file: path of the case file, relative to the output folder.
        signatures: signatures of the results that belong to the group.
    """

    implementation: str
    what: str
    count: int = 0
    file: str
    signatures: list[str]


class Groups:
    """The groups of a campaign.

    Args:
        folder: output folder of the campaign.
        groups: groups of an interrupted campaign.
        specs: names of implementations on the command line, by their names, if they differ.

    Attributes:
        groups: the groups, in the order in which they were found.
    """

    def __init__(self, folder: Path, groups: Iterable[Group] = (), specs: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.groups = list(groups)
        self._specs = specs or {}

    @property
    def signatures(self) -> dict[str, set[str]]:
        """Signatures of all groups, by implementation."""
        found: dict[str, set[str]] = {}
        for group in self.groups:
            found.setdefault(group.implementation, set()).update(group.signatures)
        return found

    def find(self, implementation: str, signature: str) -> Group | None:
        """Returns the group of an implementation that has a signature; None if there is none."""
        own = (group for group in self.groups if group.implementation == implementation)
        return next((group for group in own if signature in group.signatures), None)

    def count(self, implementation: str, signature: str, minimal: Minimal | None) -> Group:
        """Counts a deviation and returns its group. Adds a group and writes its case file if there is none.

        Args:
            implementation: name of the implementation.
            signature: signature of the deviation.
            minimal: its minimal case, which a deviation with a new signature has.
        """
        group = self.find(implementation, signature)
        if group is None:
            assert minimal, f"{implementation}: no minimal case of {signature}"
            group = self.find(implementation, minimal.signature) or self._add(implementation, minimal)
        group.count += 1
        if signature not in group.signatures:
            group.signatures.append(signature)
        return group

    def recount(self, results: Iterable[Result]) -> None:
        """Counts the deviations of an interrupted campaign. The notes of each result name its group's case file."""
        counts = Counter(note for result in results if result.deviates for note in result.notes)
        for group in self.groups:
            group.count = counts[note_of(group)]

    def _add(self, name: str, minimal: Minimal) -> Group:
        number = 1 + sum(group.implementation == name for group in self.groups)
        file = f"{FOLDER}/{_slug(name)}-{number}.yaml"
        path = self.folder / file
        command = shlex.join(["conformance", "run", str(path), "-i", self._specs.get(name, name)])
        atomic.write(path, case_file(minimal.result, minimal.cases, command))
        what = explanation(minimal.result)
        self.groups.append(Group(implementation=name, what=what, file=file, signatures=[minimal.signature]))
        return self.groups[-1]


def note_of(group: Group) -> str:
    """Returns the note of the results that belong to a group."""
    return f"minimal case: {group.file}"


def signature(result: Result) -> str:
    """Returns a text that is equal for deviations with the same cause: defects, exception, or deviating tensors."""
    if result.status == "fail" and result.causes:
        return f"fail: {', '.join(sorted(result.causes))}"
    if result.status == "fail" and result.details:
        return f"fail: {', '.join(sorted({_kind(name) for name in result.details}))}"
    return f"{result.status}: {_NUMBER.sub('#', result.reason)}"


def explanation(result: Result) -> str:
    """Returns the explanation of a deviation, or else its reason."""
    return f"{result.status}: {result.diagnosis or result.reason}"


def same_kind(one: Result, other: Result) -> bool:
    """Returns whether two deviations may have the same cause: the same exception, or a tensor that fails in both."""
    if one.status != other.status:
        return False
    if one.status != "fail" or not (one.details and other.details):
        return signature(one) == signature(other)
    return bool({_kind(name) for name in one.details} & {_kind(name) for name in other.details})


def case_file(minimal: Result, cases: Sequence[Case], command: str) -> str:
    """Returns a case file with the cases that show a deviation."""
    what = explanation(minimal)
    if len(cases) > 1:
        what += " The cases show it only if they run in one process in this order."
    lines = [f"# {command}", f"notes: {_quoted(f'{minimal.implementation}: {what}')}", "cases:"]
    for number, case in enumerate(cases, 1):
        options = case.model_dump(mode="json", exclude_defaults=True, include=set(schema.options()))
        text = ", ".join(f"{name}: {json.dumps(value)}" for name, value in options.items())
        name = "minimal" if number == len(cases) else f"before-{number}"
        lines.append(f"  {name}: {{{text}}}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(printable(" ".join(text.split())), ensure_ascii=False)


def _kind(tensor: str) -> str:
    """Returns a tensor's name without layer and direction: ``grad.weight_ih``."""
    return re.sub(r"_l\d+(_reverse)?$", "", tensor)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-")
