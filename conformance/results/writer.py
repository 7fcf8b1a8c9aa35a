"""Writes a results file line by line, so that an interrupted run can resume from it."""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conformance import system
from conformance.errors import MISSING, UserError
from conformance.results.explanation import Explanation
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.reader import Report, read
from conformance.results.record import Result, plain

_SAME_RUN = ("suite", "machine", "threads", "packages", "selection", "cases", "planned")
"""Fields of the header that must be equal to resume a run."""


class ResultsFile:
    """A results file that is being written. The file is incomplete until ``finish`` writes the footer.

    Args:
        path: path of the file.
        header: header of the run.
        resume: whether to keep the rows of an existing file and append to it.

    Raises:
        UserError: the file cannot be written, or the run to resume is a different one.

    Attributes:
        path: path of the file.
        done: rows that the file contained when it was opened to resume a run.
    """

    def __init__(self, path: Path, header: Header, resume: bool = False) -> None:
        self.path = path
        self.done: tuple[Result, ...] = ()
        self._described: set[str] = set()
        self._identities: set[tuple[str, str, str]] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: io.FileIO = path.open("ab", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _lock(self._file, path)
            if resume and path.stat().st_size:
                self._resume(header)
            else:
                if path.stat().st_size:
                    self._file.truncate(0)
                self._write("header", header.as_json())
        except OSError as error:
            self._file.close()
            raise _unwritable(path, error) from error
        except UserError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def describe(self, implementation: str, description: Mapping[str, str]) -> None:
        """Writes an implementation's description of itself, unless the file already contains it."""
        if implementation not in self._described:
            self._described.add(implementation)
            texts = {name: str(value) for name, value in description.items()}
            self._write("implementation", plain({"name": implementation, "description": texts}))

    def add(self, result: Result) -> bool:
        """Writes a row, unless the file already has a row of the same case and implementation.

        Returns:
            Whether the row was written.

        Raises:
            InvalidRowError: the reader would reject the row.
        """
        row = result.to_row()
        if result.identity in self._identities:
            return False
        self._identities.add(result.identity)
        self._write("row", row)
        return True

    def explain(self, explanation: Explanation) -> None:
        """Writes an explanation of failures."""
        self._write("explanation", plain(explanation.to_row()))

    def finish(self, results: Iterable[Result], other_seconds: float = 0.0) -> None:
        """Writes the footer, which must be the last line.

        Args:
            results: all rows of the file.
            other_seconds: CPU seconds of the run that belong to no row.
        """
        self.close_with(Footer.of(results, other_seconds))

    def close_with(self, footer: Footer) -> None:
        """Writes a footer, which must be the last line."""
        self._write("footer", footer.model_dump())

    def note(self, kind: str, content: Mapping[str, Any]) -> None:
        """Writes a line of another kind, which readers of rows ignore."""
        self._write(kind, plain(content))

    def _resume(self, header: Header) -> None:
        report = read(self.path)
        _refuse_other_run(report, header)
        self.done = report.results
        self._described = set(report.implementations)
        self._identities = {result.identity for result in report.results}
        _cut_incomplete_line(self.path, drop_footer=report.complete)

    def _write(self, kind: str, content: Mapping[str, Any]) -> None:
        line = json.dumps({"kind": kind, **content}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            while line:  # An unbuffered write may be partial.
                line = line[self._file.write(line) :]
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _lock(file: io.FileIO, path: Path) -> None:
    """Locks a file until it is closed."""
    if not system.lock(file):
        raise UserError(f"{path}: another run is writing this file. Choose another path.", MISSING)


def _refuse_other_run(report: Report, header: Header) -> None:
    """Raises ``UserError`` if a file was written by a different run."""
    for part in _SAME_RUN:
        old, new = getattr(report.header, part), getattr(header, part)
        if plain(old) != plain(new):
            raise UserError(
                f"{report.path}: cannot resume this run: `{part}` was {old}, but is now {new}. "
                "Run without --resume, or write to another path."
            )


def _cut_incomplete_line(path: Path, drop_footer: bool) -> None:
    """Removes an incomplete last line, and optionally the footer, so that rows can be appended."""
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if drop_footer:
        end = data.rfind(b"\n", 0, end - 1) + 1
    with path.open("r+b") as file:
        file.truncate(end)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING)
