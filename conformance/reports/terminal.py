"""Terminal output of a run: progress, each failure, and the summary."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from conformance.reports.causes import count_cases, group_by_cause
from conformance.reports.explain import WIDTH, printable, wrapped
from conformance.reports.tables import feature_table, implementation_table
from conformance.results.reader import Report
from conformance.results.record import Result, counts
from conformance.results.summary import (
    LEGEND,
    by_implementation,
    cpu_times,
    detection,
    incomplete_warning,
    invalid_warning,
    rerun_commands,
)

SHOWN_TIMES = 12
"""Number of CPU times to list, the largest first. The report lists all of them."""
SHOWN_DEVIATIONS = 10
"""Number of deviations to list with the commands that run them again."""
_PROGRESS_INTERVAL_SECONDS = 10.0
"""Time between two progress lines, if the output is not a terminal."""
_COLUMNS_OF_A_FILE = 120
"""Minimum width of the summary, if the output is not a terminal and the variable COLUMNS is not set."""


class Terminal:
    """Shows the progress of a run: a progress bar on a terminal, a line every 10 seconds otherwise."""

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
        """Updates the progress, and prints the result if it deviates."""
        self._done += 1
        if result.deviates:
            self._deviations += 1
            self._print(Text.assemble((f"{result.status} ", "bold red"), printable(result.id)))
            for words in filter(None, (result.reason, result.diagnosis)):
                self._print(Text(wrapped(words, " " * 5, min(WIDTH, self._console.width))))
        where = f"{result.implementation}, {_count_deviations(self._deviations)}"
        if self._progress:
            self._progress.update(self._task, completed=self._done, description=where)
        elif time.monotonic() - self._last_line > _PROGRESS_INTERVAL_SECONDS:
            self._last_line = time.monotonic()
            self._print(Text(printable(f"{self._done}/{self._total} {where}")))

    def show_phase(self, phase: str) -> None:
        """Shows the phase of a case that takes long."""
        if self._progress:
            self._progress.update(self._task, description=printable(phase))
        else:
            self._print(Text(printable(f"{self._done}/{self._total} {phase}")))

    def _print(self, text: Text) -> None:
        self._console.print(text)


def summarise(report: Report, stream: IO[str] | None = None) -> None:
    """Prints the summary of a run to a stream, by default to standard output."""
    console = Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, _COLUMNS_OF_A_FILE)
    grouped = by_implementation(report.results, report.planned)
    _print_tables(console, report, grouped)
    _print_times(console, report, grouped)
    deviations = [result for result in report.results if result.deviates]
    if deviations:
        _print_causes(console, deviations)
        _print_deviations(console, deviations, report.header.specs)
    found = counts(report.results)
    line = ", ".join(f"{amount} {status}" for status, amount in found.items()) or "nothing ran"
    console.print()
    _print(console, line, style="bold red" if deviations else "bold green")
    for warning in filter(None, (invalid_warning(report), incomplete_warning(report))):
        _print(console, warning, style="bold red")


def _print_tables(console: Console, report: Report, grouped: Mapping[str, Sequence[Result]]) -> None:
    rule = "─" if console.encoding.lower().startswith("utf") else "-"
    features = feature_table(grouped, console.width, rule)
    if features:
        _print_table(console, "Conforming cases by feature", features)
    _print_table(
        console,
        "Conforming cases, largest error ratio (up to 1 conforms)",
        implementation_table(report, grouped, console.width, rule),
    )
    legend = LEGEND
    if detection(report):
        legend += f"; detects: number of defects, of {len(report.header.defects)}, that the passed cases detect"
    if not features:
        legend += ". The report has the counts by feature"
    console.print()
    _print(console, legend, style="dim")


def _print_table(console: Console, title: str, lines: Sequence[Text]) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print()
    for line in lines:
        console.print(line, soft_wrap=True)


def _print(console: Console, text: str, style: str = "", indent: str = "") -> None:
    """Prints a paragraph that fits into the width of the terminal."""
    console.print(Text(wrapped(text, indent, console.width), style=style), soft_wrap=True)


def _print_times(console: Console, report: Report, grouped: Mapping[str, Sequence[Result]]) -> None:
    rows = cpu_times(grouped, report.footer.seconds if report.footer else None)
    total = sum(seconds for _, seconds in rows)
    console.print()
    console.print(Text(f"CPU time {total:.1f} s"))
    for what, seconds in sorted(rows, key=lambda row: -row[1])[:SHOWN_TIMES]:
        if seconds >= 0.005 * total:  # At least 1% after rounding.
            console.print(Text(f"  {seconds:7.1f} s {seconds / total:5.0%}  {printable(what)}"), soft_wrap=True)


def _print_causes(console: Console, deviations: Sequence[Result]) -> None:
    groups = group_by_cause(deviations)
    if not groups:
        return
    console.print()
    console.print(Text("Causes", style="bold"))
    for group in groups:
        _print(console, f"{count_cases(group.results)} of {group.implementation}: {group.what}", indent="  ")


def _print_deviations(console: Console, deviations: Sequence[Result], specs: Mapping[str, str]) -> None:
    console.print()
    title = f"{_count_deviations(len(deviations))}. Commands to run {'it' if len(deviations) == 1 else 'one'} again:"
    console.print(Text(title, style="bold"))
    for result in deviations[:SHOWN_DEVIATIONS]:
        direct, under_pytest = rerun_commands(result, specs.get(result.implementation, ""))
        lines = f"  {result.status} {result.id}\n    {direct}\n    {under_pytest}"
        console.print(Text(printable(lines)), soft_wrap=True)
    if len(deviations) > SHOWN_DEVIATIONS:
        console.print(Text(f"  and {len(deviations) - SHOWN_DEVIATIONS} more, see the report"))


def _count_deviations(count: int) -> str:
    return "1 deviation" if count == 1 else f"{count} deviations"
