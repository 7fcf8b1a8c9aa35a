"""``conformance run``: runs cases on implementations."""

import argparse
import contextlib
import json
import os
import shlex
import sys
import textwrap
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from conformance import threads
from conformance.adapters import installed
from conformance.cache import default_cache
from conformance.cases.case import Case
from conformance.cases.casefile import load_selected
from conformance.cases.select import Selection
from conformance.cases.shard import Shard
from conformance.cases.size import LONG_SECONDS, SizeLimits
from conformance.commands.cli import INTERRUPTED
from conformance.commands.dask import Place, find_place
from conformance.defects.power import bitmasks
from conformance.errors import WRONG_USE, UserError
from conformance.reports import markdown
from conformance.reports.causes import group_by_cause
from conformance.reports.page import write as page_writer
from conformance.reports.terminal import Terminal, summarise
from conformance.results.header import Header, ShardInfo
from conformance.results.reader import Report, read
from conformance.results.record import Result, counts, phases, plain
from conformance.results.summary import detection, dtypes, error_ratios
from conformance.results.writer import ResultsFile
from conformance.run import controls, implementations, pool
from conformance.run.plan import Plan, digest, in_starting_order, make_plan, part, planned, without
from conformance.run.rejection import describe, rejections
from conformance.run.runner import Runner
from conformance.run.settings import Settings
from conformance.verdict.oracle import Oracle, prune
from conformance.worker.client import Limits


def execute(args: argparse.Namespace) -> int:
    """Runs the selected cases, writes results and reports, and prints a summary."""
    if not args.json:
        return _execute(args, sys.stdout, None)
    with _clean_standard_output() as stdout:
        return _execute(args, sys.stderr, stdout)


@dataclass(frozen=True)
class Request:
    """The command line, with the implementations and the plan that it selects.

    Attributes:
        args: parsed arguments.
        place: where to run, and the implementations that can run there.
        plan: all planned rows; ``--shard`` runs a part of them.
        stream: where progress and summary are printed.
    """

    args: argparse.Namespace
    place: Place
    plan: Plan
    stream: IO[str]

    @property
    def results(self) -> Path:
        """Path of the results file."""
        folder: Path = self.args.output
        return folder / "results.jsonl"

    @property
    def cases(self) -> list[Case]:
        """The planned cases, each once."""
        return list({case.key: case for _, cases in self.plan for case in cases}.values())

    def print(self, text: str) -> None:
        """Prints a line."""
        print(text, file=self.stream)


def _execute(args: argparse.Namespace, stream: IO[str], json_stream: IO[str] | None) -> int:
    cache = None if args.no_cache else default_cache()
    loaded = implementations.load_all(args.implementations, not args.in_process, limits(args), cache)
    show = partial(print, file=stream)
    with find_place(args, loaded, limits(args), not args.no_cache, show) as place:
        request = make_request(args, place, stream)
        _print_absent(request)
        interrupted, interleaved = run_plan(request)
    written = write_reports(request, interrupted)
    if json_stream:
        json_stream.write(json.dumps(_json_summary(written), indent=2) + "\n")
        json_stream.flush()
    else:
        summarise(written.report, stream, table=interleaved)
    print_files(request, written)
    return written.code


def limits(args: argparse.Namespace) -> Limits:
    """Returns the limits of the implementations' processes."""
    return Limits(request=args.timeout, memory=args.memory_limit)


def _print_absent(request: Request) -> None:
    if absent := request.place.absent:
        names = f"not run, not installed here: {', '.join(absent)}"
        request.print("\n".join(textwrap.wrap(names, 100, subsequent_indent="  ")))
        request.print("  `conformance doctor` shows what each of them needs")


def make_request(args: argparse.Namespace, place: Place, stream: IO[str]) -> Request:
    """Loads the cases and plans the run.

    Raises:
        UserError: a case file is wrong, or no case is selected.
    """
    cases = load_selected(args.files, args.tags)
    named = {adapter.name for adapter in place.adapters} if args.implementations else set()
    selection = Selection(args.expression, tuple(args.tags), tuple(args.dtypes))
    plan = make_plan(selection, cases, place.adapters, named)
    if not any(selected for _, selected in plan):
        raise UserError(f"none of the {len(cases)} cases is selected. `conformance list` shows them.")
    return Request(args, place, plan, stream)


@dataclass(frozen=True)
class Written:
    """Output of a run.

    Attributes:
        report: content of the results file.
        summary: path of the Markdown report.
        page: path of the page.
        code: exit code of the run.
    """

    report: Report
    summary: Path
    page: Path
    code: int


def write_reports(request: Request, interrupted: bool) -> Written:
    """Reads the results file, and writes the Markdown report and the page."""
    report = read(request.results)
    summary = request.args.output / "report.md"
    markdown.write(summary, report)
    page = page_writer.write(request.args.output, report)
    return Written(report, summary, page, INTERRUPTED if interrupted else _exit_code(report))


def print_files(request: Request, written: Written) -> None:
    """Prints the paths of the files, and the command that continues an incomplete run."""
    request.print(f"results: {request.results}\nreport: {written.summary}")
    if not written.report.complete:
        command = ["conformance", *(word for word in request.args.typed if word != "--resume"), "--resume"]
        request.print(f"to resume: {shlex.join(command)}")
    request.print(f"page: {written.page}")


