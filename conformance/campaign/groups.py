"""Groups of deviations with the same explanation, exception or location. Each has a minimal case in a case file."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
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

    Attributes:
        groups: the groups, in the order in which they were found.
    """

    def __init__(self, folder: Path, groups: Iterable[Group] = ()) -> None:
        self.folder = folder
        self.groups = list(groups)

    def find(self, implementation: str, signature: str) -> Group | None:
        """Returns the group of an implementation that has a signature; None if there is none."""
        own = (group for group in self.groups if group.implementation == implementation)
        return next((group for group in own if signature in group.signatures), None)

    def count(self, group: Group, signature: str) -> Group:
        """Counts a deviation of a group."""
        group.count += 1
        if signature not in group.signatures:
            group.signatures.append(signature)
        return group

    def recount(self, results: Iterable[Result]) -> None:
        """Counts the deviations of an interrupted campaign. The notes of each result name its group's case file."""
        counts = Counter(note for result in results if result.deviates for note in result.notes)
        for group in self.groups:
            group.count = counts[note_of(group)]

    def add(self, minimal: Result, cases: Sequence[Case], spec: str = "") -> Group:
        """Adds a group and writes its case file.

        Args:
            minimal: result of the minimal case.
            cases: the minimal case, or the sequence of cases that shows the deviation, which ends with it.
            spec: name of the implementation on the command line; empty if it is the implementation's name.
        """
        name = minimal.implementation
        number = 1 + sum(group.implementation == name for group in self.groups)
        file = f"{FOLDER}/{_slug(name)}-{number}.yaml"
        path = self.folder / file
        command = shlex.join(["conformance", "run", str(path), "-i", spec or name])
        atomic.write(path, case_file(minimal, cases, command))
        self.groups.append(
            Group(implementation=name, what=explanation(minimal), file=file, signatures=[signature(minimal)])
        )
        return self.groups[-1]


def note_of(group: Group) -> str:
    """Returns the note of the results that belong to a group."""
    return f"minimal case: {group.file}"


def signature(result: Result) -> str:
    """Returns a text that is equal for deviations with the same cause: defects, exception, or deviating tensors."""
    if result.status == "fail":
        if result.causes:
            return f"fail: {', '.join(sorted(result.causes))}"
        return f"fail: {', '.join(sorted({_kind(name) for name in result.details}))}"
    return f"{result.status}: {_NUMBER.sub('#', result.reason)}"


def explanation(result: Result) -> str:
    """Returns the explanation of a deviation, or else its reason."""
    return f"{result.status}: {result.diagnosis or result.reason}"


def same_kind(one: Result, other: Result) -> bool:
    """Returns whether two deviations may have the same cause: the same exception, or a tensor that fails in both."""
    if one.status != other.status:
        return False
    if one.status != "fail":
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
