"""Results as CSV, for spreadsheets and data frames; what has several values is JSON within its cell."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from conformance.reports.columns import LISTS, MAPS, PLAIN, records
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import plain

# A spreadsheet takes a cell that begins with one of these for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(path: Path, report: Report) -> None:
    """Writes the table, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    atomic.write(path, render(report))


def render(report: Report) -> str:
    """The table as text, with the names of its columns in the first line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = (*PLAIN, *LISTS, *MAPS)
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in records(report))
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """A cell; text that a spreadsheet would run gets a quote before it."""
    if isinstance(value, list | dict):
        return json.dumps(plain(value), ensure_ascii=False) if value else ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
