from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from conformance.reports import junit
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, STATUSES
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, PASSED, make_report, with_header

# The published schema, junit-10.xsd: the attributes and the children of each element.
SCHEMA = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package", "file"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "skipped": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "failure": ({"type", "message"}, set()),
}


def parsed(report: Report, path: Path) -> Any:
    junit.write(path, report)
    return JUnitXml.fromfile(str(path))


def elements(element: Element) -> Iterator[Element]:
    yield element
    for child in element:
        yield from elements(child)


def test_junitparser_reads_the_counts(tmp_path: Path) -> None:
    suites = list(parsed(ALL, tmp_path / "j.xml"))
    assert [suite.name for suite in suites] == ["fake", "absent"]
    fake, absent = suites
    assert (fake.tests, fake.failures, fake.errors, fake.skipped) == (5, 1, 1, 2)
    assert (absent.tests, absent.skipped) == (1, 1)
    assert {prop.name: prop.value for prop in fake.properties()} == {"suite": "1.0", "numpy": "2", "device": "cpu"}


def test_a_failure_has_a_message_and_an_explanation(tmp_path: Path) -> None:
    fake = next(iter(parsed(ALL, tmp_path / "j.xml")))
    cases = {case.name: case for case in fake}
    assert cases["one[fake]"].is_passed
    assert cases["one[fake]"].classname == "a.yaml"
    failure = cases["two[fake]"].result[0]
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("fail", "h_n is off | <b>by</b> 1")
    assert "conformance run a.yaml -i my.py:Fake -k a.yaml::two" in failure.text
    assert isinstance(cases["three[fake]"].result[0], Error)
    skipped = cases["four[fake]"].result[0]
    assert isinstance(skipped, Skipped)
    assert (skipped.type, skipped.message) == ("known", "one: It errs.")


def test_every_status_is_mapped() -> None:
    assert {status for status in STATUSES if junit.TAGS.get(status) in ("failure", "error")} == DEVIATIONS
    assert [status for status in STATUSES if status not in junit.TAGS] == ["pass"]


@pytest.mark.parametrize("report", [ALL, make_report(PASSED, complete=False), hostile.report(), make_report()])
def test_the_report_conforms_to_the_published_schema(report: Report) -> None:
    for element in elements(fromstring(junit.render(report).encode())):
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    suite = next(iter(parsed(hostile.report(), tmp_path / "j.xml")))
    assert "<script>alert('x')</script>" in suite.name
    assert "\\x00\\x1b[31m" in next(iter(suite)).result[0].message
    assert len(list(suite)) == 3


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (make_report(PASSED, complete=False), "INCOMPLETE: the run did not finish; it has 1 of 6 results"),
        (
            with_header(ALL, controls={"wrong-gates": "pass"}),
            "INVALID: the run did not detect the negative controls wrong-gates. None of its results can be trusted",
        ),
    ],
)
def test_an_incomplete_or_invalid_run_has_an_error(tmp_path: Path, report: Report, message: str) -> None:
    last = list(parsed(report, tmp_path / "j.xml"))[-1]
    assert (last.name, last.errors) == ("the run itself", 1)
    assert next(iter(last)).result[0].message == message
