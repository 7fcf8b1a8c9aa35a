"""Results as CSV, for spreadsheets and data frames. A cell with several values contains JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from conformance.reports.columns import LISTS, MAPS, PLAIN, records
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import plain

# A spreadsheet evaluates a cell that begins with one of these characters as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write(path: Path, report: Report) -> None:
    """Writes the table.

    Raises:
        UserError: the file cannot be written.
    """
    atomic.write(path, render(report))


def render(report: Report) -> str:
    """Returns the table as text. The first line contains the names of the columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = (*PLAIN, *LISTS, *MAPS)
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in records(report))
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """Returns the value of a cell. Text that a spreadsheet would evaluate gets a leading quote."""
    if isinstance(value, list | dict):
        return json.dumps(plain(value), ensure_ascii=False) if value else ""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
