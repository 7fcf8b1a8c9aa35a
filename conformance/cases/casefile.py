"""Loads case files. Reports all mistakes in all files at once, with their positions."""

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conformance.cases import ON_DEMAND
from conformance.cases.case import Case
from conformance.cases.matrix import MAX_MISTAKES, Row, Rows, TooManyMistakesError
from conformance.cases.yamlfile import Mistake, Position, read
from conformance.errors import UserError

# ``bidirectional`` and ``direction`` set the same option. In a case, one of them overrides the other in the defaults.
_SYNONYMS = {"direction": "bidirectional", "bidirectional": "direction"}


class CaseFileError(UserError):
    """Mistakes in one or more case files. The message has a line ``file:line:column: mistake`` for each of them.

    Attributes:
        mistakes: pairs of file and mistake.
    """

    def __init__(self, mistakes: Iterable[tuple[str, Mistake]]) -> None:
        self.mistakes = tuple(mistakes)
        lines = (f"{file}:{at.line}:{at.column}: {at.text}" for file, at in self.mistakes)
        super().__init__("\n".join(map(_make_printable, lines)))


def shipped_cases() -> Path:
    """Returns the folder of the cases that are part of the suite."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_data" / "cases"
    return installed if installed.is_dir() else package.parent / "cases"


def load_selected(files: Sequence[Path], tags: Collection[str]) -> list[Case]:
    """Loads the cases of the files on a command line; without any, the shipped cases.

    Expensive shipped cases are included only if tags select the cases.

    Raises:
        CaseFileError: files contain mistakes.
    """
    folder = shipped_cases()
    return load_all(files or ([folder, folder / ON_DEMAND] if tags else [folder]))


def load(path: Path, root: Path | None = None) -> list[Case]:
    """Loads the cases of one file, in the order of the file.

    Args:
        path: path of the file.
        root: folder to which ``Case.file`` is relative; None for the file's name as ``Case.file``.

    Raises:
        CaseFileError: the file contains mistakes. The error lists the first ``MAX_MISTAKES`` of them.
    """
    file, shown = path.name, path.as_posix()
    if root is not None and _resolve(path).is_relative_to(_resolve(root)):
        file = shown = _resolve(path).relative_to(_resolve(root)).as_posix()
    node, mistakes = read(path)
    rows = Rows(mistakes=mistakes)
    cases: list[Case] = []
    try:
        if node:
            rows.read(node)
        rows.rows = [row for row in rows.rows if row.valid and rows.shared_valid]
        incomplete = _note_missing(rows)
        rows.rows = [row for row in rows.rows if row not in incomplete]
        cases = _build_cases(rows, file)
    except TooManyMistakesError:
        pass
    if rows.mistakes:
        raise CaseFileError((shown, mistake) for mistake in sorted(set(rows.mistakes))[:MAX_MISTAKES])
    return cases


def load_all(paths: Iterable[Path]) -> list[Case]:
    """Loads the cases of files, and of all ``*.yaml`` files in folders, except those in subfolders named ``ON_DEMAND``.

    ``Case.file`` is relative to the working directory. For shipped cases and for folders outside the working directory,
    it starts with the name of the folder.

    Raises:
        CaseFileError: files contain mistakes. The error lists the mistakes of all files.
    """
    cases: list[Case] = []
    mistakes: list[tuple[str, Mistake]] = []
    loaded: set[Path] = set()
    for path in paths:
        files = _files(path)
        if not files:
            mistakes.append((path.as_posix(), Mistake(1, 1, "the folder contains no *.yaml file")))
        for file in files:
            if _resolve(file) in loaded:
                continue
            loaded.add(_resolve(file))
            try:
                cases += load(file, _find_root(file, path))
            except CaseFileError as error:
                mistakes += error.mistakes
    if mistakes:
        raise CaseFileError(mistakes)
    return cases


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*.yaml") if ON_DEMAND not in file.relative_to(path).parent.parts)


def _find_root(file: Path, given: Path) -> Path | None:
    """Returns the folder to which ``Case.file`` is relative."""
    for folder, root in ((shipped_cases(), shipped_cases().parent), (Path.cwd(), Path.cwd())):
        if _resolve(file).is_relative_to(_resolve(folder)):
            return root
    return _resolve(given).parent if given.is_dir() else None


def _resolve(path: Path) -> Path:
    """Resolves a path. Unlike ``Path.resolve``, does not raise for a symbolic link to itself."""
    return Path(os.path.realpath(path))


def _make_printable(line: str) -> str:
    """Shortens a line and escapes characters that are not printable, such as control codes of terminals."""
    line = line if len(line) <= 400 else f"{line[:400]}…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)


def _note_missing(rows: Rows) -> list[Row]:
    """Records missing required options, but only once if every row lacks the same one. Returns the incomplete rows."""
    incomplete: list[Row] = []
    for name in (name for name, option in Case.model_fields.items() if option.is_required()):
        lacking = [row for row in rows.rows if name not in rows.defaults and name not in row.options]
        incomplete += lacking
        if lacking and len(lacking) == len(rows.rows) and len({row.at for row in lacking}) > 1:
            rows.note(lacking[0].at, f"{name} is missing in every case: add it to defaults")
            continue
        for row in lacking:
            rows.note(row.at, f"{name} is missing")
    return incomplete


def _build_cases(rows: Rows, file: str) -> list[Case]:
    """Builds the cases from rows and defaults. Records options that contradict each other, and duplicate cases."""
    cases: list[Case] = []
    names: dict[str, Position] = {}
    keys: dict[str, Case] = {}
    inconsistent: dict[tuple[Position, str], list[str]] = {}
    for row in rows.rows:
        if row.name in names:
            rows.note(row.at, f"duplicate name '{row.name}', first in line {names[row.name][0]}")
        names.setdefault(row.name, row.at)
        below = {name: value for name, value in rows.defaults.items() if _SYNONYMS.get(name) not in row.options}
        options = {**below, **row.options, **_merge_descriptions(row.options, rows.shared)}
        try:
            case = Case(**options, name=row.name, file=file, line=row.at[0])
        except ValidationError as error:
            for text in map(_message_of, error.errors()):
                inconsistent.setdefault((row.at, text), []).append(row.name if row.combined else "")
            continue
        if case.key in keys and keys[case.key].name != case.name:
            first = keys[case.key]
            rows.note(row.at, f"'{case.name}' is the same case as '{first.name}' in line {first.line}")
        keys.setdefault(case.key, case)
        cases.append(case)
    for (at, text), found in inconsistent.items():
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        rows.note(at, f"{text} (in {found[0]}{more})" if found[0] else text)
    return cases


def _merge_descriptions(own: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Combines tags and links of the file and the case. The case's notes replace the file's."""
    both: dict[str, Any] = {
        name: list(dict.fromkeys([*shared.get(name, ()), *own.get(name, ())])) for name in ("tags", "links")
    }
    return both | {"notes": own.get("notes", shared.get("notes", ""))}


def _message_of(error: Any) -> str:
    """Returns the message of a pydantic error without pydantic's prefix ``Value error``."""
    return str(error.get("ctx", {}).get("error", error["msg"]))
