"""Terminal output of a run: deviations and rows of implementations as they appear, progress, and the summary."""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from conformance.reports.causes import count_cases, group_by_cause
from conformance.reports.explain import WIDTH, printable, wrapped
from conformance.reports.tables import ImplementationTable, feature_table
from conformance.results.reader import Report
from conformance.results.record import Result, counts
from conformance.results.summary import (
    LEGEND,
    by_implementation,
    cpu_times,
    detection,
    dtypes,
    error_ratios,
    incomplete_warning,
    invalid_warning,
    rerun_commands,
)

SHOWN_TIMES = 12
"""Number of CPU times to list, the largest first. The report lists all of them."""
SHOWN_DEVIATIONS = 10
"""Number of deviations to list with the commands that run them again."""
_SILENT_SECONDS = 30.0
"""Time without output after which a line shows the progress, if the output is not a terminal."""
_COLUMNS_OF_A_FILE = 120
"""Minimum width of the output, if it is not a terminal and the variable COLUMNS is not set."""
_TABLE_TITLE = "Conforming cases, largest error ratio (up to 1 conforms)"


class Terminal:
    """Shows the progress of a run: each deviation, and a row for each finished implementation.

    On a terminal, a progress bar stays below this output. Otherwise, a line shows the progress after 30 seconds without
    output.

    Args:
        planned: number of planned cases, by implementation.
        dtypes: dtypes of the planned cases, in the order of their columns.
        stream: where to print; by default standard output.
        done: results of an interrupted run that this run resumes.
        power: whether the run measures power.

    Attributes:
        interleaved: whether a deviation was printed between the rows.
    """

    def __init__(
        self,
        planned: Mapping[str, int],
        dtypes: Sequence[str],
        stream: IO[str] | None = None,
        done: Iterable[Result] = (),
        power: bool = True,
    ) -> None:
        self.interleaved = False
        self._console = _make_console(stream)
        self._table = ImplementationTable(planned, dtypes, self._console.width, _rule(self._console), power)
        self._planned = planned
        self._unprinted: dict[str, list[Result]] = {name: [] for name in planned}
        self._has_head = False
        self._done = 0
        self._deviations = 0
        self._last_output = time.monotonic()
        self._progress: Progress | None = None
        if self._console.is_terminal:
            column = Column(no_wrap=True, overflow="ellipsis")
            what = TextColumn("{task.description}", markup=False, table_column=column)
            columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._task = self._progress.add_task("", total=sum(planned.values()))
        for result in done:
            self._count(result)

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Prints the rows of implementations that have not finished, or that have no cases to run."""
        if self._progress:
            self._progress.stop()
        if kind in (None, KeyboardInterrupt):
            for name, results in list(self._unprinted.items()):
                if results or not self._planned[name]:
                    self._print_row(name)

    def show(self, result: Result) -> None:
        """Updates the progress, and prints the result if it deviates. Prints the row of a finished implementation."""
        if result.deviates:
            self._deviations += 1
            self.interleaved = self._has_head
            self._print(Text.assemble((f"{result.status} ", "bold red"), printable(result.id)))
            for words in filter(None, (result.reason, result.diagnosis)):
                self._print(Text(wrapped(words, " " * 5, min(WIDTH, self._console.width))))
        self._count(result)
        running = [name for name, results in self._unprinted.items() if results]
        progress = ", ".join(filter(None, [_count_deviations(self._deviations), *map(printable, running)]))
        if self._progress:
            self._progress.update(self._task, completed=self._done, description=progress)
        elif time.monotonic() - self._last_output > _SILENT_SECONDS:
            self._print(Text(f"{self._done}/{sum(self._planned.values())} {progress}"))

    def _count(self, result: Result) -> None:
        """Counts a result, and prints the row of its implementation if it was the last."""
        name = result.implementation
        self._done += 1
        self._unprinted[name].append(result)
        if len(self._unprinted[name]) == self._planned[name]:
            self._print_row(name)

    def _print_row(self, name: str) -> None:
        if not self._has_head:
            self._has_head = True
            _print_title(self._console, _TABLE_TITLE)
            for line in self._table.head:
                self._print(line)
        for line in self._table.row(name, self._unprinted.pop(name)):
            self._print(line)

    def show_phase(self, phase: str) -> None:
        """Shows the phase of a case that takes long."""
        if self._progress:
            self._progress.update(self._task, description=printable(phase))
        else:
            self._print(Text(printable(f"{self._done}/{sum(self._planned.values())} {phase}")))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)
        self._last_output = time.monotonic()


def summarise(report: Report, stream: IO[str] | None = None, table: bool = True) -> None:
    """Prints the summary of a run.

    Args:
        report: the results.
        stream: where to print; by default standard output.
        table: whether to print the table of implementations. A ``Terminal`` has already printed its rows.
    """
    console = _make_console(stream)
    grouped = by_implementation(report.results, report.planned)
    _print_tables(console, report, grouped, table)
    _print_times(console, report, grouped)
    deviations = [result for result in report.results if result.deviates]
    if deviations:
        _print_causes(console, report)
        _print_deviations(console, deviations, report.header.specs)
    found = counts(report.results)
    line = ", ".join(f"{amount} {status}" for status, amount in found.items()) or "nothing ran"
    console.print()
    _print(console, line, style="bold red" if deviations else "bold green")
    for warning in filter(None, (invalid_warning(report), incomplete_warning(report))):
        _print(console, warning, style="bold red")


class _Console(Console):
    """A console that raises BrokenPipeError if the reader closes the pipe. The base class exits with code 1."""

    def on_broken_pipe(self) -> None:
        raise


def _make_console(stream: IO[str] | None) -> Console:
    console = _Console(file=stream or sys.stdout, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = max(console.width, _COLUMNS_OF_A_FILE)
    return console


def _rule(console: Console) -> str:
    """Returns the character for horizontal lines that the stream can encode."""
    return "─" if console.encoding.lower().startswith("utf") else "-"


def _print_tables(console: Console, report: Report, grouped: Mapping[str, Sequence[Result]], table: bool) -> None:
    features = feature_table(grouped, console.width, _rule(console))
    if features:
        _print_table(console, "Conforming cases by feature", features)
    if table:
        sizes = {name: len(results) for name, results in grouped.items()}
        present = dtypes(error_ratios(report.results))
        rows = ImplementationTable(sizes, present, console.width, _rule(console), bool(detection(report)))
        lines = [line for name, results in grouped.items() for line in rows.row(name, results)]
        _print_table(console, _TABLE_TITLE, [*rows.head, *lines])
    legend = LEGEND
    if found := detection(report):
        legend += f"; detects: number of defects, of {len(report.header.defects)}, that the passed cases detect"
        if ways := {each.how for each in found.values()} - {""}:
            legend += ", " + (ways.pop() if len(ways) == 1 else "measured on some cases, which the report counts")
    if not features:
        legend += ". The report has the counts by feature"
    console.print()
    _print(console, legend, style="dim")


def _print_title(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print()


def _print_table(console: Console, title: str, lines: Sequence[Text]) -> None:
    _print_title(console, title)
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


def _print_causes(console: Console, report: Report) -> None:
    groups = group_by_cause(report.results, report.explanations)
    if not groups:
        return
    console.print()
    console.print(Text("Causes", style="bold"))
    for group in groups:
        _print(console, f"{count_cases(group.results)} of {group.implementation}: {group.what}", indent="  ")
        facts = dict(group.facts)
        commands = rerun_commands(group.smallest, report.header.specs.get(group.implementation, ""))
        if group.explanation and commands:
            facts["try"] = commands[0]
        width = max(map(len, facts), default=0) + 3
        for title, text in facts.items():
            _print(console, f"{title:{width}}{text}", indent="    ")


def _print_deviations(console: Console, deviations: Sequence[Result], specs: Mapping[str, str]) -> None:
    console.print()
    title = f"{_count_deviations(len(deviations))}. Commands to run {'it' if len(deviations) == 1 else 'one'} again:"
    console.print(Text(title, style="bold"))
    for result in deviations[:SHOWN_DEVIATIONS]:
        commands = rerun_commands(result, specs.get(result.implementation, ""))
        lines = "\n    ".join([f"  {result.status} {result.id}", *commands])
        console.print(Text(printable(lines)), soft_wrap=True)
    if len(deviations) > SHOWN_DEVIATIONS:
        console.print(Text(f"  and {len(deviations) - SHOWN_DEVIATIONS} more, see the report"))


def _count_deviations(count: int) -> str:
    return "1 deviation" if count == 1 else f"{count or 'no'} deviations"
