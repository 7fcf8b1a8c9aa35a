"""``conformance campaign``: runs random cases, and shrinks each deviation to a minimal case."""

import argparse
import contextlib
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from conformance import threads
from conformance.adapters import installed
from conformance.campaign import journal, state
from conformance.campaign.campaign import Campaign, Outcome, Settings
from conformance.campaign.draw import Drawer, options_of
from conformance.campaign.groups import Groups, note_of
from conformance.campaign.journal import Drawn, Tally
from conformance.cases.casefile import load_selected
from conformance.cases.select import Selection
from conformance.commands.cli import INTERRUPTED
from conformance.commands.dask import Place, find_place
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.reports.explain import printable
from conformance.results.footer import Footer
from conformance.results.header import Header
from conformance.results.record import counts
from conformance.results.summary import controls_warning
from conformance.results.writer import ResultsFile
from conformance.run import controls, implementations, pool
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.client import Limits, WorkerAdapter

DEFAULT_MINUTES = 5.0
"""Length of a campaign if neither ``--minutes`` nor ``--cases`` is given."""
SAVING_SECONDS = 10.0
"""Time between two writes of the state. The results file has every case at once."""
PROGRESS_SECONDS = 10.0
"""Time between two lines of progress."""


def execute(args: argparse.Namespace) -> int:
    """Runs the campaign and prints its groups of deviations."""
    limits = Limits(request=args.timeout, memory=args.memory_limit)
    loaded = implementations.load_all(args.implementations, isolated=True, limits=limits)
    with find_place(args, loaded, limits, False, print) as place:
        adapters = [adapter for adapter in place.adapters if isinstance(adapter, WorkerAdapter)]
        return _Command(args, place, adapters).execute()


