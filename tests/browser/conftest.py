"""Opens the page of a small run in headless Chromium. A request or a console message fails the test."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chromium import CHROMIUM_PATH, CHROMIUM_REQUIRED, browser
from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.known.divergences import shipped
from conformance.reports.page import write as html
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.reader import Report
from conformance.results.record import Result
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from tests import fakes

Open = Callable[..., Any]

CASES = [
    Case.model_validate({"input_size": 3, "hidden_size": 4, "seq_len": 5, "batch": 3, "file": "cases/a.yaml"} | options)
    for options in (
        {"name": "plain", "line": 3, "notes": "The plainest."},
        {"name": "both-ways", "direction": "bidirectional", "dtype": "float64", "tags": ("core",)},
        {"name": "two-layers", "num_layers": 2, "initial_state": "omitted"},
    )
]
ADAPTERS: tuple[type[Adapter], ...] = (
    fakes.Faithful,
    fakes.Wrong,
    fakes.NotANumber,
    fakes.Picky,
    fakes.Raises,
    fakes.ForwardOnly,
    fakes.Absent,
)


def known(result: Result) -> Result:
    """Returns a result as a known divergence of a Keras implementation."""
    entry = next(entry for entry in shipped() if entry.upstream.startswith("https://github.com/"))
    return replace(result, implementation="keras.fake[x]", status="known", reason=f"{entry.id}: {entry.what}")


@pytest.fixture(scope="session")
def results() -> tuple[Result, ...]:
    """Results of fake implementations that fail in many ways."""
    runner = Runner(Oracle(None), diagnoses=False)
    found = list(runner.run([(adapter(), CASES) for adapter in ADAPTERS]))
    wrong = [result for result in found if result.implementation == "wrong"]
    found += [known(wrong[0]), replace(known(wrong[1]), status="crash", reason="the process died")]
    detected = {"both-ways": "7", "plain": "1", "two-layers": "0"}
    return tuple(
        replace(result, detects=int(mask, 16).bit_count(), detected=mask)
        if result.status == "pass" and (mask := detected[result.case.split("::")[1]])
        else result
        for result in found
    )


def report(results: tuple[Result, ...], complete: bool = True, **header: Any) -> Report:
    """Returns a results file. ``header`` holds fields of the header to set."""
    planned = {result.implementation: 0 for result in results}
    for result in results:
        planned[result.implementation] += 1
    packages = {"faithful": {"numpy": "2.0"}}
    default = Header(planned=planned, packages=packages, defects=("one", "two", "three", "four")).stamped()
    head = Header.model_validate(default.as_json() | header)
    rows = tuple(Result.from_row(result.to_row()) for result in results)
    return Report(Path("r.jsonl"), head, {"faithful": {"device": "cpu"}}, rows, Footer.of(rows) if complete else None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running browser."""
    pytest.importorskip("playwright", reason=CHROMIUM_REQUIRED)
    if not CHROMIUM_PATH:
        pytest.skip(CHROMIUM_REQUIRED)
    with browser() as running:
        yield running


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Returns a function that opens the page of a report. The page must make no request and log nothing."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def opened(report: Report, where: str = "", extra: dict[str, Any] | None = None, **options: Any) -> Any:
        path = html.write(tmp_path, report, extra)
        context = chromium.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()

        def decide(route: Any) -> None:
            if route.request.url.split("#")[0] == path.as_uri():
                route.continue_()
            else:
                complaints.append(f"request: {route.request.url}")
                route.abort()

        context.set_default_timeout(10_000)
        context.route("**/*", decide)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri() + where)
        page.wait_for_selector("html[data-ready]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Open, results: tuple[Result, ...]) -> Any:
    """The matrix of the default results."""
    return open_page(report(results))
