"""A case file's sections to rows: what each case is made of. Every mistake is noted at its position."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from conformance.cases import schema
from conformance.cases.yamlfile import Mistake, Node, Position

MAX_CASES = 512
"""Cases in one file, after expansion."""
MAX_COMBINATIONS = 16 * MAX_CASES
"""Combinations of a matrix before its exclusions."""
MAX_MISTAKES = 100
"""Mistakes after which the reading of a file ends."""

_SECTIONS = ("defaults", "matrix", "exclude", "also", "cases", *schema.DESCRIPTION)


class TooManyMistakesError(Exception):
    """What follows is not read."""


@dataclass
class Row:
    """What one case is made of."""

    name: str
    options: dict[str, Any]
    at: Position
    combined: bool = False
    """Whether it comes from the matrix, so that its name says more than its position."""
    whole: bool = True
    """Whether nothing was wrong in it."""


@dataclass
class Rows:
    """The rows of a file, with what is common to all of them.

    Attributes:
        defaults: options below those of every row.
        shared: the file's tags, notes and links.
        sound: whether nothing is wrong in what is common.
        mistakes: what is wrong in the file; while there is something, rows may be missing.
        rows: in the order matrix, also, cases.
    """

    defaults: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    sound: bool = False
    rows: list[Row] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, root: Node) -> None:
        """Reads the sections of a file from its root.

        Raises:
            TooManyMistakesError: at the hundredth.
        """
        sections = self._mapping(root, "a case file", _SECTIONS)
        if sections is None:
            return
        for name in schema.DESCRIPTION:
            if name in sections and self._fits(name, sections[name]):
                self.shared[name] = sections[name].plain()
        if "defaults" in sections:
            self.defaults = self._options(sections["defaults"], "defaults", schema.options())
        self.sound = not self.mistakes
        self.rows = [*self._matrix(sections), *self._also(sections), *self._named(sections)]
        if not {"matrix", "also", "cases"} & sections.keys():
            self.note(root.at, "no cases: a case file needs 'matrix', 'also' or 'cases'")
        if len(self.rows) > MAX_CASES:
            self.note(root.at, f"{len(self.rows)} cases, a file may hold {MAX_CASES}: split it")

    def note(self, at: Position, text: str) -> None:
        """Adds a mistake."""
        self.mistakes.append(Mistake(*at, text))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise TooManyMistakesError

    def _matrix(self, sections: dict[str, Node]) -> list[Row]:
        section = sections.get("matrix")
        excluded = sections.get("exclude")
        if section is None:
            if excluded:
                self.note(excluded.key_at, "exclude needs a matrix")
            return []
        varied = self._mapping(section, "matrix", schema.options()) or {}
        if section.content == {}:
            self.note(section.at, "matrix is empty: give it options with lists of values")
        values: dict[str, list[Any]] = {}
        for name, node in varied.items():
            items = self._list(node, f"matrix option {name}")
            fine = [item for item in items if self._fits(name, item)]
            values[name] = [item.plain() for item in fine]
            for index, item in enumerate(fine):
                if _among(values[name][index], values[name][:index]):
                    self.note(item.at, f"matrix option {name} lists {_text(values[name][index])} twice")
        count = prod(map(len, values.values()))
        if count > MAX_COMBINATIONS:
            self.note(section.key_at, f"{count} combinations, a matrix may have {MAX_COMBINATIONS}")
        if self.mistakes:
            # Exclusions are still read, for the mistakes in them.
            self._exclusions(excluded, values)
            return []
        combinations = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
        for entry, wanted in self._exclusions(excluded, values):
            kept = [options for options in combinations if not _matches(options, wanted)]
            if len(kept) == len(combinations):
                self.note(entry.at, "this entry excludes nothing that is still in the matrix")
            combinations = kept
        if not combinations:
            self.note(section.key_at, "everything in the matrix is excluded")
        return [Row(_named_by(options), options, section.key_at, combined=True) for options in combinations]

    def _exclusions(
        self, section: Node | None, values: dict[str, list[Any]]
    ) -> list[tuple[Node, dict[str, list[Any]]]]:
        """Each entry with, by option, the values that it excludes."""
        found = []
        for entry in self._list(section, "exclude") if section else []:
            before = len(self.mistakes)
            options = self._mapping(entry, "an exclude entry", schema.options())
            if entry.content == {}:
                self.note(entry.at, "an exclude entry needs at least one option")
            wanted: dict[str, list[Any]] = {}
            for name, node in (options or {}).items():
                if name not in values:
                    self.note(node.key_at, f"exclude names {name}, which the matrix does not vary")
                    continue
                # A list is any of its items, unless the matrix has that very list as a value.
                whole = _among(node.plain(), values[name])
                items = node.content if isinstance(node.content, list) and not whole else [node]
                wanted[name] = [item.plain() for item in items]
                for item in items:
                    if not _among(item.plain(), values[name]):
                        text, known = _text(item.plain()), map(_text, values[name])
                        self.note(item.at, f"{text} is not among the matrix's {name}{schema.hint(text, known)}")
            if len(self.mistakes) == before:
                found.append((entry, wanted))
        return found

    def _also(self, sections: dict[str, Node]) -> Iterator[Row]:
        for entry in self._list(sections["also"], "also") if "also" in sections else []:
            before = len(self.mistakes)
            options = self._options(entry, "an also entry", ("name", *schema.fields()))
            own = {name: value for name, value in options.items() if name in schema.options()}
            name = options.pop("name", None)
            if name is None and not own:
                if isinstance(entry.content, dict):
                    self.note(entry.at, "an also entry needs a name or an option")
                continue
            yield Row(_named_by(own) if name is None else name, options, entry.at, whole=len(self.mistakes) == before)

    def _named(self, sections: dict[str, Node]) -> Iterator[Row]:
        if "cases" not in sections:
            return
        entries = self._mapping(sections["cases"], "cases", None) or {}
        if sections["cases"].content == {}:
            self.note(sections["cases"].at, "cases is empty: give it names with options")
        for name, node in entries.items():
            before = len(self.mistakes)
            self._check_name(name, node.key_at)
            options = self._options(node, f"case '{name}'", tuple(schema.fields()))
            yield Row(name, options, node.key_at, whole=len(self.mistakes) == before)

    def _options(self, node: Node | None, what: str, known: tuple[str, ...]) -> dict[str, Any]:
        """The values of a mapping of options; those that are wrong are noted and left out."""
        entries = self._mapping(node, what, known) if node else None
        options: dict[str, Any] = {}
        for name, value in (entries or {}).items():
            if name == "name":
                if not isinstance(value.content, str):
                    self.note(value.at, "name must be text")
                    continue
                self._check_name(value.content, value.at)
            elif not self._fits(name, value):
                continue
            options[name] = value.plain()
        return options

    def _mapping(self, node: Node, what: str, known: tuple[str, ...] | None) -> dict[str, Node] | None:
        """The known entries of a mapping; others are noted."""
        if not isinstance(node.content, dict):
            empty = node.content is None
            self.note(node.at, f"{what} is empty" if empty else f"{what} must be a mapping (`key: value`)")
            return None
        for name, value in node.content.items():
            if known is not None and name not in known:
                self.note(value.key_at, self._unknown(name, what, known))
        return {name: value for name, value in node.content.items() if known is None or name in known}

    def _unknown(self, name: str, what: str, known: tuple[str, ...]) -> str:
        if name in _SECTIONS or name in schema.fields() or name == "name":
            return f"'{name}' does not belong in {what}"
        return f"unknown key '{name}' in {what}{schema.hint(name, known)}"

    def _list(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node.content, list):
            self.note(node.at, f"{what} must be a list")
            return []
        if not node.content:
            self.note(node.at, f"{what} is an empty list")
        if len(node.content) > MAX_CASES:
            self.note(node.at, f"{what} lists {len(node.content)} entries, it may have {MAX_CASES}: split the file")
            return []
        return node.content

    def _fits(self, name: str, node: Node) -> bool:
        """Whether an option accepts a value; notes why not, at the offending item of a list."""
        found = schema.faults(name, node.plain())
        for item, text in found:
            at = node.content[item].at if item is not None and isinstance(node.content, list) else node.at
            self.note(at, text)
        return not found

    def _check_name(self, name: str, at: Position) -> None:
        if not re.fullmatch(schema.NAME, name):
            self.note(
                at, f"the name '{name[:80]}' may hold letters, digits and . _ + : - only, a letter or digit first"
            )


def _matches(options: dict[str, Any], wanted: dict[str, list[Any]]) -> bool:
    return all(_among(options[name], values) for name, values in wanted.items())


def _among(value: Any, others: list[Any]) -> bool:
    """Membership that keeps true apart from 1."""
    return any(isinstance(value, bool) == isinstance(other, bool) and value == other for other in others)


def _named_by(options: dict[str, Any]) -> str:
    return "+".join(f"{name}:{_text(value)}" for name, value in options.items())


def _text(value: Any) -> str:
    """A value as part of a name."""
    match value:
        case list():
            return "-".join(map(_text, value))
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case _:
            return str(value)