def run_plan(request: Request) -> tuple[bool, bool]:
    """Runs the plan, or a shard of it, and writes the results file.

    Returns:
        Whether the user interrupted the run, and whether deviations were printed between the rows of the table.
    """
    args = request.args
    plan = part(request.plan, args.shard)
    settings = Settings(not args.no_cache, not args.no_diagnosis, args.power, args.max_memory, args.max_case_seconds)
    oracle = settings.oracle()
    settings = replace(settings, rejected=_reject(request, oracle, settings.limits))
    planned_cases = {adapter.name: cases for adapter, cases in plan}
    runner = settings.runner(oracle, planned_cases.__getitem__)
    with ResultsFile(request.results, _header(request, plan, controls.run(oracle.cache)), args.resume) as file:
        todo = without(plan, file.done)
        found: list[Result] = []
        present = dtypes((adapter.name, case.dtype) for adapter, cases in plan for case in cases)
        terminal = Terminal(planned(plan), present, request.stream, file.done, args.power != "off")
        runner.show_phase = terminal.show_phase
        with contextlib.closing(_run(request, runner, settings, plan, todo)) as results, terminal:
            try:
                for result in results:
                    if result.implementation in runner.descriptions:
                        file.describe(result.implementation, runner.descriptions[result.implementation])
                    file.add(result)
                    found.append(result)
                    runner.write_explanations(file.explain)
                    terminal.show(result)
                    if args.max_fail and sum(result.deviates for result in found) >= args.max_fail:
                        return False, terminal.interleaved
            except KeyboardInterrupt:
                return True, terminal.interleaved
        runner.write_explanations(file.explain)
        other = sum(os.times()[:4]) - sum(phases(found).values())
        file.finish([*file.done, *found], other)
    if oracle.cache:
        prune(oracle.cache)
    return False, terminal.interleaved


def _run(request: Request, runner: Runner, settings: Settings, plan: Plan, todo: Plan) -> Generator[Result, None, None]:
    """Yields the results of the planned rows that are to do, from this machine or from a cluster."""
    args, cluster = request.args, request.place.cluster
    if cluster:
        from conformance.run import batches

        return batches.run(cluster, runner, plan, in_starting_order(todo), settings)
    # The frameworks of one process are not made for several threads.
    jobs = 1 if args.in_process else args.jobs or threads.default_jobs()
    return pool.run(runner, in_starting_order(todo), jobs)


def _reject(request: Request, oracle: Oracle, limits: SizeLimits) -> dict[str, str]:
    """Prints the cases of the user's files that cannot be judged. Returns the reasons by case key.

    A case that takes long is judged only when it runs. A test shows that every shipped case can be judged.
    """
    rejected: dict[str, str] = {}
    for case, reason in rejections(request.cases if request.args.files else [], oracle, limits, LONG_SECONDS):
        request.print(describe(case, reason))
        rejected[case.key] = reason
    return rejected


def _header(request: Request, plan: Plan, statuses: Mapping[str, str]) -> Header:
    args = request.args
    return Header(
        planned=planned(plan),
        packages={adapter.name: installed.versions(adapter) for adapter in request.place.adapters},
        selection=_selection(args),
        cases=digest(plan),
        defects=bitmasks.IDS,
        controls=statuses,
        specs=implementations.specs(request.place.adapters, args.implementations),
        shard=_shard_info(args.shard, request.plan) if args.shard else None,
        absent=request.place.absent,
        lacking=request.place.lacking,
    ).stamped()


def _shard_info(shard: Shard, whole: Plan) -> ShardInfo:
    return ShardInfo(index=shard.index, of=shard.of, cases=digest(whole), planned=planned(whole))


def _selection(args: argparse.Namespace) -> str:
    """Returns the arguments that selected the cases."""
    words = [*map(str, args.files)]
    words += ["-k", args.expression] if args.expression else []
    for option, values in (("--tag", args.tags), ("--dtype", args.dtypes)):
        words += [word for value in values for word in (option, value)]
    return shlex.join(words)


def _exit_code(report: Report) -> int:
    if any(result.rejected for result in report.results):
        return WRONG_USE
    return int(bool(report.undetected_controls) or any(result.deviates for result in report.results))


def _json_summary(written: Written) -> dict[str, Any]:
    report = written.report
    largest: dict[str, dict[str, float]] = {}
    for (name, dtype), ratio in error_ratios(report.results).items():
        largest.setdefault(name, {})[dtype] = ratio
    found = detection(report)
    keys = ("case", "key", "implementation", "status", "reason", "error_ratio")

    def rows(results: Sequence[Result]) -> list[dict[str, Any]]:
        return [{key: row.get(key) for key in keys} for row in (result.to_row() for result in results)]

    return {
        "complete": report.complete,
        "exit_code": written.code,
        "invalid": report.undetected_controls,
        "detects": {name: len(each.detected) for name, each in found.items()},
        "measured": {name: each.how for name, each in found.items() if each.how},
        "defects": len(report.header.defects),
        "counts": counts(report.results),
        "planned": report.planned,
        "largest_error_ratio": plain(largest),
        "causes": [
            {
                "implementation": cause.implementation,
                "what": cause.what,
                "defects": cause.defects,
                "cases": len(cause.results),
                "when": cause.when,
                **({"verified": cause.explanation.verified, **cause.facts} if cause.explanation else {}),
            }
            for cause in group_by_cause(report.results, report.explanations)
        ],
        "deviations": rows([result for result in report.results if result.deviates]),
        "rejected": rows([result for result in report.results if result.rejected]),
        "seconds": plain(phases(report.results)),
        "results": str(report.path),
        "report": str(written.summary),
        "page": str(written.page),
    }


@contextlib.contextmanager
def _clean_standard_output() -> Iterator[IO[str]]:
    """Yields the standard output. Redirects all other output to it, also from C, to standard error."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(ours), "w", encoding="utf-8") as stdout, contextlib.redirect_stdout(sys.stderr):
            yield stdout
    finally:
        os.dup2(ours, 1)
        os.close(ours)
