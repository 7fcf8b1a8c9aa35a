import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest

from conformance.errors import UserError
from conformance.reports import csvfile, parquet
from tests.conformance.reports import hostile
from tests.conformance.reports.test_ctrf import BEGAN
from tests.conformance.reports.test_markdown import ALL, PASSED, make_report, with_header

DATED = replace(
    with_header(ALL, began=BEGAN),
    results=tuple(replace(result, options={"hidden_size": 4}) for result in ALL.results),
)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_for_each_result(tmp_path: Path) -> None:
    csvfile.write(tmp_path / "r.csv", DATED)
    rows = read_csv(tmp_path / "r.csv")
    assert [(row["implementation"], row["case"], row["status"]) for row in rows] == [
        (result.implementation, result.case, result.status) for result in ALL.results
    ]
    failed = rows[1]
    assert float(failed["error_ratio"]) == math.inf
    assert failed["worst_tensor"] == "h_n"
    assert json.loads(failed["tensors"]) == {"h_n": "inf", "c_n": 0.5}
    assert json.loads(failed["options"]) == {"hidden_size": 4}
    assert (failed["versions"], failed["suite"], failed["began"]) == ("numpy==2", "1.0", BEGAN)
    assert rows[2]["error_ratio"] == ""
    assert rows[2]["tensors"] == ""


def test_csv_is_read_by_pyarrow(tmp_path: Path) -> None:
    csvfile.write(tmp_path / "r.csv", DATED)
    table = pyarrow.csv.read_csv(tmp_path / "r.csv")
    assert table.column("error_ratio").to_pylist() == [0.25, math.inf, None, 0.25, None, None]


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    csvfile.write(tmp_path / "r.csv", hostile.report())
    row = read_csv(tmp_path / "r.csv")[0]
    assert row["reason"].startswith("'=1+1 <script>")
    assert not any(value.startswith(("=", "+", "-", "@")) for value in row.values())


def test_parquet_has_types(tmp_path: Path) -> None:
    parquet.write(tmp_path / "r.parquet", DATED)
    table = pyarrow.parquet.read_table(tmp_path / "r.parquet")
    assert table.num_rows == len(ALL.results)
    assert pyarrow.types.is_map(table.schema.field("tensors").type)
    row = table.to_pylist()[1]
    assert (row["error_ratio"], dict(row["tensors"])) == (math.inf, {"h_n": math.inf, "c_n": 0.5})
    assert row["features"] == ["float32"]
    assert table.to_pylist()[2]["error_ratio"] is None
    assert json.loads(table.schema.metadata[b"conformance"])["planned"] == {"fake": 5, "absent": 1}


def test_parquet_accepts_hostile_and_empty_reports(tmp_path: Path) -> None:
    parquet.write(tmp_path / "h.parquet", hostile.report())
    assert pyarrow.parquet.read_table(tmp_path / "h.parquet").num_rows == 3
    parquet.write(tmp_path / "e.parquet", make_report())
    assert pyarrow.parquet.read_table(tmp_path / "e.parquet").num_rows == 0


def test_a_missing_pyarrow_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'lstm-conformance\[parquet\]'") as caught:
        parquet.write(tmp_path / "r.parquet", make_report(PASSED))
    assert caught.value.exit_code == 3
    assert not list(tmp_path.iterdir())
