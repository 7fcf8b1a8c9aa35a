"""Results as Parquet, with typed columns, lists and maps. Needs pyarrow."""

import io
import json
from pathlib import Path
from typing import Any

from conformance.errors import MISSING, UserError
from conformance.reports.columns import LISTS, MAPS, PLAIN, records
from conformance.results import atomic
from conformance.results.reader import Report

_TYPES = {"error_ratio": "float64", "detects": "int32", "line": "int32", "complete": "bool_"}


def write(path: Path, report: Report) -> None:
    """Writes the table. The file's metadata contains the header of the run as JSON, with the key ``conformance``.

    Raises:
        UserError: the file cannot be written, or pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            "--parquet needs pyarrow, which is not installed; install with: pip install 'lstm-conformance[parquet]'",
            MISSING,
        ) from error
    rows = [{name: _cell(value) for name, value in row.items()} for row in records(report)]
    table = pa.Table.from_pylist(rows, schema=_schema(pa, report))
    stream = io.BytesIO()
    parquet.write_table(table, stream)
    atomic.write(path, stream.getvalue())


def _schema(pa: Any, report: Report) -> Any:
    columns = [(name, getattr(pa, _TYPES.get(name, "string"))()) for name in PLAIN]
    columns += [(name, pa.list_(pa.string())) for name in LISTS]
    columns += [(name, pa.map_(pa.string(), pa.float64())) for name in MAPS]
    return pa.schema(columns, metadata={"conformance": json.dumps(report.header.as_json())})


def _cell(value: Any) -> Any:
    """Converts a value for pyarrow: a map to pairs, lone surrogates in text to escapes."""
    if isinstance(value, dict):
        return [(_cell(key), item) for key, item in value.items()]
    if isinstance(value, list):
        return [_cell(item) for item in value]
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value