class _Command:
    def __init__(self, args: argparse.Namespace, place: Place, adapters: Sequence[WorkerAdapter]) -> None:
        self._args = args
        self._place = place
        self._adapters = adapters
        self._specs = implementations.specs(adapters, args.implementations)
        self._folder: Path = args.output
        self._results = self._folder / "results.jsonl"
        self._jobs = min(args.jobs or threads.default_jobs(), len(adapters))
        # A cluster runs all implementations at once.
        self._settings = _settings(args, share=1.0 if place.cluster else self._jobs / len(adapters))
        options = _options(args.tags)
        self._drawers = {
            each.name: Drawer(args.seed, each.declared_features(), self._settings.max_seconds, options)
            for each in adapters
        }
        self._tallies = {each.name: Tally() for each in adapters}
        self._console = Console(highlight=False, soft_wrap=True)
        self._seconds = {each.name: Counter[str]() for each in adapters}
        self._statuses: Counter[str] = Counter()
        self._began = time.monotonic()
        self._resumed: Counter[str] = Counter()

    def execute(self) -> int:
        """Runs the campaign, or continues it, and returns the exit code."""
        before = state.State.load(self._folder) if self._args.resume else state.State()
        before.restore(self._drawers)
        groups = Groups(self._folder, before.groups, self._specs)
        header = self._header()
        with ResultsFile(self._results, header, self._args.resume) as file:
            for drawn in journal.read(self._results):
                if drawn.implementation in self._tallies:
                    self._tallies[drawn.implementation].add(drawn)
            self._resumed = Counter({name: tally.cases for name, tally in self._tallies.items()})
            groups.recount(file.done)
            self._statuses.update(counts(file.done))
            runner = Runner(Oracle(None), known.shipped())
            campaign = Campaign(runner, self._settings, self._drawers, self._tallies, groups.signatures)
            interrupted = self._run(campaign, groups, file)
            state.save(self._folder, self._drawers, groups)
            if not interrupted:
                total = sum(self._seconds.values(), Counter[str]())
                file.close_with(Footer.of_totals(self._statuses, total, sum(os.times()[:4]) - total.total()))
        self._summarise(groups)
        if interrupted:
            words = [*(word for word in self._args.typed if word != "--resume"), "--resume"]
            self._print(f"to resume: {shlex.join(['conformance', *words])}")
            return INTERRUPTED
        if idle := [name for name, tally in self._tallies.items() if not tally.cases]:
            raise UserError(f"nothing ran on {', '.join(idle)}: it supports none of the drawn cases, or time was short")
        if invalid := controls_warning(header.controls):
            self._print(invalid, style="bold red")
        return int(bool(invalid) or any(tally.deviations for tally in self._tallies.values()))

    def _header(self) -> Header:
        args = self._args
        words = ["campaign", "--seed", str(args.seed), "--max-seconds", f"{args.max_seconds:g}", "--keep", args.keep]
        words += [word for tag in args.tags for word in ("--tag", tag)]
        return Header(
            planned={adapter.name: 0 for adapter in self._adapters},
            packages={adapter.name: installed.versions(adapter) for adapter in self._adapters},
            selection=shlex.join(words),
            controls=controls.run(None),
            specs=self._specs,
            lacking=self._place.lacking,
        ).stamped()

    def _run(self, campaign: Campaign, groups: Groups, file: ResultsFile) -> bool:
        """Runs the campaign and writes its results. Returns whether the user interrupted it."""
        saved = shown = time.monotonic()
        with contextlib.closing(self._outcomes(campaign)) as outcomes:
            try:
                for outcome in outcomes:
                    self._write(outcome, campaign, groups, file)
                    now = time.monotonic()
                    if outcome.signature or now - saved > SAVING_SECONDS:
                        state.save(self._folder, self._drawers, groups)
                        saved = now
                    if now - shown > PROGRESS_SECONDS:
                        self._show_progress(outcome.result.implementation)
                        shown = now
            except KeyboardInterrupt:
                return True
        return False

    def _outcomes(self, campaign: Campaign) -> Generator[Outcome, None, None]:
        plan = [(adapter, ()) for adapter in self._adapters]
        if self._place.cluster:
            from conformance.campaign import batches

            return batches.run(self._place.cluster, campaign, plan)
        return pool.run(campaign, plan, self._jobs)

    def _write(self, outcome: Outcome, campaign: Campaign, groups: Groups, file: ResultsFile) -> None:
        result = outcome.result
        name = result.implementation
        if outcome.signature:
            group = groups.count(name, outcome.signature, outcome.minimal)
            result = replace(result, notes=(*result.notes, note_of(group)))
            if group.count == 1:
                self._print(f"{name}: {group.what}\n  {self._folder / group.file}", style="bold red")
        self._seconds[name].update(result.seconds)
        if description := campaign.quick.descriptions.get(name):
            file.describe(name, description)
        # Cases that cannot be judged are drawn by chance: they are not a mistake of the user.
        kept = result.deviates or (self._args.keep == "all" and not result.rejected)
        if kept and file.add(result):
            self._statuses[result.status] += 1
        drawn = Drawn.of(outcome.number, result)
        file.note(journal.KIND, vars(drawn))
        self._tallies[name].add(drawn)

    def _show_progress(self, name: str) -> None:
        cases = sum(tally.cases for tally in self._tallies.values())
        deviations = sum(tally.deviations for tally in self._tallies.values())
        drawer = self._drawers[name]
        pairs = f"{len(drawer.seen):,} of {drawer.feasible:,} pairs"
        rate = (cases - self._resumed.total()) / max(1.0, time.monotonic() - self._began)
        self._print(f"{cases:,} cases ({rate:.1f}/s), {deviations:,} deviations; {name}: {pairs}", style="dim")

    def _summarise(self, groups: Groups) -> None:
        """Prints counts, error ratios and groups."""
        for name, tally in self._tallies.items():
            drawer = self._drawers[name]
            statuses = ", ".join(f"{number:,} {status}" for status, number in tally.statuses.most_common())
            self._print(f"\n{name}: {statuses or 'no cases'}", style="bold")
            self._print(f"  {len(drawer.seen):,} of {drawer.feasible:,} feasible pairs of option values")
            self._print_throughput(name, tally.cases - self._resumed[name])
            for dtype, (passed, median, p99, largest) in tally.quantiles().items():
                figures = f"p50 {median:.3f}, p99 {p99:.3f}, max {largest:.3f}"
                self._print(f"  {dtype}: error ratio of {passed:,} passed cases {figures}")
        for group in groups.groups:
            cases = "1 case" if group.count == 1 else f"{group.count:,} cases"
            self._print(f"\n{cases} of {group.implementation}: {group.what}", style="bold red")
            spec = self._specs.get(group.implementation, group.implementation)
            self._print("  " + shlex.join(["conformance", "run", str(self._folder / group.file), "-i", spec]))
        self._print(f"\nresults: {self._results}")

    def _print_throughput(self, name: str, cases: int) -> None:
        seconds = self._seconds[name]
        implementation, suite = seconds["solve"], seconds.total() - seconds["solve"] - seconds["import"]
        if cases and implementation and suite:
            rate, ratio = cases / (implementation + suite), suite / implementation
            self._print(
                f"  {rate:.1f} cases per CPU second; the suite takes {ratio:.1f} times the implementation's time"
            )

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(text), style=style))
        sys.stdout.flush()


def _settings(args: argparse.Namespace, share: float) -> Settings:
    minutes = args.minutes if args.minutes or args.cases else DEFAULT_MINUTES
    return Settings(args.seed, args.cases, minutes * 60 * share if minutes else None, args.max_seconds)


def _options(tags: Sequence[str]) -> frozenset[str] | None:
    """Returns the options that the shipped cases with some tags set; None without tags.

    Raises:
        UserError: no case has any of the tags.
    """
    if not tags:
        return None
    cases = Selection(tags=tuple(tags)).cases(load_selected([], tags))
    if not cases:
        raise UserError(f"no shipped case has the tag {' or '.join(tags)}. `conformance list` shows the cases.")
    return options_of(cases)
