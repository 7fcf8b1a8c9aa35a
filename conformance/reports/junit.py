"""Results as JUnit XML: one suite per implementation, one test case per case.

The attributes are those of Jenkins' published schema (junit-10.xsd), which other viewers support too. A deviation is a
failure, or an error if nothing was compared. Known divergences and cases that did not run are skipped.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from conformance.reports.explain import explain
from conformance.results import atomic
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.results.summary import by_implementation, incomplete_warning, invalid_warning

TAGS: Mapping[str, str] = {
    "fail": "failure",
    "fixed": "failure",
    "error": "error",
    "crash": "error",
    "timeout": "error",
    "unsupported": "skipped",
    "not-run": "skipped",
    "known": "skipped",
}
"""JUnit elements by status. A passed test case has no element."""

# XML 1.0 cannot represent these characters, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: Path, report: Report) -> None:
    """Writes the report.

    Raises:
        UserError: the file cannot be written.
    """
    atomic.write(path, render(report))


def render(report: Report) -> str:
    """Returns the report as text."""
    grouped = by_implementation(report.results, report.planned)
    root = Element("testsuites", name="lstm-conformance")
    for name, results in grouped.items():
        root.append(_suite(report, name, results))
    if errors := list(_run_errors(report)):
        suite = SubElement(root, "testsuite", {"name": "the run itself", **_counts(errors)})
        suite.extend(errors)
    root.attrib |= {key: str(sum(int(suite.get(key, 0)) for suite in root)) for key in ("tests", "failures", "errors")}
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, name: str, results: Sequence[Result]) -> Element:
    cases = [_case(report, result) for result in results]
    seconds = sum(sum(result.seconds.values()) for result in results)
    suite = Element("testsuite", {"name": _clean(name), "time": f"{seconds:.3f}", **_counts(cases)})
    if report.began:
        suite.set("timestamp", report.began.replace(tzinfo=None).isoformat())
    properties = SubElement(suite, "properties")
    versions = report.header.packages.get(name, {})
    about = {"suite": report.header.suite or "", **versions, **report.implementations.get(name, {})}
    for key, value in about.items():
        SubElement(properties, "property", name=_clean(key), value=_clean(value))
    suite.extend(cases)
    return suite


def _case(report: Report, result: Result) -> Element:
    file, _, name = result.case.rpartition("::")
    case = Element(
        "testcase",
        name=_clean(f"{name}[{result.implementation}]"),
        classname=_clean(file or result.implementation),
        time=f"{sum(result.seconds.values()):.3f}",
    )
    if tag := TAGS.get(result.status):
        element = SubElement(case, tag, type=result.status, message=_clean(result.reason))
        if result.deviates:
            element.text = _clean(explain(result, report.header.specs.get(result.implementation, "")))
    return case


def _run_errors(report: Report) -> Iterator[Element]:
    """Yields a test case with an error if the run is incomplete, and one if it is invalid.

    JUnit cannot represent an error of a whole run in another way.
    """
    for name, reason in (
        ("the run is complete", incomplete_warning(report)),
        ("negative controls are detected", invalid_warning(report)),
    ):
        if reason:
            case = Element("testcase", name=name, classname="the run itself", time="0")
            SubElement(case, "error", type="error", message=reason)
            yield case


def _counts(cases: Sequence[Element]) -> dict[str, str]:
    def holding(tag: str) -> str:
        return str(sum(case.find(tag) is not None for case in cases))

    return {
        "tests": str(len(cases)),
        "failures": holding("failure"),
        "errors": holding("error"),
        "skipped": holding("skipped"),
    }


def _clean(value: object) -> str:
    """Converts a value to text. Characters that XML cannot represent become escapes."""
    return _FORBIDDEN.sub(lambda found: ascii(found[0])[1:-1], str(value))
