"""``conformance smoke``: ten cases, from easy to hard, up to the first deviation."""

import argparse
import shlex
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from conformance.adapters import Adapter, installed
from conformance.cases.case import Case
from conformance.cases.casefile import load, shipped_cases
from conformance.errors import MISSING, UserError
from conformance.known import divergences as known
from conformance.reports.explain import wrapped
from conformance.results.record import Result
from conformance.results.summary import format_error_ratio, rerun_commands
from conformance.run import implementations
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter

STEPS = (
    ("cases/core.yaml::one-layer-float64", "one layer in float64"),
    ("cases/core.yaml::one-layer", "one layer in float32"),
    ("cases/bias.yaml::dtype:float32+direction:forward+num_layers:1", "without biases"),
    ("cases/tutorial.yaml::cell-over-time", "no initial state, more features"),
    ("cases/batch-first.yaml::dtype:float32+direction:forward+num_layers:1", "batch first"),
    ("cases/layers.yaml::dtype:float32+direction:forward+num_layers:2", "two layers"),
    ("cases/directions.yaml::dtype:float32+direction:bidirectional+initial_state:random", "both directions"),
    ("cases/core.yaml::two-layers-both-ways-float64", "two layers, both directions, float64"),
    ("cases/lengths.yaml::dtype:float32+direction:forward+num_layers:1+padding:large", "rows of different lengths"),
    ("cases/lengths.yaml::dtype:float32+direction:bidirectional+num_layers:2+padding:nan", "all of it, NaN as padding"),
)
"""Ids of shipped cases, each with what is new in it. A step builds on those before it."""


def execute(args: argparse.Namespace) -> int:
    """Runs the steps until one deviates, the implementation in a process of its own."""
    (adapter,) = implementations.load_all([args.name], isolate=True)
    if absent := installed.missing(adapter):
        raise UserError(absent, MISSING)
    try:
        return _climb(args, adapter)
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()


def _climb(args: argparse.Namespace, adapter: Adapter) -> int:
    runner = Runner(Oracle(None) if args.no_cache else Oracle(), known.shipped())
    console = Console(highlight=False, soft_wrap=True)
    passed = unsupported = 0
    for step, (case, what) in enumerate(steps(), 1):
        result = runner.check(case, adapter)
        forward_only = "gradients" in result.unchecked
        passed += result.status == "pass"
        unsupported += result.status == "unsupported"
        _show(console, step, f"{what}, forward only" if forward_only else what, result)
        if result.deviates:
            _explain(console, result)
            again = rerun_commands(result, args.name)[0]
            if forward_only:
                again = shlex.join(["conformance", "smoke", args.name])
            console.print(Text(f"\n{adapter.name} deviates in step {step} of {len(STEPS)}; to run it again:"))
            console.print(Text(f"  {again}"))
            return 1
    if not passed:
        raise UserError(f"nothing was checked: {adapter.name} supports none of these cases")
    known_ones = len(STEPS) - passed - unsupported
    more = f", {known_ones} known to deviate" if known_ones else ""
    counted = f"{passed} of {len(STEPS) - unsupported} supported steps pass (+{unsupported} unsupported){more}"
    console.print(Text(f"\n{counted}; now all cases:"))
    console.print(Text(f"  {shlex.join(['conformance', 'run', '-i', args.name])}"))
    return 0


def steps() -> Iterator[tuple[Case, str]]:
    """The cases of ``STEPS``, each with what is new in it."""
    folder = shipped_cases()
    files = dict.fromkeys(name.split("::")[0] for name, _ in STEPS)
    cases = {case.id: case for file in files for case in load(folder.parent / file, folder.parent)}
    return ((cases[name], what) for name, what in STEPS)


def _show(console: Console, step: int, what: str, result: Result) -> None:
    style = "bold red" if result.deviates else "green" if result.status == "pass" else "dim"
    # Of a deviation everything is said below.
    tail = "" if result.deviates else f": {result.reason or f'error ratio {format_error_ratio(result.error_ratio)}'}"
    console.print(Text.assemble(f"{step:2}  ", (f"{result.status:11}", style), f"  {what}{tail}"))


def _explain(console: Console, result: Result) -> None:
    """A line for each tensor that deviates, then what explains them; ``run`` and its report have the rest."""
    reasons = [str(detail.get("reason", "")) for detail in result.details.values()]
    within = [name for name in result.tensors if name not in result.details]
    if not reasons:
        for line in result.traceback.rstrip().splitlines() or [result.reason]:
            console.print(Text(f"    {line}"))
    lines = [*reasons, f"within budget: {', '.join(within)}"] if reasons and within else reasons
    for line in [*lines, *(f"note: {note}" for note in result.notes)]:
        console.print(Text(wrapped(line, "    ")))
    if result.diagnosis:
        console.print(Text(wrapped(f"diagnosis: {result.diagnosis}", "    "), style="bold"))
