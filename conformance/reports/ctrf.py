"""Results as JSON in the Common Test Report Format: a test for each case × implementation.

What is known to deviate is ``other``, since it ran and did not pass; what was not checked is ``skipped``. Each test's
own status is its ``rawStatus``.
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
"""Statuses and what the format calls them."""


def write(path: Path, report: Report) -> None:
    """Writes the report, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    atomic.write(path, json.dumps(render(report), indent=1, allow_nan=False) + "\n")


def render(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    machine = report.header.get("machine", {})
    environment = {
        "osPlatform": str(machine.get("platform", "")),
        "healthy": report.complete and not report.undetected_controls,
        "extra": plain({"machine": machine, **_of(report.header, "threads", "packages", "selection")}),
    }
    if shard := report.header.get("shard"):
        environment["shardId"] = f"{shard['index']}/{shard['of']}"
    return {
        "reportFormat": "CTRF",
        "specVersion": SPECIFICATION,
        "generatedBy": f"lstm-conformance {__version__}",
        "results": {
            "tool": {"name": "lstm-conformance", "version": str(report.header.get("suite", ""))},
            "summary": _summary(report),
            "tests": [_test(result, report.specs.get(result.implementation, "")) for result in report.results],
            "environment": environment,
        },
    }


def _summary(report: Report) -> dict[str, Any]:
    found = Counter(STATUSES[result.status] for result in report.results)
    return {
        "tests": len(report.results),
        **{status: found[status] for status in ("passed", "failed", "skipped", "pending", "other")},
        "suites": len(report.planned),
        # The format asks for both; 0 where the file does not say.
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
        "extra": _of(row, "key", "error_ratio", "tensors", "causes", "features", "unchecked", "detects"),
    }
    test |= {"message": result.reason} if result.reason else {}
    test |= {"trace": explain(result, spec)} if result.deviates else {}
    test |= {"filePath": file} if file else {}
    test |= {"line": result.line} if result.line else {}
    test |= {"tags": list(result.tags)} if result.tags else {}
    return test


def _of(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names if values.get(name)}


def _milliseconds(moment: datetime | None) -> int:
    return int(moment.timestamp() * 1000) if moment else 0
