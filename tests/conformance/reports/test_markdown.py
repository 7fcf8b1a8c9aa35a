import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.errors import UserError
from conformance.reports import markdown
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.reader import Report
from conformance.results.record import Result

PASSED = Result("a.yaml::one", "k1", "fake", "pass", error_ratio=0.25, features=("float32",), dtype="float32")
FAILED = replace(
    PASSED,
    case="a.yaml::two",
    status="fail",
    reason="h_n is off | <b>by</b> 1",
    error_ratio=math.inf,
    tensors={"h_n": math.inf, "c_n": 0.5},
    details={"h_n": {"reason": "h_n is off", "expected": 0.5, "got": "nan"}},
    seconds={"solve": 3.0, "budget": 1.0},
)
ERROR = replace(
    PASSED, case="a.yaml::three", status="error", reason="no", traceback="Traceback\n```\nno", error_ratio=None
)
KNOWN = replace(PASSED, case="a.yaml::four", status="known", reason="one: It errs.")
UNSUPPORTED = replace(PASSED, case="a.yaml::five", status="unsupported", reason="cannot", error_ratio=None)
NOT_RUN = replace(PASSED, implementation="absent", status="not-run", reason="not installed", error_ratio=None)

BIASED = [
    *(
        replace(FAILED, case=f"a.yaml::biased-{number}", diagnosis="one", causes={"one": "that ignores biases"})
        for number in range(3)
    ),
    *(replace(PASSED, case=f"a.yaml::unbiased-{number}", options={"bias": False}) for number in range(3)),
]
"""Failures that depend on an option."""


def make_report(*results: Result, complete: bool = True) -> Report:
    header = Header(
        suite="1.0",
        planned={"fake": 5, "absent": 1},
        machine={"python": "3.11"},
        packages={"fake": {"numpy": "2"}},
        specs={"fake": "my.py:Fake"},
        absent={"else": "else needs a framework"},
    )
    footer = Footer(seconds={"solve": 3.0, "budget": 1.0, "other": 0.0}) if complete else None
    return Report(Path("r.jsonl"), header, {"fake": {"device": "cpu"}}, results, footer)


def with_header(report: Report, **fields: Any) -> Report:
    """Returns a report with other fields of the header."""
    return replace(report, header=Header.model_validate(report.header.as_json() | fields))


ALL = make_report(PASSED, FAILED, ERROR, KNOWN, UNSUPPORTED, NOT_RUN)


@pytest.mark.parametrize(
    "line",
    [
        "1 pass, 1 fail, 1 unsupported, 1 error, 1 known, 1 not-run",
        "| feature | `fake` | `absent` |",
        "| total | 1/4 !2 +1 ~1 | -1 |",
        "| `fake` | inf |",
        "### fail: `a.yaml::two[fake]`",
        "h\\_n is off \\| \\<b\\>by\\</b\\> 1",
        "| `h_n` | inf | h\\_n is off; expected: 0.5; got: nan |",
        "````text",
        "conformance run a.yaml -i my.py:Fake -k a.yaml::two",
        "| `fake` | 1 | one: It errs. | `a.yaml::four` |",
        "| `fake` | 1 | cannot | `a.yaml::five` |",
        "| `absent` | 1 | not installed | `a.yaml::one` |",
        "| `else` | else needs a framework |",
        "## CPU time: 4.0 s",
        "| solve fake | 3.00 | 75% |",
        "| device | cpu |",
        "| numpy | 2 |",
    ],
)
def test_a_report_contains(line: str) -> None:
    assert line in markdown.render(ALL).splitlines()


def test_an_incomplete_run_is_reported_at_the_top() -> None:
    lines = markdown.render(make_report(PASSED, complete=False)).splitlines()
    assert lines[2] == "**INCOMPLETE: the run did not finish; it has 1 of 6 results.**"
    assert "INCOMPLETE" not in markdown.render(ALL)


def test_the_number_of_detailed_deviations_is_limited() -> None:
    many = [replace(FAILED, case=f"a.yaml::{number}") for number in range(markdown.SHOWN_DEVIATIONS + 7)]
    text = markdown.render(make_report(*many))
    assert text.count("### fail") == markdown.SHOWN_DEVIATIONS
    assert "and 7 more, see the results file." in text


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(UserError, match=r"report\.md: cannot be written") as caught:
        markdown.write(tmp_path / "report.md", ALL)
    assert caught.value.exit_code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_the_longer_side_of_the_feature_table_becomes_its_rows() -> None:
    lines = markdown.render(make_report(*(replace(PASSED, implementation=name) for name in "abc"))).splitlines()
    assert "| implementation | float32 | total |" in lines
    assert "| `c` | 1/1 | 1/1 |" in lines


def test_the_number_of_listed_cases_is_limited() -> None:
    many = [replace(KNOWN, case=f"a.yaml::{number}") for number in range(8)]
    assert "`a.yaml::3`, `a.yaml::4` and 3 more |" in markdown.render(make_report(*many))


def test_an_empty_run_has_a_report() -> None:
    assert "Nothing ran." in markdown.render(make_report())


def test_causes_are_listed_with_the_options_on_which_they_depend() -> None:
    cause = "behaves exactly like an LSTM that ignores biases"
    condition = "bias: true (3 of 3 such cases fail, 0 of 3 others)"
    assert f"| `fake` | 3 | {cause} | {condition} |  | `one` |" in markdown.render(make_report(*BIASED)).splitlines()
