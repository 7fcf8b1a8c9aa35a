"""``conformance power``: what the cases would catch. No framework is imported, save by the adapter asked about."""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.select import Selection
from conformance.defects.power import detected, published
from conformance.defects.power.kill_matrix import Row, View, matrix
from conformance.defects.power.power import Power, detected_by
from conformance.errors import MISSING, UserError
from conformance.reports import power as reports
from conformance.results.record import plain
from conformance.run import implementations
from conformance.verdict.oracle import default_cache

_SECONDS_BETWEEN_LINES = 5.0


def execute(args: argparse.Namespace) -> int:
    """Computes the kill matrix, and says what it means."""
    if args.write:
        return _write(args)
    cases = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(
        load_all(args.files or [shipped_cases()])
    )
    if not cases:
        raise UserError("no case is selected; conformance list shows them")
    power = Power(_matrix([View.of(case) for case in cases], args))
    if args.matrix:
        _write_matrix(args.matrix, power.rows)
    suites = [*published.measure(), published.ours(power.rows)] if args.published else []
    against = [_against(implementations.load(name), cases, power, args) for name in args.against]
    failed = bool(power.undetected or power.contradicted)
    if args.json:
        content = {
            **reports.as_json(power),
            "published": [reports.suite_as_json(suite) for suite in suites],
            "against": [comparison.as_json() for comparison in against],
            "exit_code": int(failed),
        }
        print(json.dumps(plain(content), indent=2))
        return int(failed)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    if args.published:
        reports.show_suites(console, suites)
        return int(failed)
    reports.show(console, power)
    for comparison in against:
        reports.show_against(console, comparison)
    return int(failed)


def _against(adapter: Adapter, cases: Sequence[Case], power: Power, args: argparse.Namespace) -> reports.Against:
    """What the cases that an implementation supports would catch in it."""
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
    rows = _matrix([View.of(case, adapter) for case in supported], args)
    lost: dict[str, set[str]] = {}
    missing = detected_by(power.rows) - detected_by(rows)
    for row in power.rows:
        if row.case.key in reasons:
            lost.setdefault(reasons[row.case.key], set()).update(row.detected & missing)
    return reports.Against(
        adapter.name, len(supported), len(cases), Power(rows), {why: sorted(ids) for why, ids in lost.items()}
    )


def _matrix(views: Sequence[View], args: argparse.Namespace) -> list[Row]:
    """The kill matrix, with a line on standard error now and then while it is computed."""
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{done} of {total} cases", file=sys.stderr)

    return matrix(views, None if args.no_cache else default_cache(), args.jobs or os.cpu_count() or 1, progress)


def _write(args: argparse.Namespace) -> int:
    """Writes the file by which every run knows what the shipped cases see."""
    rows = _matrix(detected.shipped_views(), args)
    path = detected.write(dict(zip((view.key for view in detected.shipped_views()), rows, strict=True)))
    print(f"{len(rows)} rows in {path}")
    return 0


def _write_matrix(path: Path, rows: Sequence[Row]) -> None:
    """A line for each case × defect, whole or not at all."""
    lines: list[Mapping[str, Any]] = [
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
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                writer = csv.DictWriter(
                    file, ["case", "dtype", "defect", "error_ratio", "detected"], lineterminator="\n"
                )
                writer.writeheader()
                writer.writerows(lines)
            else:
                file.writelines(json.dumps(plain(line)) + "\n" for line in lines)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING) from error
