"""Reads a results file: JSON lines with a header, one row per case and implementation, and a footer.

Lines are written unbuffered as results arrive, so that an interrupted run can resume from its file. A file without a
footer is incomplete, and every report says so. Infinity and NaN are the strings "inf", "-inf" and "nan", because JSON
has no such numbers.

=================  ====================================================================================
``header``         a ``Header``
``implementation`` the implementation's description of itself, written before its first row
``row``            a ``Result``
``explanation``    an ``Explanation``, written after the rows of its implementation
``footer``         a ``Footer``
``drawn``          a case of a campaign, see ``conformance.campaign.journal``; it may have no row
``counted``        in a merged file, the number of cases of campaigns that have no row, by implementation and status
=================  ====================================================================================
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from conformance.errors import UserError
from conformance.results.explanation import Explanation
from conformance.results.footer import Footer
from conformance.results.header import FORMAT, Header, parse_time
from conformance.results.record import InvalidRowError, Result
from conformance.results.validation import first_mistake


@dataclass(frozen=True)
class Report:
    """The content of a results file.

    Attributes:
        path: path of the file.
        header: first line.
        implementations: each implementation's description of itself.
        results: rows, by implementation in the planned order, then in the order of the file.
        footer: last line; None if the run was interrupted.
        explanations: what experiments found out about failures without a known cause.
        counted: number of cases of campaigns that have no row, by implementation and status.
    """

    path: Path
    header: Header
    implementations: Mapping[str, Mapping[str, str]]
    results: tuple[Result, ...]
    footer: Footer | None
    explanations: tuple[Explanation, ...] = ()
    counted: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the run finished."""
        return self.footer is not None

    @property
    def undetected_controls(self) -> list[str]:
        """Negative controls that the run did not detect. If there are any, the run is invalid."""
        return [name for name, status in self.header.controls.items() if status != "fail"]

    @property
    def planned(self) -> dict[str, int]:
        """Number of planned rows, by implementation; of a campaign, which plans none, the number of its rows."""
        rows = Counter(result.implementation for result in self.results)
        return {name: max(number, rows[name]) for name, number in self.header.planned.items()}

    @property
    def began(self) -> datetime | None:
        """Start time of the run; None if unknown."""
        return parse_time(self.header.began)

    @property
    def ended(self) -> datetime | None:
        """End time of the run; None if it was interrupted or if the time is unknown."""
        return parse_time(self.footer.ended) if self.footer else None


class _Description(BaseModel):
    name: str
    description: Mapping[str, str]


class _Counted(BaseModel):
    implementation: str
    status: str
    cases: int


def read(path: Path) -> Report:
    """Reads a results file. An incomplete last line is ignored.

    Raises:
        UserError: the file cannot be read, is not a results file, or has another format version.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    header = _read_header(path, lines[0] if len(lines) > 1 else b"")
    footer = None
    implementations: dict[str, Mapping[str, str]] = {}
    results: list[Result] = []
    explanations: list[Explanation] = []
    drawn: Counter[tuple[str, str]] = Counter()
    counted: Counter[tuple[str, str]] = Counter()
    identities: set[tuple[str, str, str]] = set()
    for number, line in enumerate(lines[1:-1], 2):  # The part after the last newline is empty or incomplete.
        try:
            content = _parse(line)
            kind = content.get("kind")
            if kind == "header":
                raise ValueError("found a second header. Use `conformance merge` to combine runs.")
            if footer:
                raise ValueError("found a line after the footer. Use `conformance merge` to combine runs.")
            if kind == "row":
                result = Result.from_row(content)
                if result.identity in identities:
                    raise ValueError(f"duplicate row {result.id}. Use `conformance merge` to combine runs.")
                identities.add(result.identity)
                results.append(result)
            elif kind == "implementation":
                described = _Description.model_validate(content)
                implementations[described.name] = described.description
            elif kind == "drawn":
                drawn[str(content.get("implementation")), str(content.get("status"))] += 1
            elif kind == "counted":
                group = _Counted.model_validate(content)
                counted[group.implementation, group.status] += group.cases
            elif kind == "explanation":
                explanations.append(Explanation.from_row(content))
            elif kind == "footer":
                footer = Footer.model_validate(content)
        except InvalidRowError as error:
            raise UserError(f"{path}:{number}: invalid row: {error}") from error
        except ValidationError as error:
            raise UserError(f"{path}:{number}: invalid {kind}: {first_mistake(error)}") from error
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}") from error
    # Implementations may have run concurrently. The sort is stable: rows of an implementation keep their order.
    places = {name: place for place, name in enumerate(header.planned)}
    results.sort(key=lambda result: places.get(result.implementation, len(places)))
    counted += drawn - Counter((result.implementation, result.status) for result in results)
    return Report(path, header, implementations, tuple(results), footer, tuple(explanations), _nested(counted))


def _nested(counted: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (name, status), cases in sorted(counted.items()):
        found.setdefault(name, {})[status] = cases
    return found


def _read_header(path: Path, line: bytes) -> Header:
    try:
        content = _parse(line)
        if content.get("kind") != "header":
            raise ValueError("the first line is not a header")
    except ValueError as error:
        raise UserError(f"{path}:1: not a results file: {error}") from error
    if content.get("format") != FORMAT:
        raise UserError(
            f"{path}: written in results format {content.get('format')} by version {content.get('suite')} of the "
            f"suite, but this version reads format {FORMAT}. Run the cases again."
        )
    try:
        return Header.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}:1: invalid header: {first_mistake(error)}") from error


def _parse(line: bytes) -> dict[str, Any]:
    """Parses a line.

    Raises:
        ValueError: the line is not a JSON object.
    """
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON at column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("invalid JSON: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"invalid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError("invalid line: expected a JSON object")
    return content
