"""The header of a results file: what ran, with which versions, on which machine."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from conformance import __version__, threads

FORMAT = 2
"""Version of the results format. It changes if a reader of one version would misread a file of another version."""


class ShardInfo(BaseModel):
    """The shard that a results file holds.

    Attributes:
        index: number of the shard, from 1.
        of: number of shards.
        cases: hash of all rows of the whole run; empty if unknown.
        planned: number of planned rows in the whole run, by implementation; empty if unknown.
    """

    model_config = ConfigDict(frozen=True)

    index: int
    of: int
    cases: str = ""
    planned: Mapping[str, int] = {}


class MergedFile(BaseModel):
    """One of the files from which a results file was merged.

    Attributes:
        file: name of the file.
        suite: version of the suite that wrote it.
        machine: machine on which it was written.
        threads: thread settings.
        shard: the shard that the file holds; None for a whole run.
        selection: selected cases, as typed.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    suite: str | None = None
    machine: Mapping[str, Any] = {}
    threads: Mapping[str, Any] = {}
    shard: ShardInfo | None = None
    selection: str = ""


class Header(BaseModel):
    """The header of a results file. A file of another version of the suite may lack any field but ``planned``.

    Attributes:
        planned: number of planned rows, by implementation.
        format: version of the results format.
        suite: version of the suite that wrote the file.
        began: start time, in ISO 8601.
        machine: platform, processor, number of CPUs, and the versions of Python and NumPy.
        threads: environment variables that set numbers of threads; empty strings for unset variables.
        selection: selected cases, as typed; empty for all.
        cases: hash of all planned rows; empty if the run cannot be resumed.
        packages: installed versions of the packages that each implementation requires.
        defects: ids of the defects that the bits of ``Result.detected`` stand for.
        controls: status of each negative control. Any status but ``fail`` makes the run invalid.
        specs: names on the command line, by implementation, if they differ from the implementation's name.
        absent: implementations that are not installed and were not requested, with their requirements.
        lacking: for workers of a cluster, why they got no cases of some implementations that others ran.
        shard: the shard that the file holds; None for a whole run.
        merged: the files from which this one was merged; None for the file of one run.
    """

    model_config = ConfigDict(frozen=True)

    planned: Mapping[str, int]
    format: int = FORMAT
    suite: str | None = None
    began: str | None = None
    machine: Mapping[str, Any] = {}
    threads: Mapping[str, Any] = {}
    selection: str = ""
    cases: str = ""
    packages: Mapping[str, Mapping[str, str]] = {}
    defects: tuple[str, ...] = ()
    controls: Mapping[str, str] = {}
    specs: Mapping[str, str] = {}
    absent: Mapping[str, str] = {}
    lacking: Mapping[str, Mapping[str, str]] = {}
    shard: ShardInfo | None = None
    merged: tuple[MergedFile, ...] | None = None

    def stamped(self) -> Self:
        """Returns a copy with the suite's version, the current time, this machine and its thread settings."""
        machine = {
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cpus": os.cpu_count() or 0,
            "python": platform.python_version(),
            "numpy": metadata.version("numpy"),
        }
        return self.model_copy(
            update={"suite": __version__, "began": now(), "machine": machine, "threads": threads.settings()}
        )

    def as_json(self) -> dict[str, Any]:
        """Returns the header as JSON values, without fields that are None."""
        return self.model_dump(exclude_none=True)


def now() -> str:
    """Returns the current time in the format of results files: ISO 8601, UTC, in seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse_time(text: object) -> datetime | None:
    """Parses a time of a results file. Returns None if it is missing or not in ISO 8601."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
