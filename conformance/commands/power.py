"""``conformance power``: measures which defects a set of cases detects.

Imports no framework, except for the implementations of ``--against``.
"""

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from conformance import system
from conformance.adapters import Adapter
from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.cases.casefile import load_selected
from conformance.cases.select import Selection
from conformance.cases.size import SizeLimits
from conformance.defects.power import bitmasks
from conformance.defects.power.kill_matrix import Row, View, compute_judgeable, compute_matrix
from conformance.defects.power.power import Power, detected_by
from conformance.defects.power.published import suite_power
from conformance.errors import MISSING, UserError
from conformance.reports import power as reports
from conformance.results import atomic
from conformance.results.record import plain
from conformance.run import implementations
from conformance.run.rejection import describe, reason

_T = TypeVar("_T")

_SECONDS_BETWEEN_LINES = 5.0


def execute(args: argparse.Namespace) -> int:
    """Computes the kill matrix and prints the power. Returns the exit code."""
    if args.write:
        return _write_shipped(args)
    if args.matrix and not args.matrix.parent.is_dir():
        raise UserError(f"cannot write {args.matrix}: folder {args.matrix.parent} does not exist", MISSING)
    cases = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(load_selected(args.files, args.tags))
    if not cases:
        raise UserError("no case is selected. `conformance list` shows the cases.")
    limits = SizeLimits.of(args.max_memory, args.max_case_seconds)
    if too_large := [describe(case, reason(refusal)) for case in cases if (refusal := limits.refusal(case))]:
        raise UserError("\n".join(too_large))
    power = Power(_compute_matrix([View.of(case) for case in cases], args))
    if args.matrix:
        _write_matrix(args.matrix, power.rows)
    suites = [*suite_power.measure_published(), suite_power.measure_cases(power.rows)] if args.published else []
    against = [_measure_against(implementations.load(name), cases, power, args) for name in args.against]
    exit_code = int(bool(power.undetected or power.contradicted))
    if args.json:
        content = {
            **reports.as_json(power),
            "published": [reports.suite_as_json(suite) for suite in suites],
            "against": [comparison.as_json() for comparison in against],
            "exit_code": exit_code,
        }
        print(json.dumps(plain(content), indent=2))
        return exit_code
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    if args.published:
        reports.print_suites(console, suites)
        return exit_code
    reports.print_power(console, power)
    for comparison in against:
        reports.print_implementation_power(console, comparison)
    return exit_code


def _measure_against(
    adapter: Adapter, cases: Sequence[Case], power: Power, args: argparse.Namespace
) -> reports.ImplementationPower:  # fmt: skip
    """Measures the power of the cases that an implementation supports."""
    supported, reasons = [], {}
    for case in cases:
        try:
            reason = adapter.supports(case)
        except Exception as error:
            raise UserError(f"{adapter.name} cannot say whether it supports {case.id}: {error!r}", MISSING) from error
        if reason is None:
            supported.append(case)
        else:
            reasons[case.key] = reason
    rows = _compute_matrix([View.of(case, adapter) for case in supported], args)
    undetected = detected_by(power.rows) - detected_by(rows)
    lost: dict[str, set[str]] = {}
    for row in power.rows:
        if row.case.key in reasons:
            lost.setdefault(reasons[row.case.key], set()).update(row.detected & undetected)
    return reports.ImplementationPower(
        adapter.name, len(supported), len(cases), Power(rows), {reason: sorted(ids) for reason, ids in lost.items()}
    )


def _compute_matrix(views: Sequence[View], args: argparse.Namespace) -> list[Row]:
    return _compute(compute_matrix, views, args)


def _compute(compute: Callable[..., _T], views: Sequence[View], args: argparse.Namespace) -> _T:
    """Computes the kill matrix; prints progress to standard error every few seconds."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{done} of {total} cases", file=sys.stderr)

    folder = None if args.no_cache else default_cache()
    return compute(views, folder, args.jobs or system.available_cpus(), progress)


def _write_shipped(args: argparse.Namespace) -> int:
    """Writes the masks of the shipped cases into the package."""
    rows = _compute(compute_judgeable, bitmasks.shipped_views(), args)
    path = bitmasks.write_shipped(rows)
    print(f"wrote {len(rows)} rows to {path}")
    return 0


def _write_matrix(path: Path, rows: Sequence[Row]) -> None:
    """Writes one record per case and defect, as CSV or as JSON lines."""
    records: list[Mapping[str, Any]] = [
        {
            "case": row.case.id,
            "dtype": row.case.dtype,
            "defect": name,
            "error_ratio": error_ratio,
            "detected": name in row.detected,
        }
        for row in rows
        for name, error_ratio in row.error_ratios.items()
    ]
    text = io.StringIO()
    if path.suffix == ".csv":
        writer = csv.DictWriter(text, ["case", "dtype", "defect", "error_ratio", "detected"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    else:
        text.writelines(json.dumps(plain(record)) + "\n" for record in records)
    atomic.write(path, text.getvalue())
