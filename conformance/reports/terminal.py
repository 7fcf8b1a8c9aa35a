"""Results on a terminal: progress, a failure as it happens, and the summary."""

import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from conformance.reports.causes import cases, explained
from conformance.reports.explain import wrapped
from conformance.results.reader import Report
from conformance.results.record import DEVIATIONS, Result, counts
from conformance.results.summary import (
    LEGEND,
    Cell,
    by_implementation,
    detection,
    dtypes,
    error_ratios,
    invalid,
    number,
    rerun,
    table,
    times,
)

SHOWN_TIMES = 12
"""What took longest, in the summary; the report lists all of it."""
SHOWN_FAILURES = 10
_SECONDS_BETWEEN_LINES = 10.0
# What a table of features × implementations takes, with names folded; where there is no room, features are left out.
_FEATURE_WIDTH = 20
_CELL_WIDTH = 14


class Terminal:
    """Shows a run while it goes on: a bar on a terminal, a line now and then otherwise."""

    def __init__(self, total: int, stream: IO[str] | None = None) -> None:
        self._console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=True)
        self._total = total
        self._done = 0
        self._deviations = 0
        self._last_line = time.monotonic()
        self._progress: Progress | None = None
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=self._console, transient=True, expand=True)
            self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, result: Result) -> None:
        """Counts a result, and prints it if it deviates."""
        self._done += 1
        if result.deviates:
            self._deviations += 1
            self._print(Text.assemble((f"{result.status} ", "bold red"), result.id))
            for words in filter(None, (result.reason, result.diagnosis)):
                self._print(Text(wrapped(words, " " * 5)))
        where = f"{result.implementation}, {self._deviations} deviations"
        if self._progress:
            self._progress.update(self._task, completed=self._done, description=where)
        elif time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self._print(Text(f"{self._done}/{self._total} {where}"))

    def say(self, text: str) -> None:
        """Prints a line."""
        self._print(Text(text))

    def _print(self, text: Text) -> None:
        self._console.print(text)


def summarise(report: Report, stream: IO[str] | None = None) -> None:
    """Prints the summary of a run, to standard output by default."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    grouped = by_implementation(report.results, report.planned)
    console.print()
    if _FEATURE_WIDTH + len(grouped) * _CELL_WIDTH <= console.width:
        console.print(Text("Conforming cases by feature", style="bold"))
        console.print(_features(grouped))
        console.print(Text(LEGEND, style="dim"))
        console.print()
        console.print(Text("Largest error ratio (up to 1 conforms)", style="bold"))
        console.print(_error_ratios(report.results, {}, {}))
        _print_sees(console, report)
    else:
        console.print(Text("Conforming cases, and the largest error ratio (up to 1 conforms)", style="bold"))
        detected = {name: f"{len(each.detected)}" for name, each in detection(report).items()}
        console.print(_error_ratios(report.results, grouped, detected))
        of = (
            f"; detects: how many of {len(report.header.get('defects', ()))} defects they would have caught"
            if detected
            else ""
        )
        console.print(Text(f"{LEGEND}{of}; the report has them by feature", style="dim"))
    _print_times(console, report, grouped)
    deviations = [result for result in report.results if result.deviates]
    if deviations:
        _print_causes(console, deviations)
        _print_failures(console, deviations, report.specs)
    found = counts(report.results)
    line = ", ".join(f"{amount} {status}" for status, amount in found.items()) or "nothing ran"
    bad = any(status in DEVIATIONS for status in found)
    console.print()
    console.print(Text(line, style="bold red" if bad else "bold green"), soft_wrap=True)
    if report.undetected_controls:
        console.print(Text(invalid(report), style="bold red"), soft_wrap=True)
    if not report.complete:
        console.print(
            Text(f"INCOMPLETE: {len(report.results)} of {sum(report.planned.values())} ran", style="bold red")
        )


def _features(grouped: Mapping[str, Sequence[Result]]) -> Table:
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    shown.add_column("feature", no_wrap=True)
    for name in grouped:
        shown.add_column(Text(name), overflow="fold", justify="right")
    rows = table(grouped)
    for feature, cells in rows.items():
        if feature == "total":
            shown.add_section()
        styled = [Text(str(cell), style="bold red" if cell.deviates else "") for cell in cells.values()]
        shown.add_row(feature, *styled)
    return shown


def _error_ratios(
    results: Sequence[Result], totals: Mapping[str, Sequence[Result]], detected: Mapping[str, str]
) -> Table:  # fmt: skip
    """A row for each implementation; with ``totals``, which holds the results of each, also how many cases conform.

    And with ``detected``, how many defects they would have caught.
    """
    largest = error_ratios(results)
    columns = dtypes(largest)
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown.add_column("implementation", overflow="fold")
    if totals:
        shown.add_column("cases", justify="right")
    for heading in [*columns, *(["detects"] if detected else [])]:
        shown.add_column(heading, justify="right")
    for name in totals or dict.fromkeys(name for name, _ in largest):
        cells = [Cell.of(totals[name])] if totals else []
        total = [Text(str(cell), style="bold red" if cell.deviates else "") for cell in cells]
        power = [detected.get(name, "-")] if detected else []
        shown.add_row(Text(name), *total, *(number(largest.get((name, dtype))) for dtype in columns), *power)
    return shown


def _print_sees(console: Console, report: Report) -> None:
    found = detection(report)
    if found:
        console.print()
        console.print(Text("What the passed checks would have caught", style="bold"))
        for name, each in found.items():
            console.print(Text(f"  {name} detects {each}"), soft_wrap=True)


def _print_times(console: Console, report: Report, grouped: Mapping[str, Sequence[Result]]) -> None:
    rows = times(grouped, report.footer["seconds"] if report.footer else None)
    total = sum(seconds for _, seconds in rows)
    console.print()
    console.print(Text(f"CPU time {total:.1f} s"))
    for what, seconds in sorted(rows, key=lambda row: -row[1])[:SHOWN_TIMES]:
        if seconds >= 0.005 * total:
            console.print(Text(f"  {seconds:7.1f} s {seconds / total:5.0%}  {what}"), soft_wrap=True)


def _print_causes(console: Console, deviations: Sequence[Result]) -> None:
    groups = explained(deviations)
    if not groups:
        return
    console.print()
    console.print(Text("Causes", style="bold"))
    for group in groups:
        line = f"{cases(group.results)} of {group.implementation}: {group.what}"
        console.print(Text(wrapped(line, "  ", console.width)), soft_wrap=True)


def _print_failures(console: Console, deviations: Sequence[Result], specs: Mapping[str, str]) -> None:
    console.print()
    counted = (
        "1 deviation; to run it again:" if len(deviations) == 1 else f"{len(deviations)} deviations; to run one again:"
    )
    console.print(Text(counted, style="bold"))
    for result in deviations[:SHOWN_FAILURES]:
        direct, under_pytest = rerun(result, specs.get(result.implementation, ""))
        console.print(Text(f"  {result.status} {result.id}\n    {direct}\n    {under_pytest}"), soft_wrap=True)
    if len(deviations) > SHOWN_FAILURES:
        console.print(Text(f"  and {len(deviations) - SHOWN_FAILURES} more, all in the report"))
