"""``conformance run``: cases on implementations."""

import argparse
import contextlib
import json
import os
import shlex
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from conformance.adapters import Adapter, installed
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.select import Selection
from conformance.commands.cli import INTERRUPTED
from conformance.defects.power import detected
from conformance.errors import MISSING, UserError
from conformance.known import divergences as known
from conformance.reports import markdown
from conformance.reports.page import write as html
from conformance.reports.terminal import Terminal, summarise
from conformance.results.header import make_header
from conformance.results.reader import Report, read
from conformance.results.record import Result, counts, phases, plain
from conformance.results.summary import detection, error_ratios
from conformance.results.writer import ResultsFile
from conformance.run import controls, implementations, pool
from conformance.run.plan import Plan, digest, make_plan, part, without
from conformance.run.plan import counts as planned
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle, prune
from conformance.worker.client import Limits


def execute(args: argparse.Namespace) -> int:
    """Runs what is asked for, and reports."""
    if not args.json:
        return _execute(args, sys.stdout, None)
    with _kept_clean() as stdout:
        return _execute(args, sys.stderr, stdout)


def _execute(args: argparse.Namespace, stream: IO[str], json_stream: IO[str] | None) -> int:
    limits = Limits(request=args.timeout, memory=args.memory_limit)
    adapters, absent = implementations.split(
        implementations.load_all(args.implementations, not args.in_process, limits)
    )
    if absent and (args.implementations or not adapters):
        raise UserError("\n".join(absent.values()), MISSING)
    plan = _plan(args, adapters)
    pairs = zip(adapters, args.implementations, strict=False)
    specs = {adapter.name: name for adapter, name in pairs if adapter.name != name}
    results, summary = args.output / "results.jsonl", args.output / "report.md"
    if absent:
        shown = "\n".join(textwrap.wrap(f"not installed, not run: {', '.join(absent)}", 100, subsequent_indent="  "))
        print(f"{shown}\n  `conformance doctor` says what they need", file=stream)
    interrupted = _run(args, plan, specs, absent, results, stream)
    report = read(results)
    markdown.write(summary, report)
    page = html.write(args.output, report)
    failed = bool(report.undetected_controls) or any(result.deviates for result in report.results)
    code = INTERRUPTED if interrupted else int(failed)
    if json_stream:
        json_stream.write(json.dumps(_summary(report, summary, page, code), indent=2) + "\n")
        json_stream.flush()
    else:
        summarise(report, stream)
    print(f"results: {results}\nreport: {summary}", file=stream)
    if not report.complete:
        again = [word for word in args.typed if word != "--resume"]
        print(f"to go on: {shlex.join(['conformance', *again, '--resume'])}", file=stream)
    print(f"page: {page}", file=stream)
    return code


def _plan(args: argparse.Namespace, adapters: Sequence[Adapter]) -> Plan:
    """What is to run, before anything runs: what is wrong with it is said here."""
    cases = load_all(args.files or [shipped_cases()])
    named = {adapter.name for adapter in adapters} if args.implementations else set()
    selection = Selection(args.expression, tuple(args.tags), tuple(args.dtypes))
    plan = make_plan(selection, cases, adapters, named)
    if not any(selected for _, selected in plan):
        raise UserError(f"none of the {len(cases)} cases is selected; conformance list shows them")
    return plan


def _run(
    args: argparse.Namespace,
    whole: Plan,
    specs: Mapping[str, str],
    absent: Mapping[str, str],
    path: Path,
    stream: IO[str],
) -> bool:
    """Runs the plan, or a shard of it, into a results file; whether it was interrupted."""
    plan = part(whole, args.shard)
    oracle = Oracle(None) if args.no_cache else Oracle()
    runner = Runner(oracle, known.shipped(), not args.no_diagnosis, detected.Detector(oracle.cache))
    packages = {adapter.name: installed.versions(adapter) for adapter, _ in plan}
    statuses = controls.run(oracle.cache)
    shard = args.shard.header(digest(whole), planned(whole)) if args.shard else None
    header = make_header(
        planned(plan), packages, _selection(args), digest(plan), detected.IDS, statuses, specs, shard, absent
    )
    with ResultsFile(path, header, args.resume) as file:
        todo = without(plan, file.done)
        found: list[Result] = []
        running = contextlib.closing(pool.run(runner, todo, args.jobs))
        with running as results, Terminal(sum(len(cases) for _, cases in todo), stream) as terminal:
            try:
                for result in results:
                    if result.implementation in runner.descriptions:
                        file.describe(result.implementation, runner.descriptions[result.implementation])
                    file.add(result)
                    found.append(result)
                    terminal.show(result)
                    if args.max_fail and sum(result.deviates for result in found) >= args.max_fail:
                        return False
            except KeyboardInterrupt:
                return True
        spent = os.times()
        other = sum(spent[:4]) - sum(phases(found).values())
        file.finish([*file.done, *found], other)
    if oracle.cache:
        prune(oracle.cache)
    return False


def _selection(args: argparse.Namespace) -> str:
    """How the cases were chosen, as it was typed."""
    chosen: list[str] = [*map(str, args.files)]
    chosen += ["-k", args.expression] if args.expression else []
    for option, values in (("--tag", args.tags), ("--dtype", args.dtypes)):
        chosen += [word for value in values for word in (option, value)]
    return shlex.join(chosen)


def _summary(report: Report, path: Path, page: Path, code: int) -> Mapping[str, object]:
    largest: dict[str, dict[str, float]] = {}
    for (name, dtype), error_ratio in error_ratios(report.results).items():
        largest.setdefault(name, {})[dtype] = error_ratio
    deviations = [result.to_row() for result in report.results if result.deviates]
    keys = ("case", "key", "implementation", "status", "reason", "error_ratio")
    return {
        "complete": report.complete,
        "exit_code": code,
        "invalid": report.undetected_controls,
        "detects": {name: len(each.detected) for name, each in detection(report).items()},
        "defects": len(report.header.get("defects", ())),
        "counts": counts(report.results),
        "planned": report.planned,
        "largest_error_ratio": plain(largest),
        "deviations": [{key: row.get(key) for key in keys} for row in deviations],
        "seconds": plain(phases(report.results)),
        "results": str(report.path),
        "report": str(path),
        "page": str(page),
    }


@contextlib.contextmanager
def _kept_clean() -> Iterator[IO[str]]:
    """Standard output for our use alone: what frameworks print to it, from C as well, goes to standard error."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(ours), "w", encoding="utf-8") as stdout, contextlib.redirect_stdout(sys.stderr):
            yield stdout
    finally:
        os.dup2(ours, 1)
        os.close(ours)
