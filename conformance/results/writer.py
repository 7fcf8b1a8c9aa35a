"""Writes a results file line by line, so that an interrupted run can resume from it."""

import io
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conformance.errors import MISSING, UserError
from conformance.results.header import now
from conformance.results.reader import Report, read
from conformance.results.record import Result, counts, phases, plain

if sys.platform != "win32":
    import fcntl


class ResultsFile:
    """Writes a results file, a line at a time. Without ``finish`` it has no footer.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any], resume: bool = False) -> None:
        self.path = path
        self.done: tuple[Result, ...] = ()
        self._described: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: io.FileIO = path.open("ab", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _lock(self._file, path)
            if resume and path.stat().st_size:
                report = read(path)
                _refuse_other_run(report, header)
                self.done = report.results
                self._described = set(report.implementations)
                _cut_half_line(path, drop_footer=report.complete)
            else:
                if path.stat().st_size:
                    self._file.truncate(0)
                self._write("header", header)
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
        """Writes what an implementation says about itself, once."""
        if implementation not in self._described:
            self._described.add(implementation)
            self._write("implementation", {"name": implementation, "description": dict(description)})

    def add(self, result: Result) -> None:
        """Writes a row."""
        self._write("row", result.to_row())

    def finish(self, results: Iterable[Result], other_seconds: float = 0.0) -> None:
        """Writes the footer: nothing comes after it.

        Args:
            results: all rows of the file.
            other_seconds: CPU seconds of the run that belong to no row.
        """
        results = tuple(results)
        seconds = phases(results) | {"other": max(0.0, other_seconds)}
        self._write("footer", {"counts": counts(results), "seconds": plain(seconds), "ended": now()})

    def _write(self, kind: str, content: Mapping[str, Any]) -> None:
        line = json.dumps({"kind": kind, **content}, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        try:
            while line:  # Without a buffer, so that nothing is left to be written later; a write may be partial.
                line = line[self._file.write(line) :]
        except OSError as error:
            raise _unwritable(self.path, error) from error


def _lock(file: io.FileIO, path: Path) -> None:
    """Keeps other runs out of a file for as long as it is open, where the system can."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"{path}: another run is writing there: choose another --output", MISSING) from error
    except OSError:
        return  # Not every file system has locks.


def _refuse_other_run(report: Report, header: Mapping[str, Any]) -> None:
    """Rows of two different runs must not end up in one file."""
    for part in ("suite", "machine", "threads", "packages", "selection", "cases", "planned"):
        if plain(report.header.get(part)) != plain(header[part]):
            raise UserError(
                f"{report.path}: cannot be resumed, its {part} differ: it has {report.header.get(part)}, "
                f"this run {header[part]}. Run without --resume, or with another --output"
            )


def _cut_half_line(path: Path, drop_footer: bool) -> None:
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if drop_footer:  # More may follow: the footer is written anew at the end.
        end = data.rfind(b"\n", 0, end - 1) + 1
    with path.open("r+b") as file:
        file.truncate(end)


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING)
