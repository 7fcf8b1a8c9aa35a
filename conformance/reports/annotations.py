"""Annotations of case files in a job of GitHub Actions: workflow commands that the job's log must contain.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
"""

from collections.abc import Iterator

from conformance.results.reader import Report
from conformance.results.record import Result

SHOWN = 10
"""Number of errors that GitHub shows for a step."""


def render(report: Report) -> Iterator[str]:
    """Yields one workflow command for each deviating case, at its line of the case file, and the number of others."""
    by_case: dict[str, list[Result]] = {}
    for result in report.results:
        if result.deviates:
            by_case.setdefault(result.case, []).append(result)
    for case, results in list(by_case.items())[:SHOWN]:
        file, _, name = case.rpartition("::")
        place = [f"file={_property(file)}"] if file else []
        place += [f"line={results[0].line}"] if file and results[0].line else []
        title = f"title={_property(f'{name} deviates')}"
        message = "\n".join(_message(result) for result in results)
        yield f"::error {','.join([*place, title])}::{_data(message)}"
    if len(by_case) > SHOWN:
        yield f"::notice::{len(by_case) - SHOWN} more cases deviate. The report lists them."


def _message(result: Result) -> str:
    lines = [f"{result.implementation}: {result.status}: {result.reason}", result.diagnosis]
    return "\n".join(line for line in lines if line)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
