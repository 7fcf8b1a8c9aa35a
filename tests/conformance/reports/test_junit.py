from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from conformance.reports import junit
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, STATUSES
from tests.conformance.reports import hostile
from tests.conformance.reports.test_markdown import ALL, PASSED, make_report

# Of the published schema, junit-10.xsd: elements, their attributes and their children.
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


def test_a_consumer_counts_what_was_written(tmp_path: Path) -> None:
    suites = list(parsed(ALL, tmp_path / "j.xml"))
    assert [suite.name for suite in suites] == ["fake", "absent"]
    fake, absent = suites
    assert (fake.tests, fake.failures, fake.errors, fake.skipped) == (5, 1, 1, 2)
    assert (absent.tests, absent.skipped) == (1, 1)
    assert {prop.name: prop.value for prop in fake.properties()} == {"suite": "1.0", "numpy": "2", "device": "cpu"}


def test_a_case_says_what_deviates(tmp_path: Path) -> None:
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


def test_every_status_has_its_place() -> None:
    assert {status for status in STATUSES if junit.TAGS.get(status) in ("failure", "error")} == DEVIATIONS
    assert [status for status in STATUSES if status not in junit.TAGS] == ["pass"]


@pytest.mark.parametrize("report", [ALL, make_report(PASSED, complete=False), hostile.report(), make_report()])
def test_the_published_schema_is_kept(report: Report) -> None:
    for element in elements(fromstring(junit.render(report).encode())):
        attributes, children = SCHEMA[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_what_is_hostile_stays_text(tmp_path: Path) -> None:
    suite = next(iter(parsed(hostile.report(), tmp_path / "j.xml")))
    assert "<script>alert('x')</script>" in suite.name
    assert "\\x00\\x1b[31m" in next(iter(suite)).result[0].message
    assert len(list(suite)) == 3


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (make_report(PASSED, complete=False), "INCOMPLETE: the run was cut short; 1 of 6 results are there"),
        (
            replace(ALL, header={**ALL.header, "controls": {"wrong-gates": "pass"}}),
            "INVALID: known to be wrong, and not found out: wrong-gates. No result of this run means anything",
        ),
    ],
)
def test_a_run_that_is_not_to_be_relied_on_has_an_error(tmp_path: Path, report: Report, message: str) -> None:
    last = list(parsed(report, tmp_path / "j.xml"))[-1]
    assert (last.name, last.errors) == ("the run itself", 1)
    assert next(iter(last)).result[0].message == message
