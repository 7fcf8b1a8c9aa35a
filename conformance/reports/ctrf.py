"""Results as JSON in the Common Test Report Format: one test per case and implementation.

A known divergence has the status ``other``, because the case ran and did not pass. A case that did not run is
``skipped``. ``rawStatus`` is the suite's own status.

Source: https://ctrf.io
"""

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from conformance import __version__
from conformance.reports.explain import explain
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result, plain

SPECIFICATION = "0.0.0"

STATUSES: Mapping[str, str] = {
    "pass": "passed",
    "fail": "failed",
    "fixed": "failed",
    "error": "failed",
    "crash": "failed",
    "timeout": "failed",
    "unsupported": "skipped",
    "not-run": "skipped",
    "known": "other",
}
"""Statuses of the format, by status of the suite."""


def write(path: Path, report: Report) -> None:
    """Writes the report.

    Raises:
        UserError: the file cannot be written.
    """
    atomic.write(path, json.dumps(render(report), indent=1, allow_nan=False) + "\n")


def render(report: Report) -> dict[str, Any]:
    """Returns the report as JSON values."""
    header = report.header
    environment = {
        "osPlatform": str(header.machine.get("platform", "")),
        "healthy": report.complete and not report.undetected_controls,
        "extra": plain({"machine": header.machine, **_non_empty(header.as_json(), "threads", "packages", "selection")}),
    }
    if header.shard:
        environment["shardId"] = f"{header.shard.index}/{header.shard.of}"
    return {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "generatedBy": f"lstm-conformance {__version__}",
        "results": {
            "tool": {"name": "lstm-conformance", "version": header.suite or ""},
            "summary": _summary(report),
            "tests": [_test(result, header.specs.get(result.implementation, "")) for result in report.results],
            "environment": environment,
        },
    }


def _summary(report: Report) -> dict[str, Any]:
    found = Counter(STATUSES[result.status] for result in report.results)
    return {
        "tests": len(report.results),
        **{status: found[status] for status in ("passed", "failed", "skipped", "pending", "other")},
        "suites": len(report.planned),
        # The format requires both times; 0 if unknown.
        "start": _milliseconds(report.began),
        "stop": _milliseconds(report.ended or report.began),
        "extra": {
            "complete": report.complete,
            "planned": sum(report.planned.values()),
            "invalid": report.undetected_controls,
        },
    }


def _test(result: Result, spec: str) -> dict[str, Any]:
    file, _, name = result.case.rpartition("::")
    row = result.to_row()
    test: dict[str, Any] = {
        "name": f"{name}[{result.implementation}]",
        "status": STATUSES[result.status],
        "rawStatus": result.status,
        "duration": round(1000 * sum(result.seconds.values())),
        "suite": [result.implementation, *([file] if file else [])],
        "extra": _non_empty(
            row, "key", "error_ratio", "tensors", "causes", "features", "unchecked", "detects", "power_sizes"
        ),
    }
    test |= {"message": result.reason} if result.reason else {}
    test |= {"trace": explain(result, spec)} if result.deviates else {}
    test |= {"filePath": file} if file else {}
    test |= {"line": result.line} if result.line else {}
    test |= {"tags": list(result.tags)} if result.tags else {}
    return test


def _non_empty(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Returns the named values, without missing and empty ones."""
    return {name: values[name] for name in names if values.get(name)}


def _milliseconds(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0
