"""Badges: one JSON file per implementation, for the endpoint badge of shields.io."""

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.summary import Cell, by_implementation


def write(folder: Path, report: Report) -> None:
    """Writes ``NAME.json`` for each implementation.

    Raises:
        UserError: a file cannot be written.
    """
    for name, badge in render(report).items():
        atomic.write(folder / name, json.dumps(badge, ensure_ascii=False) + "\n")


def render(report: Report) -> dict[str, dict[str, Any]]:
    """Returns the badges by file name."""
    files: dict[str, dict[str, Any]] = {}
    for name, results in by_implementation(report.results, report.planned).items():
        missing = report.planned.get(name, 0) - len(results)
        message, color = _message(results, missing, invalid=bool(report.undetected_controls))
        badge = {"schemaVersion": 1, "label": name, "message": message, "color": color}
        files[_file_name(name, files)] = badge
    return files


def _message(results: Sequence[Result], missing: int, invalid: bool) -> tuple[str, str]:
    """Returns the text and the colour of a badge.

    Unsupported, known and missing results are always shown. An invalid or incomplete run gets a grey badge.

    Args:
        results: results of the implementation.
        missing: number of planned results that are missing.
        invalid: whether the run is invalid.
    """
    cell = Cell.of(results)
    if invalid:
        return "invalid run", "lightgrey"
    if missing > 0:
        return f"incomplete run, {missing} missing", "lightgrey"
    if not cell.supported:
        return "not run" if cell.not_run else "no case supported" if cell.unsupported else "no data", "lightgrey"
    parts = [f"{cell.passed} of {cell.supported}"]
    parts += [f"(+{cell.unsupported} unsupported)"] if cell.unsupported else []
    parts += [f"{cell.known} known"] if cell.known else []
    parts += [f"{cell.not_run} not run"] if cell.not_run else []
    # People with any colour vision deficiency can distinguish blue and orange.
    return ", ".join(parts).replace(", (", " ("), "orange" if cell.deviates else "yellow" if cell.known else "blue"


def _file_name(name: str, taken: Collection[str]) -> str:
    """Returns a file name that is not taken and needs no escaping in a URL."""
    plain = re.sub(r"[^\w.+@-]+", "-", name, flags=re.ASCII).strip("-.") or "implementation"
    number, file = 1, f"{plain}.json"
    while file in taken:
        number += 1
        file = f"{plain}-{number}.json"
    return file
