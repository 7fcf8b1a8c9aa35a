"""The results file: JSON lines, a header, a row for each case × implementation, a footer.

Lines are written as they come, unbuffered, so a run that was cut short can be resumed from its file. A file without
its footer says ``complete: false`` wherever it is read. JSON has no infinities: they are the strings "inf", "nan".

=================  ====================================================================================
``header``         format, suite version, when it began, machine, threads, selection, planned rows of each
                   implementation, the defects that rows count, the controls; of a shard, which one it is
``implementation`` its own description, written before its first row: only then is the framework imported
``row``            a ``Result``
``footer``         counts by status, CPU seconds by phase, when it ended
=================  ====================================================================================
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conformance.errors import UserError
from conformance.results.header import FORMAT, Header, moment
from conformance.results.record import Result


@dataclass(frozen=True)
class Report:
    """A results file as read.

    Attributes:
        path: where it was read.
        header: its first line.
        implementations: what each implementation said about itself.
        results: the rows, by implementation as planned, and those of each in the order in which they came.
        footer: its last line; None when the run was cut short.
    """

    path: Path
    header: Mapping[str, Any]
    implementations: Mapping[str, Mapping[str, str]]
    results: tuple[Result, ...]
    footer: Mapping[str, Any] | None

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return self.footer is not None

    @property
    def undetected_controls(self) -> list[str]:
        """The controls that were not found out: where there is one, no result means anything."""
        return [name for name, status in self.header.get("controls", {}).items() if status != "fail"]

    @property
    def planned(self) -> dict[str, int]:
        """How many rows each implementation should have."""
        return dict(self.header["planned"])

    @property
    def specs(self) -> dict[str, str]:
        """How implementations are named on the command line, where that is not their name."""
        return dict(self.header.get("specs", {}))

    @property
    def absent(self) -> dict[str, str]:
        """The implementations that are not installed and that nobody asked for, with what they need."""
        return dict(self.header.get("absent", {}))

    @property
    def began(self) -> datetime | None:
        """When the run began; None where its file does not say."""
        return moment(self.header.get("began"))

    @property
    def ended(self) -> datetime | None:
        """When the run ended; None when it was cut short, or its file does not say."""
        return moment((self.footer or {}).get("ended"))


def read(path: Path) -> Report:
    """Reads a results file; its last line may be half-written.

    Raises:
        UserError: it cannot be read, is no results file, or is of a newer format.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    header: Mapping[str, Any] = {}
    footer = None
    implementations: dict[str, Mapping[str, str]] = {}
    results: list[Result] = []
    seen: set[tuple[str, str, str]] = set()
    for number, line in enumerate(lines[:-1], 1):  # What follows the last newline is empty or half a line.
        try:
            content = json.loads(line)
            if number == 1:
                header = _checked_header(path, content)
            elif footer:
                raise ValueError("it stands behind the end of a run; conformance merge puts runs together")
            match content["kind"]:
                case "row":
                    result = Result.from_row(content)
                    place = (result.case, result.key, result.implementation)
                    if place in seen:
                        raise ValueError(f"{result.id} is there twice")
                    seen.add(place)
                    results.append(result)
                case "implementation":
                    implementations[content["name"]] = dict(content["description"])
                case "footer":
                    footer = content
                case "header" if number > 1:
                    raise ValueError("another run begins; conformance merge puts runs together")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = "this is not a results file" if number == 1 else "this is not a row of results"
            raise UserError(f"{path}:{number}: {what}: {_wrong(error)}") from error
    if not header:
        raise UserError(f"{path}:1: this is not a results file")
    # Several may have run at once; ``sort`` keeps the rows of each in order.
    places = {name: place for place, name in enumerate(header["planned"])}
    results.sort(key=lambda result: places.get(result.implementation, len(places)))
    return Report(path, header, implementations, tuple(results), footer)


def _checked_header(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    if content["format"] != FORMAT:
        raise UserError(
            f"{path}: results format {content['format']}, written by version {content.get('suite')} of the suite. "
            f"This version reads format {FORMAT}: run the cases again."
        )
    Header.model_validate(content)
    return content


def _wrong(error: Exception) -> str:
    """What is wrong in a line, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "too deep" if isinstance(error, RecursionError) else str(error)
