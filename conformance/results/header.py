"""The header of a results file: what ran, with which versions, on which machine."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Literal

from pydantic import BaseModel

from conformance import __version__, threads

FORMAT = 2
"""Version of the results format. It changes when a reader of one version would misread the other."""


class Header(BaseModel):
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
