"""``conformance smoke``: runs ten cases from easy to hard, up to the first deviation."""

import argparse
import shlex
from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from conformance.adapters import Adapter, installed
from conformance.cases.case import Case
from conformance.cases.casefile import load, shipped_cases
from conformance.errors import MISSING, WRONG_USE, UserError
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
    ("cases/tutorial.yaml::cell-over-time", "no initial state, larger input and hidden size"),
    ("cases/batch-first.yaml::dtype:float32+direction:forward+num_layers:1", "batch first"),
    ("cases/layers.yaml::dtype:float32+direction:forward+num_layers:2", "two layers"),
    ("cases/directions.yaml::dtype:float32+direction:bidirectional+initial_state:random", "both directions"),
    ("cases/core.yaml::two-layers-both-ways-float64", "two layers, both directions, float64"),
    ("cases/lengths.yaml::dtype:float32+direction:forward+num_layers:1+padding:large", "rows of different lengths"),
    (
        "cases/lengths.yaml::dtype:float32+direction:bidirectional+num_layers:2+padding:nan",
        "all options together, NaN in the padding",
    ),
)
"""Ids of shipped cases, each with the option that it adds to the steps before it."""


def execute(args: argparse.Namespace) -> int:
    """Runs the steps in the implementation's own process until one deviates."""
    (adapter,) = implementations.load_all([args.name], isolated=True)
    if absent := installed.missing(adapter):
        raise UserError(absent, MISSING)
    try:
        return _run_steps(args, adapter)
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()


def _run_steps(args: argparse.Namespace, adapter: Adapter) -> int:
    runner = Runner(Oracle(None) if args.no_cache else Oracle(), known.shipped())
    console = Console(highlight=False, soft_wrap=True)
    results = []
    for step, (case, what) in enumerate(steps(), 1):
        result = runner.check(case, adapter)
        results.append(result)
        forward_only = "gradients" in result.unchecked
        _show(console, step, f"{what}, forward only" if forward_only else what, result)
        if result.deviates:
            _explain(console, result)
            # `conformance run` would not run the forward half alone.
            smoke = shlex.join(["conformance", "smoke", args.name])
            command = smoke if forward_only else rerun_commands(result, args.name)[0]
            console.print(
                Text(f"\n{adapter.name} deviates in step {step} of {len(STEPS)}. To run it again:\n  {command}")
            )
            return 1
    found = Counter[str](result.status for result in results)
    if found["unsupported"] == len(STEPS):
        raise UserError(f"nothing ran: {adapter.name} supports none of the {len(STEPS)} cases")
    others = {"known": "known to deviate", "not-run": "not run"}
    more = "".join(f", {found[status]} {words}" for status, words in others.items() if found[status])
    supported = len(STEPS) - found["unsupported"] - found["not-run"]
    summary = f"{found['pass']} of {supported} supported steps pass (+{found['unsupported']} unsupported){more}"
    command = shlex.join(["conformance", "run", "-i", args.name])
    console.print(Text(f"\n{summary}. To run all cases:\n  {command}"))
    return WRONG_USE if any(result.rejected for result in results) else 0


def steps() -> Iterator[tuple[Case, str]]:
    """Yields the cases of ``STEPS``, each with the option that it adds."""
    folder = shipped_cases()
    files = dict.fromkeys(name.split("::")[0] for name, _ in STEPS)
    cases = {case.id: case for file in files for case in load(folder.parent / file, folder.parent)}
    return ((cases[name], what) for name, what in STEPS)


def _show(console: Console, step: int, what: str, result: Result) -> None:
    style = "bold red" if result.deviates else "green" if result.status == "pass" else "dim"
    # The lines that follow explain a deviation.
    tail = "" if result.deviates else f": {result.reason or f'error ratio {format_error_ratio(result.error_ratio)}'}"
    console.print(Text.assemble(f"{step:2}  ", (f"{result.status:11}", style), f"  {what}{tail}"))


def _explain(console: Console, result: Result) -> None:
    """Prints a paragraph for each tensor that deviates, then the diagnosis."""
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
