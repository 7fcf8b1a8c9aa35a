"""Results as a table with one row per case and implementation. Each row repeats the facts about the run."""

import json
from typing import Any

from conformance.results.reader import Report
from conformance.results.record import Result, plain

PLAIN = (
    "implementation",
    "versions",
    "case",
    "key",
    "status",
    "error_ratio",
    "worst_tensor",
    "dtype",
    "options",
    "reason",
    "diagnosis",
    "detects",
    "power_sizes",
    "line",
    "suite",
    "began",
    "complete",
)
"""Columns with one value per cell. ``options`` and ``power_sizes`` are JSON text."""
LISTS = ("causes", "features", "tags", "unchecked", "notes")
"""Columns with a list of strings per cell."""
MAPS = ("tensors", "seconds")
"""Columns with a map from names to numbers per cell."""


def records(report: Report) -> list[dict[str, Any]]:
    """Returns the rows of the table. A missing value is None."""
    began = report.began
    run = {
        "suite": report.header.suite or "",
        "began": began.isoformat() if began else None,
        "complete": report.complete,
    }
    versions = {
        name: " ".join(f"{package}=={version}" for package, version in packages.items())
        for name, packages in report.header.packages.items()
    }
    return [
        _record(result) | {"versions": versions.get(result.implementation) or None} | run for result in report.results
    ]


def _record(result: Result) -> dict[str, Any]:
    tensors = result.tensors
    return {
        "implementation": result.implementation,
        "case": result.case,
        "key": result.key,
        "status": result.status,
        "error_ratio": result.error_ratio,
        "worst_tensor": max(tensors, key=lambda name: tensors[name]) if tensors else None,
        "dtype": result.dtype or None,
        "options": json.dumps(plain(result.options)) if result.options else None,
        "reason": result.reason or None,
        "diagnosis": result.diagnosis or None,
        "detects": result.detects,
        "power_sizes": json.dumps(plain(result.power_sizes)) if result.power_sizes else None,
        "line": result.line or None,
        "causes": list(result.causes),
        "features": list(result.features),
        "tags": list(result.tags),
        "unchecked": list(result.unchecked),
        "notes": list(result.notes),
        "tensors": dict(tensors),
        "seconds": dict(result.seconds),
    }
