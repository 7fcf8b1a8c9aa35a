"""Results as a table: a row for each case × implementation, what holds for the whole run repeated in each."""

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
    "line",
    "suite",
    "began",
    "complete",
)
"""Columns of one value each; a case's options are JSON."""
LISTS = ("causes", "features", "tags", "unchecked", "notes")
MAPS = ("tensors", "seconds")
"""Columns of names with a number each."""


def records(report: Report) -> list[dict[str, Any]]:
    """The table's rows, with None where there is no data."""
    began = report.began
    run = {
        "suite": str(report.header.get("suite", "")),
        "began": began.isoformat() if began else None,
        "complete": report.complete,
    }
    packages = report.header.get("packages", {})
    versions = {
        name: " ".join(f"{package}=={found}" for package, found in packages.get(name, {}).items()) for name in packages
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
        "line": result.line or None,
        "causes": list(result.causes),
        "features": list(result.features),
        "tags": list(result.tags),
        "unchecked": list(result.unchecked),
        "notes": list(result.notes),
        "tensors": dict(tensors),
        "seconds": dict(result.seconds),
    }
