"""A badge for each implementation, as JSON that shields.io's endpoint badge reads."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.summary import Cell, by_implementation


def write(folder: Path, report: Report) -> None:
    """Writes ``NAME.json`` for each implementation, each whole or not at all.

    Raises:
        UserError: one cannot be written.
    """
    for name, badge in render(report).items():
        atomic.write(folder / name, json.dumps(badge, ensure_ascii=False) + "\n")


def render(report: Report) -> dict[str, dict[str, Any]]:
    """File names to badges."""
    files: dict[str, dict[str, Any]] = {}
    for name, results in by_implementation(report.results, report.planned).items():
        missing = report.planned.get(name, 0) - len(results)
        message, color = _said(results, missing, invalid=bool(report.undetected_controls))
        badge = {"schemaVersion": 1, "label": name, "message": message, "color": color}
        files[_file(name, files)] = badge
    return files


def _said(results: Sequence[Result], missing: int, invalid: bool) -> tuple[str, str]:
    """What a badge says, and its colour. Never a bare share, and nothing good of a run that cannot be relied on."""
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
    # Blue and orange, which the colour-blind tell apart too.
    return ", ".join(parts).replace(", (", " ("), "orange" if cell.deviates else "yellow" if cell.known else "blue"


def _file(name: str, taken: dict[str, dict[str, Any]]) -> str:
    """A file name that is also a plain part of a URL."""
    plain = re.sub(r"[^\w.+@-]+", "-", name, flags=re.ASCII).strip("-.") or "implementation"
    number, file = 1, f"{plain}.json"
    while file in taken:
        number += 1
        file = f"{plain}-{number}.json"
    return file
