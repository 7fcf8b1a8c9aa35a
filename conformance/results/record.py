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
import math
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from conformance import __version__, threads
from conformance.errors import UserError

FORMAT = 1
"""Raised when a reader of the old format would misread the new one."""

Status = Literal["pass", "fail", "unsupported", "error", "crash", "timeout", "known", "fixed", "not-run"]
STATUSES: tuple[Status, ...] = get_args(Status)
DEVIATIONS: frozenset[Status] = frozenset({"fail", "error", "crash", "timeout", "fixed"})
"""The statuses with which a run does not conform."""
NOT_RUN: frozenset[Status] = frozenset({"unsupported", "not-run"})
"""The statuses that say nothing about the implementation, and are never counted as passed."""


@dataclass(frozen=True)
class Result:
    """What came of one case on one implementation.

    Attributes:
        case: the case's id, ``file::name``.
        key: hash of the canonical case; what rows of two files are matched by.
        implementation: its name.
        status: exactly one of ``STATUSES``.
        reason: why, in a line; empty when it passed.
        headroom: the largest of all tensors; None when nothing was compared.
        tensors: the headroom of each tensor.
        details: for each tensor that does not conform, what the judge says about it; of the worst ones with their
            ``evidence``, see ``conformance.verdict.evidence``.
        diagnosis: of a failure: what explains it, in words.
        causes: the defects that do, best first: id to words; empty where none does.
        notes: what is worth knowing although it changes no status, such as warnings of the framework.
        traceback: where it raised; of a process that ended, the last lines of its standard error.
        seconds: CPU seconds by phase: import, solve, reference, budget, cache, judging, diagnosis.
        features: of the case, see ``conformance.cases.features``.
        tags: of the case.
        dtype: of the case.
        profile: how the implementation rounds, as far as the budget is concerned; empty when nothing was compared.
        line: of the case in its file.
        options: of the case, those that are not at their default; with its notes and links.
        unchecked: features that the case has and the implementation lacks, with the reason, where it was run without.
        sees: how many defects its checks would have caught, of those that can be; None when it did not pass.
        seen: which ones: hexadecimal bits over the header's ``defects``, the first one lowest.
    """

    case: str
    key: str
    implementation: str
    status: Status
    reason: str = ""
    headroom: Annotated[float, Field(ge=0)] | None = None
    tensors: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    diagnosis: str = ""
    causes: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    traceback: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    dtype: str = ""
    profile: str = ""
    line: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    unchecked: Mapping[str, str] = field(default_factory=dict)
    sees: int | None = None
    seen: Annotated[str, Field(pattern="^[0-9a-f]*$")] = ""

    @property
    def deviates(self) -> bool:
        """Whether a run with this result does not conform."""
        return self.status in DEVIATIONS

    @property
    def id(self) -> str:
        """How the result is named everywhere: ``file::name[implementation]``."""
        return f"{self.case}[{self.implementation}]"

    def to_row(self) -> dict[str, Any]:
        """The result as JSON values, without empty fields."""
        return {name: plain(value) for name, value in asdict(self).items() if value or value == 0.0}

    @staticmethod
    def from_row(row: Mapping[str, Any]) -> "Result":
        """The result that a row holds; fields of a later suite version are left out.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        return _ROW.validate_python(row)


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
    def void(self) -> list[str]:
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


def make_header(
    planned: Mapping[str, int],
    packages: Mapping[str, Mapping[str, str]],
    selection: str = "",
    cases: str = "",
    defects: Sequence[str] = (),
    controls: Mapping[str, str] | None = None,
    specs: Mapping[str, str] | None = None,
    shard: Mapping[str, Any] | None = None,
    absent: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The header of a run.

    Args:
        planned: how many rows each implementation is to have.
        packages: for each implementation, the installed versions of what it requires.
        selection: how the cases were chosen, in words.
        cases: a hash of all of them, without which the run cannot be resumed.
        defects: ids of those that rows say they see.
        controls: the status of each control.
        specs: how implementations are named on the command line, where that is not their name.
        shard: of which run it is a part, and which part, see ``conformance.cases.shard``.
        absent: the implementations that are not installed and that nobody asked for, with what they need.
    """
    header = {
        "format": FORMAT,
        "suite": __version__,
        "began": now(),
        "machine": {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count() or 0,
            "python": platform.python_version(),
            "numpy": metadata.version("numpy"),
        },
        "threads": threads.settings(),
        "selection": selection,
        "cases": cases,
        "planned": dict(planned),
        "packages": {name: dict(found) for name, found in packages.items()},
        "defects": list(defects),
        "controls": dict(controls or {}),
        "specs": dict(specs or {}),
        "absent": dict(absent or {}),
    }
    return header | ({"shard": dict(shard)} if shard else {})


def now() -> str:
    """The time as results files hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def moment(text: object) -> datetime | None:
    """A time as results files hold it; None where there is none."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def counts(results: Iterable[Result]) -> dict[str, int]:
    """How many results have each status that occurs."""
    found = Counter(result.status for result in results)
    return {status: found[status] for status in STATUSES if found[status]}


def phases(results: Iterable[Result]) -> dict[str, float]:
    """CPU seconds by phase, over all results."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.seconds)
    return dict(total)


def plain(value: Any) -> Any:
    """A value as JSON holds it: what is not finite as a string, NumPy's numbers as Python's, seconds short."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


class _Header(BaseModel):
    """What a header must be to be read, whatever version wrote it."""

    kind: Literal["header"]
    format: int
    suite: str | None = None
    planned: dict[str, int]
    machine: dict[str, Any] = {}
    threads: dict[str, Any] = {}
    packages: dict[str, dict[str, str]] = {}
    defects: list[str] = []
    controls: dict[str, str] = {}
    specs: dict[str, str] = {}
    absent: dict[str, str] = {}


_ROW = TypeAdapter(Result)


def _checked_header(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    if content["format"] > FORMAT:
        raise UserError(
            f"{path}: written by version {content['suite']} of the suite, in a format newer than this one's"
        )
    _Header.model_validate(content)
    return content


def _wrong(error: Exception) -> str:
    """What is wrong in a line, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "too deep" if isinstance(error, RecursionError) else str(error)
