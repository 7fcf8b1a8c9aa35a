"""YAML parser that keeps positions, for the core schema of YAML 1.2.

``1e-6`` is a number, ``on`` and ``1:30`` are strings, ``010`` is ten. The parser rejects anchors, tags, duplicate keys,
keys that are not strings, and files that are too large, too deep or hold too many values.

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

MAX_BYTES = 1024 * 1024
"""Largest size of a file."""
MAX_DEPTH = 8
"""Largest number of nested lists and mappings."""
MAX_VALUES = 50_000
"""Largest number of scalars, lists and mappings in a file."""

Position = tuple[int, int]
"""Line and column, each from 1."""

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Safe loader for PyYAML: the one based on libyaml, which is eight times as fast, if available."""
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_OCTAL = re.compile(r"0o[0-7]{1,300}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")

Scalar = None | bool | int | float | str


@dataclass(frozen=True, order=True)
class Mistake:
    """An error in a file.

    Attributes:
        line: line, from 1.
        column: column, from 1.
        text: description of the error.
    """

    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its position.

    Attributes:
        content: a scalar, a list of nodes, or a mapping from strings to nodes.
        at: position of the value.
        key_at: position of the value's key in a mapping; else the same as ``at``.
    """

    content: "Scalar | list[Node] | dict[str, Node]"
    at: Position
    key_at: Position

    def plain(self) -> Any:
        """Returns the value as scalars, lists and dicts, without positions."""
        match self.content:
            case dict() as entries:
                return {key: node.plain() for key, node in entries.items()}
            case list() as items:
                return [node.plain() for node in items]
            case scalar:
                return scalar


def read(path: Path) -> tuple[Node | None, list[Mistake]]:
    """Reads a file. Returns its root, or None if the file cannot be parsed, and all mistakes in it."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None, [Mistake(1, 1, "the file does not exist")]
    except IsADirectoryError:
        return None, [Mistake(1, 1, "expected a file, not a folder")]
    except (OSError, ValueError) as error:
        return None, [Mistake(1, 1, f"cannot read the file: {getattr(error, 'strerror', None) or error}")]
    if len(data) > MAX_BYTES:
        return None, [Mistake(1, 1, f"the file is larger than {MAX_BYTES} bytes: split it")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _end_of(data[: error.start].decode("utf-8"))
        return None, [Mistake(line, column, f"the file is not UTF-8 text (byte 0x{data[error.start]:02x})")]
    return parse(text.removeprefix("\ufeff"))


def parse(text: str) -> tuple[Node | None, list[Mistake]]:
    """Parses YAML text. Returns its root, or None if the text cannot be parsed, and all mistakes in it."""
    if found := _UNPRINTABLE.search(text):
        line, column = _end_of(text[: found.start()])
        return None, [Mistake(line, column, f"the character U+{ord(found.group()):04X} is not allowed")]
    parsed = _parse_with(_Reader(text, LOADER))
    if parsed is None:
        # libyaml reads ahead and hits its own limit on nesting first. PyYAML's parser finds the position of ours.
        parsed = _parse_with(_Reader(text, yaml.SafeLoader))
    assert parsed is not None
    return parsed


def _parse_with(reader: "_Reader") -> tuple[Node | None, list[Mistake]] | None:
    """Returns the root and the mistakes that a reader finds; None if libyaml rejects the depth of nesting."""
    try:
        return reader.document(), reader.mistakes
    except _StopReadingError:
        return None, reader.mistakes
    except yaml.MarkedYAMLError as error:
        if "maximum nesting depth" in (error.problem or ""):
            return None
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"{error.problem} ({error.context})" if error.context and error.problem else error.problem
        return None, [*reader.mistakes, Mistake(line, column, f"invalid YAML: {what or error.context}")]


class _StopReadingError(Exception):
    """A mistake after which the rest of the file is not read."""


class _Reader:
    """Builds nodes from PyYAML's events. Unlike PyYAML's composer, it limits the depth of recursion.

    Attributes:
        mistakes: mistakes so far.
    """

    def __init__(self, text: str, loader: Any) -> None:
        self.mistakes: list[Mistake] = []
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._values = 0

    def document(self) -> Node:
        """Reads the only document of the file."""
        next(self._events)
        root = Node(None, (1, 1), (1, 1))
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return root
        root = self._node(next(self._events), 0) or root
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, "a file must hold only one document, a second one begins here")
        return root

    def _node(self, event: Any, depth: int) -> Node | None:
        """Reads the next value. Returns None for an alias."""
        at = _position_of(event)
        self._values += 1
        if self._values > MAX_VALUES:
            self._stop(event, f"the file holds more than {MAX_VALUES} values: split it")
        if depth > MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self._note(at, f"aliases are not supported: replace *{event.anchor} by its value")
            return None
        if event.anchor is not None:
            self._note(at, f"anchors are not supported: remove &{event.anchor}")
        if event.tag is not None:
            self._note(at, f"tags are not supported: remove {event.tag}")
        match event:
            case yaml.ScalarEvent():
                return Node(event.value if event.style else _parse_scalar(event.value), at, at)
            case yaml.SequenceStartEvent():
                return Node(self._items(depth), at, at)
            case _:
                return Node(self._entries(depth), at, at)

    def _items(self, depth: int) -> list[Node]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            if item := self._node(event, depth + 1):
                items.append(item)
        return items

    def _entries(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if key is None or value is None:
                continue
            if not isinstance(event, yaml.ScalarEvent):
                self._note(key.at, "a key must be a string")
                continue
            name = event.value
            if not isinstance(key.content, str):
                self._note(key.at, f"a key must be a string: put it in quotes, '{name}'")
            if name in entries:
                self._note(key.at, f"duplicate key '{name}', first in line {entries[name].key_at[0]}")
            else:
                entries[name] = Node(value.content, value.at, key.at)
        return entries

    def _note(self, at: Position, text: str) -> None:
        self.mistakes.append(Mistake(*at, text))

    def _stop(self, event: Any, text: str) -> NoReturn:
        self._note(_position_of(event), text)
        raise _StopReadingError


def _position_of(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _end_of(before: str) -> Position:
    """Returns the position of the character that follows a text."""
    lines = before.splitlines() if before else []
    if not lines or before[-1] in "\r\n":
        return len(lines) + 1, 1
    return len(lines), len(lines[-1]) + 1


def _parse_scalar(text: str) -> Scalar:
    """Returns the value of an unquoted scalar."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if _NAN.fullmatch(text) else text
