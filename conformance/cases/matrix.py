"""Expansion of a case file: sections to rows, with one row for each case. Records every mistake with its position."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from conformance.cases import schema
from conformance.cases.yamlfile import Mistake, Node, Position

MAX_CASES = 512
"""Largest number of cases in a file, after expansion."""
MAX_COMBINATIONS = 16 * MAX_CASES
"""Largest number of combinations of a matrix, before exclusions."""
MAX_MISTAKES = 100
"""Number of mistakes after which the rest of a file is not read."""

_SECTIONS = ("defaults", "matrix", "exclude", "also", "cases", *schema.DESCRIPTION)


class TooManyMistakesError(Exception):
    """The file contains ``MAX_MISTAKES`` mistakes. The rest of it is not read."""


@dataclass
class Row:
    """One case of a file, before the defaults are added.

    Attributes:
        name: name of the case.
        options: options that the row sets.
        at: position of the row in the file; for a combination of the matrix, the position of the matrix.
        combined: whether the row is a combination of the matrix.
        valid: whether all options of the row are valid.
    """

    name: str
    options: dict[str, Any]
    at: Position
    combined: bool = False
    valid: bool = True


@dataclass
class Rows:
    """The rows of a file, and the sections that apply to all of them.

    Attributes:
        defaults: options of every row that does not set them itself.
        shared: the file's tags, notes and links.
        shared_valid: whether ``defaults`` and ``shared`` have no mistakes.
        rows: rows in the order matrix, also, cases. Rows may be missing if there are mistakes.
        mistakes: mistakes in the file.
    """

    defaults: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    shared_valid: bool = False
    rows: list[Row] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def read(self, root: Node) -> None:
        """Reads the sections of a file from its root.

        Raises:
            TooManyMistakesError: the file contains ``MAX_MISTAKES`` mistakes.
        """
        sections = self._expect_mapping(root, "a case file", _SECTIONS)
        if sections is None:
            return
        for name in schema.DESCRIPTION:
            if name in sections and self._is_valid(name, sections[name]):
                self.shared[name] = sections[name].plain()
        if "defaults" in sections:
            self.defaults = self._read_options(sections["defaults"], "defaults", schema.options())
        self.shared_valid = not self.mistakes
        self.rows = [*self._read_matrix(sections), *self._read_also(sections), *self._read_cases(sections)]
        if not {"matrix", "also", "cases"} & sections.keys():
            self.note(root.at, "a case file must have a section 'matrix', 'also' or 'cases'")
        if len(self.rows) > MAX_CASES:
            self.note(root.at, f"the file has {len(self.rows)} cases, at most {MAX_CASES} are allowed: split it")

    def note(self, at: Position, text: str) -> None:
        """Records a mistake.

        Raises:
            TooManyMistakesError: this is mistake number ``MAX_MISTAKES``.
        """
        self.mistakes.append(Mistake(*at, text))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise TooManyMistakesError

    def _read_matrix(self, sections: dict[str, Node]) -> list[Row]:
        """Returns the combinations of the matrix, without excluded ones."""
        section = sections.get("matrix")
        excluded = sections.get("exclude")
        if section is None:
            if excluded:
                self.note(excluded.key_at, "exclude requires a matrix")
            return []
        values = self._read_values(section)
        if self.mistakes:
            # Mistakes in the exclusions are reported too.
            self._read_exclusions(excluded, values)
            return []
        combinations = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
        for entry, wanted in self._read_exclusions(excluded, values):
            kept = [options for options in combinations if not _matches(options, wanted)]
            if len(kept) == len(combinations):
                self.note(entry.at, "this entry excludes no remaining combination of the matrix")
            combinations = kept
        if not combinations:
            self.note(section.key_at, "all combinations of the matrix are excluded")
        return [Row(_name_by_options(options), options, section.key_at, combined=True) for options in combinations]

    def _read_values(self, section: Node) -> dict[str, list[Any]]:
        """Returns the values of each option in the matrix."""
        varied = self._expect_mapping(section, "matrix", schema.options()) or {}
        if section.content == {}:
            self.note(section.at, "matrix is empty: add options with lists of values")
        values: dict[str, list[Any]] = {}
        for name, node in varied.items():
            items = self._expect_list(node, f"matrix option {name}")
            valid = [item for item in items if self._is_valid(name, item)]
            values[name] = [item.plain() for item in valid]
            for index, item in enumerate(valid):
                if _contains(values[name][index], values[name][:index]):
                    self.note(item.at, f"matrix option {name} lists {_format(values[name][index])} twice")
        count = prod(map(len, values.values()))
        if count > MAX_COMBINATIONS:
            self.note(section.key_at, f"the matrix has {count} combinations, at most {MAX_COMBINATIONS} are allowed")
        return values

    def _read_exclusions(
        self, section: Node | None, values: dict[str, list[Any]]
    ) -> list[tuple[Node, dict[str, list[Any]]]]:
        """Returns each entry with the values that it excludes, by option."""
        found = []
        for entry in self._expect_list(section, "exclude") if section else []:
            before = len(self.mistakes)
            options = self._expect_mapping(entry, "an exclude entry", schema.options())
            if entry.content == {}:
                self.note(entry.at, "an exclude entry must have at least one option")
            wanted: dict[str, list[Any]] = {}
            for name, node in (options or {}).items():
                if name not in values:
                    self.note(node.key_at, f"exclude has the option {name}, which is not in the matrix")
                    continue
                # A list matches any of its items, unless the list itself is a value in the matrix.
                is_value = _contains(node.plain(), values[name])
                items = node.content if isinstance(node.content, list) and not is_value else [node]
                wanted[name] = [item.plain() for item in items]
                for item in items:
                    if not _contains(item.plain(), values[name]):
                        text, known = _format(item.plain()), map(_format, values[name])
                        self.note(item.at, f"{text} is not a value of {name} in the matrix{schema.hint(text, known)}")
            if len(self.mistakes) == before:
                found.append((entry, wanted))
        return found

    def _read_also(self, sections: dict[str, Node]) -> Iterator[Row]:
        for entry in self._expect_list(sections["also"], "also") if "also" in sections else []:
            before = len(self.mistakes)
            options = self._read_options(entry, "an also entry", ("name", *schema.fields()))
            own = {name: value for name, value in options.items() if name in schema.options()}
            name = options.pop("name", None)
            if name is None and not own:
                if isinstance(entry.content, dict):
                    self.note(entry.at, "an also entry must have a name or an option")
                continue
            yield Row(
                _name_by_options(own) if name is None else name, options, entry.at, valid=len(self.mistakes) == before
            )

    def _read_cases(self, sections: dict[str, Node]) -> Iterator[Row]:
        if "cases" not in sections:
            return
        entries = self._expect_mapping(sections["cases"], "cases", None) or {}
        if sections["cases"].content == {}:
            self.note(sections["cases"].at, "cases is empty: add names with options")
        for name, node in entries.items():
            before = len(self.mistakes)
            self._check_name(name, node.key_at)
            options = self._read_options(node, f"case '{name}'", tuple(schema.fields()))
            yield Row(name, options, node.key_at, valid=len(self.mistakes) == before)

    def _read_options(self, node: Node | None, what: str, known: tuple[str, ...]) -> dict[str, Any]:
        """Returns the values of a mapping of options, without invalid ones."""
        entries = self._expect_mapping(node, what, known) if node else None
        options: dict[str, Any] = {}
        for name, value in (entries or {}).items():
            if name == "name":
                if not isinstance(value.content, str):
                    self.note(value.at, "name must be a string")
                    continue
                self._check_name(value.content, value.at)
            elif not self._is_valid(name, value):
                continue
            options[name] = value.plain()
        return options

    def _expect_mapping(self, node: Node, what: str, known: tuple[str, ...] | None) -> dict[str, Node] | None:
        """Returns the entries of a mapping with known names."""
        if not isinstance(node.content, dict):
            empty = node.content is None
            self.note(node.at, f"{what} is empty" if empty else f"{what} must be a mapping (`key: value`)")
            return None
        for name, value in node.content.items():
            if known is not None and name not in known:
                self.note(value.key_at, self._explain_unknown(name, what, known))
        return {name: value for name, value in node.content.items() if known is None or name in known}

    def _explain_unknown(self, name: str, what: str, known: tuple[str, ...]) -> str:
        if name in _SECTIONS or name in schema.fields() or name == "name":
            return f"'{name}' is not allowed in {what}"
        if name == "merge_mode":
            return f"unknown key '{name}' in {what}: the outputs of both directions are always concatenated"
        return f"unknown key '{name}' in {what}{schema.hint(name, known)}"

    def _expect_list(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node.content, list):
            self.note(node.at, f"{what} must be a list")
            return []
        if not node.content:
            self.note(node.at, f"{what} is an empty list")
        if len(node.content) > MAX_CASES:
            self.note(
                node.at, f"{what} has {len(node.content)} entries, at most {MAX_CASES} are allowed: split the file"
            )
            return []
        return node.content

    def _is_valid(self, name: str, node: Node) -> bool:
        """Returns whether a value of an option is valid. Records a mistake for each invalid item of a list."""
        found = schema.find_mistakes(name, node.plain())
        for item, text in found:
            at = node.content[item].at if item is not None and isinstance(node.content, list) else node.at
            self.note(at, text)
        return not found

    def _check_name(self, name: str, at: Position) -> None:
        if not re.fullmatch(schema.NAME, name):
            self.note(
                at, f"invalid name '{name[:80]}': use letters, digits and . _ + : -, starting with a letter or digit"
            )


def _matches(options: dict[str, Any], wanted: dict[str, list[Any]]) -> bool:
    return all(_contains(options[name], values) for name, values in wanted.items())


def _contains(value: Any, others: list[Any]) -> bool:
    """Returns whether a list contains a value. Unlike ``in``, does not treat true as 1."""
    return any(isinstance(value, bool) == isinstance(other, bool) and value == other for other in others)


def _name_by_options(options: dict[str, Any]) -> str:
    """Returns the name of a case that is named by its options."""
    return "+".join(f"{name}:{_format(value)}" for name, value in options.items())


def _format(value: Any) -> str:
    """Formats a value as part of a name."""
    match value:
        case list():
            return "-".join(map(_format, value))
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case _:
            return str(value)
