from dataclasses import replace

from conformance.reports import annotations
from tests.conformance.reports.test_markdown import FAILED, KNOWN, PASSED, make_report

DEVIATION = replace(
    FAILED,
    case="my, cases/a.yaml::both-ways",
    line=7,
    implementation="mylib",
    reason="100 % off\r\nat c_n",
    diagnosis="swaps i, f",
)


def test_a_deviation_is_shown_at_its_line() -> None:
    other = replace(DEVIATION, implementation="other", status="crash", reason="died", diagnosis="")
    assert list(annotations.render(make_report(PASSED, DEVIATION, KNOWN, other))) == [
        "::error file=my%2C cases/a.yaml,line=7,title=both-ways deviates::"
        "mylib: fail: 100 %25 off%0D%0Aat c_n%0Aswaps i, f%0Aother: crash: died"
    ]


def test_a_case_without_a_file_has_no_place() -> None:
    result = replace(DEVIATION, case="a:b", line=0, reason="off", diagnosis="")
    assert list(annotations.render(make_report(result))) == ["::error title=a%3Ab deviates::mylib: fail: off"]


def test_more_cases_than_github_shows_are_counted() -> None:
    results = [replace(DEVIATION, case=f"a.yaml::case-{number}") for number in range(annotations.SHOWN + 2)]
    lines = list(annotations.render(make_report(*results)))
    assert len(lines) == annotations.SHOWN + 1
    assert lines[-1] == "::notice::2 more cases deviate. The report lists them."
