"""``conformance dissect``: finds out by experiment what an implementation reads and returns wrongly."""

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from conformance.adapters import Adapter, installed
from conformance.commands import explain_cases
from conformance.commands.explain_cases import labelled
from conformance.defects.experiment.dissection import dissect
from conformance.defects.experiment.findings import Dissection, Finding
from conformance.defects.experiment.probes import PROBES
from conformance.defects.experiment.trial import Subject
from conformance.errors import MISSING, UserError
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter

_MAX_LINES = 12
_MAX_NAMES = 3
"""Number of probes that a finding lists by name."""


def execute(args: argparse.Namespace) -> int:
    """Dissects each implementation in its own process, or explains the selected cases, and prints the findings."""
    adapters = implementations.load_all(args.implementations, isolated=True)
    for adapter in adapters:
        if absent := installed.missing(adapter):
            raise UserError(absent, MISSING)
    if args.files or args.expression or args.tags or args.dtypes:
        return explain_cases.execute(args, adapters)
    results = []
    console = Console(highlight=False, soft_wrap=True)
    for adapter in adapters:
        results.append(_dissect(adapter))
        if not args.json:
            _show(console, results[-1])
    if args.json:
        print(json.dumps([_as_json(result) for result in results], indent=2))
    return 0 if all(result.is_correct for result in results) else 1


def _dissect(adapter: Adapter) -> Dissection:
    try:
        result = dissect(_subject(adapter))
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()
    if len(result.unsupported) == len(PROBES):
        reason = next(iter(result.unsupported.values()))
        raise UserError(f"nothing ran: {adapter.name} supports none of the {len(PROBES)} probes: {reason}")
    return result


def _subject(adapter: Adapter) -> Subject:
    if not isinstance(adapter, WorkerAdapter):
        return Subject(adapter)
    return Subject(adapter, restart=adapter.close, clock=lambda: time.thread_time() + adapter.seconds)


def _as_json(result: Dissection) -> dict[str, object]:
    content = asdict(result) | {"correct": result.is_correct}
    for finding in content["findings"]:
        finding["misfit"] = finding["misfit"] if math.isfinite(finding["misfit"]) else None
    return content


def _show(console: Console, result: Dissection) -> None:
    """Prints a result in at most ``_MAX_LINES`` lines."""
    console.print(Text(_headline(result), style="bold green" if result.is_correct else "bold red"))
    last = list(_limits(result))
    lines: list[str] = []
    groups = [list(_lines(finding, result)) for finding in (*result.history, *result.findings)]
    for count, group in enumerate(groups):
        more = count + 1 < len(groups)
        if len(lines) + len(group) + more > _MAX_LINES - 1 - len(last):
            lines.append(labelled("more", f"{len(groups) - count} further findings: --json"))
            break
        lines += group
    if unexplained := result.responses.get(""):
        room = _MAX_LINES - 1 - len(last) - len(lines)
        lines += [labelled("response", line) for line in unexplained.as_lines(room)]
    for line in [*lines, *last]:
        console.print(Text(line))


def _headline(result: Dissection) -> str:
    if result.reads_and_returns_correctly:
        but = ", but float64 is only as precise as float32" if result.imprecise else ""
        return f"{result.implementation}: reads and returns everything as documented{but}"
    if not result.repeats:
        return f"{result.implementation}: results do not repeat, so nothing else is reported"
    if result.history and not result.failing:
        conform = f"alone in a fresh process, all {len(result.probed)} probes conform"
        return f"{result.implementation}: results depend on earlier calls; {conform}"
    if not result.failing:
        return f"{result.implementation}: all {len(result.probed)} probes conform, but further experiments do not"
    ran = len({*result.probed, *result.failing})
    left = f", {len(result.unexplained)} of them not explained" if result.unexplained else ""
    deviate = f"{len(result.failing)} of {ran} probes deviate{left}"
    if result.history:
        return f"{result.implementation}: results depend on earlier calls; alone in a fresh process, {deviate}"
    return f"{result.implementation}: {deviate}"


def _lines(finding: Finding, result: Dissection) -> Iterator[str]:
    """Yields three lines for a verified finding and one for an observation."""
    if not finding.verified:
        where = f" ({_names(finding.probes)})" if finding.probes else ""
        yield labelled("seen", f"{finding.what}{where}")
        return
    yield labelled("what", finding.what)
    others = "1 other" if finding.conforming == 1 else f"{finding.conforming} others"
    conforming = f"; not in {others} to which it would apply" if finding.conforming else ""
    yield labelled("when", f"{_names(finding.probes)}{conforming}")
    changes = "these changes" if sum(each.verified for each in result.findings) > 1 else "this change"
    reproduced = f"the reference with {changes} reproduces every tensor of {finding.solutions} solutions"
    within = max(1, math.ceil(10 * finding.misfit)) / 10
    exactly = f" exactly (within {within:g} of budget)" if result.exact else " within budget"
    yield labelled("verified", reproduced + exactly)


def _limits(result: Dissection) -> Iterator[str]:
    """Yields lines about what was probed and what could not be."""
    if result.imprecise and not result.reads_and_returns_correctly:
        place = f": {result.imprecise_place}" if result.imprecise_place else ""
        yield labelled("seen", f"float64 is only as precise as float32 ({_names(result.imprecise)}){place}")
    if result.reads_and_returns_correctly:
        dtypes = " and ".join(dict.fromkeys(result.probed.values()))
        forward = ", forward only" if len(result.forward_only) == len(result.probed) else ""
        yield labelled("probed", f"{len(result.probed)} of {len(PROBES)} probes in {dtypes}{forward}, each repeatedly")
        yield labelled("changed", f"{result.changed} blocks, one at a time; every result responds as it must")
    if result.forward_only and not result.is_correct:
        yield labelled("not run", "gradients: the implementation computes none")
    for experiment, reason in result.left_out.items():
        yield labelled("not run", f"{experiment}: {reason}")
    if result.unsupported:
        reasons = "; ".join(dict.fromkeys(result.unsupported.values()))
        yield labelled("not run", f"{_names(list(result.unsupported))}: {reasons}")


def _names(probes: Sequence[str]) -> str:
    shown = "; ".join(probes[:_MAX_NAMES])
    return shown + (f"; {len(probes) - _MAX_NAMES} more" if len(probes) > _MAX_NAMES else "")
