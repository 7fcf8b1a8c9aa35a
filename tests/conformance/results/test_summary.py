from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.results.record import Result
from conformance.results.summary import detection, dtypes, error_ratios
from tests.conformance.results.runs import report, row

PASSED = Result("a.yaml::one", "k1", "fake", "pass", error_ratio=0.25, features=("float32",), dtype="float32")


def test_the_largest_error_ratio_of_each_implementation_and_dtype_leaves_out_known_divergences() -> None:
    results = [
        PASSED,
        replace(PASSED, error_ratio=0.5),
        replace(PASSED, status="known", error_ratio=7.0),
        replace(PASSED, status="unsupported", error_ratio=None),
        replace(PASSED, implementation="other", status="fail", error_ratio=9.0, dtype="bfloat16"),
        replace(PASSED, implementation="other", error_ratio=0.1, dtype="float64"),
    ]
    largest = error_ratios(results)
    assert largest == {("fake", "float32"): 0.5, ("other", "bfloat16"): 9.0, ("other", "float64"): 0.1}
    assert dtypes(largest) == ["float64", "float32", "bfloat16"]


FULL = {"detects": 1, "detected": "1"}
SMALL = {"power_sizes": {"input_size": 16, "hidden_size": [16, 15], "seq_len": 12, "batch": 4}, **FULL}
SMALLER = {"power_sizes": {"input_size": 8, "hidden_size": 8, "seq_len": 8, "batch": 4}, **FULL}


@pytest.mark.parametrize(
    ("rows", "how"),
    [
        ([FULL, FULL], ""),
        ([FULL, {}, {}], ", measured on 1 of 3 cases"),
        ([SMALL], ", measured at 16, [16, 15], 12, 4 (I, H, T, B)"),
        ([SMALL, SMALLER], ", measured at reduced sizes"),
        ([SMALL, FULL], ", measured with 1 of 2 cases at 16, [16, 15], 12, 4 (I, H, T, B)"),
        ([SMALLER, FULL, {}], ", measured on 2 of 3 cases, 1 of these at 8, 8, 8, 4 (I, H, T, B)"),
    ],
)
def test_detected_defects_say_how_power_was_measured(tmp_path: Path, rows: list[dict[str, Any]], how: str) -> None:
    results = [row(f"case-{number}", **options) for number, options in enumerate(rows)]
    found = detection(report(tmp_path / "r.jsonl", *results, row("failed", "fail")))
    assert str(found["mine"]) == f"1 of 3 defects{how}"


def test_there_are_no_detected_defects_without_a_measured_case(tmp_path: Path) -> None:
    assert detection(report(tmp_path / "r.jsonl", row("one"), row("two", "fail"))) == {}
