"""YAML files to cases, or to every mistake in them with its position."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conformance.cases.case import Case
from conformance.cases.matrix import MAX_MISTAKES, Row, Rows, TooManyMistakesError
from conformance.cases.yamlfile import Mistake, Position, read
from conformance.errors import UserError

# Setting one of two spellings of the same option in a case overrides the other one in the defaults.
_SAME = {"direction": "bidirectional", "bidirectional": "direction"}


class CaseFileError(UserError):
    """Everything that is wrong in one or more files, a line ``file:line:column: what`` for each mistake."""

    def __init__(self, mistakes: Iterable[tuple[str, Mistake]]) -> None:
        self.mistakes = tuple(mistakes)
        lines = (f"{file}:{at.line}:{at.column}: {at.text}" for file, at in self.mistakes)
        super().__init__("\n".join(map(_printable, lines)))


def shipped_cases() -> Path:
    """The folder of the cases that come with the suite."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_data" / "cases"
    return installed if installed.is_dir() else package.parent / "cases"


def load(path: Path, root: Path | None = None) -> list[Case]:
    """The cases of one file, in the order in which they are written.

    Args:
        path: the file.
        root: the folder that ``Case.file`` is relative to; without it, ``Case.file`` is the file's name.

    Raises:
        CaseFileError: with every mistake in the file, up to a hundred.
    """
    file, shown = path.name, path.as_posix()
    if root is not None and _real(path).is_relative_to(_real(root)):
        file = shown = _real(path).relative_to(_real(root)).as_posix()
    node, mistakes = read(path)
    rows = Rows(mistakes=mistakes)
    cases: list[Case] = []
    try:
        if node:
            rows.read(node)
        rows.rows = [row for row in rows.rows if row.whole and rows.sound]
        lacking = _note_missing(rows)
        rows.rows = [row for row in rows.rows if row not in lacking]
        cases = _cases(rows, file)
    except TooManyMistakesError:
        pass
    if rows.mistakes:
        raise CaseFileError((shown, mistake) for mistake in sorted(set(rows.mistakes))[:MAX_MISTAKES])
    return cases


def load_all(paths: Iterable[Path]) -> list[Case]:
    """The cases of files and of all ``*.yaml`` files in folders.

    ``Case.file`` begins with the folder's own name for shipped cases, and for folders outside the working directory;
    inside it, it is relative to it.

    Raises:
        CaseFileError: with every mistake in all files.
    """
    cases: list[Case] = []
    mistakes: list[tuple[str, Mistake]] = []
    seen: set[Path] = set()
    for path in paths:
        files = sorted(path.rglob("*.yaml")) if path.is_dir() else [path]
        if not files:
            mistakes.append((path.as_posix(), Mistake(1, 1, "the folder holds no *.yaml file")))
        for file in files:
            if _real(file) in seen:
                continue
            seen.add(_real(file))
            try:
                cases += load(file, _root(file, path))
            except CaseFileError as error:
                mistakes += error.mistakes
    if mistakes:
        raise CaseFileError(mistakes)
    return cases


def _root(file: Path, given: Path) -> Path | None:
    for folder, root in ((shipped_cases(), shipped_cases().parent), (Path.cwd(), Path.cwd())):
        if _real(file).is_relative_to(_real(folder)):
            return root
    return _real(given).parent if given.is_dir() else None


def _real(path: Path) -> Path:
    """Where a path leads; ``Path.resolve`` raises where it leads to itself."""
    return Path(os.path.realpath(path))


def _printable(line: str) -> str:
    """Text from a file as one line, not too long, that moves no terminal's cursor."""
    line = line if len(line) <= 400 else f"{line[:400]}…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def _note_missing(rows: Rows) -> list[Row]:
    """Notes required options that rows lack, once where all of them do, and returns those rows."""
    found: list[Row] = []
    for name in (name for name, option in Case.model_fields.items() if option.is_required()):
        lacking = [row for row in rows.rows if name not in rows.defaults and name not in row.options]
        found += lacking
        if lacking and len(lacking) == len(rows.rows) and len({row.at for row in lacking}) > 1:
            rows.note(lacking[0].at, f"{name} is missing in every case: put it into defaults")
            continue
        for row in lacking:
            rows.note(row.at, f"{name} is missing")
    return found


def _cases(rows: Rows, file: str) -> list[Case]:
    """Puts the defaults below each row's options and notes what does not fit together."""
    cases: list[Case] = []
    names: dict[str, Position] = {}
    keys: dict[str, Case] = {}
    unfit: dict[tuple[Position, str], list[str]] = {}
    for row in rows.rows:
        if row.name in names:
            rows.note(row.at, f"a second case named '{row.name}', first in line {names[row.name][0]}")
        names.setdefault(row.name, row.at)
        below = {name: value for name, value in rows.defaults.items() if _SAME.get(name) not in row.options}
        options = {**below, **row.options, **_described(row.options, rows.shared)}
        try:
            case = Case(**options, name=row.name, file=file, line=row.at[0])
        except ValidationError as error:
            for text in map(_message, error.errors()):
                unfit.setdefault((row.at, text), []).append(row.name if row.combined else "")
            continue
        if case.key in keys and keys[case.key].name != case.name:
            first = keys[case.key]
            rows.note(row.at, f"'{case.name}' is the same case as '{first.name}' in line {first.line}")
        keys.setdefault(case.key, case)
        cases.append(case)
    for (at, text), found in unfit.items():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        rows.note(at, f"{text} (in {found[0]}{more})" if found[0] else text)
    return cases


def _described(own: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """The file's tags and links, then the case's; the case's notes, else the file's."""
    both: dict[str, Any] = {
        name: list(dict.fromkeys([*shared.get(name, ()), *own.get(name, ())])) for name in ("tags", "links")
    }
    return both | {"notes": own.get("notes", shared.get("notes", ""))}


def _message(error: Any) -> str:
    """One of pydantic's errors in our words; values have been checked by themselves before."""
    return str(error.get("ctx", {}).get("error", error["msg"]))
