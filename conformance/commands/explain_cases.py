"""``conformance dissect -k``: runs selected cases on implementations, and explains each failure by experiments."""

import argparse
import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.cases.casefile import load_selected
from conformance.cases.select import Selection
from conformance.errors import UserError
from conformance.reports.causes import count_cases
from conformance.results.explanation import Explanation
from conformance.results.record import NOT_RUN, Result
from conformance.results.summary import rerun_commands
from conformance.run.runner import Runner
from conformance.verdict.oracle import Oracle
from conformance.worker.client import WorkerAdapter

_LABEL = 10
_MAX_OTHERS = 3
"""Number of failures without an explanation to list."""
_MAX_RESPONSE_LINES = 4
"""Number of lines for the responses of an unexplained failure."""


def execute(args: argparse.Namespace, adapters: Sequence[Adapter]) -> int:
    """Explains the failures of each implementation in the selected cases. Known divergences are explained, too."""
    cases = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(load_selected(args.files, args.tags))
    if not cases:
        raise UserError("no case is selected. `conformance list` shows the cases.")
    console = Console(highlight=False, soft_wrap=True)
    found = []
    for adapter, spec in zip(adapters, args.implementations, strict=True):
        results, explanations = _run(adapter, cases)
        found.append((results, explanations))
        if not args.json:
            _show(console, adapter.name, spec, results, explanations)
    if args.json:
        print(json.dumps([_as_json(*each) for each in found], indent=2))
    return 1 if any(result.deviates for results, _ in found for result in results) else 0


def labelled(label: str, text: str) -> str:
    """Returns a line with a label in front."""
    return f"  {label:{_LABEL}}{text}"


def _run(adapter: Adapter, cases: Sequence[Case]) -> tuple[list[Result], list[Explanation]]:
    """Runs cases, and experiments on the failures.

    Raises:
        UserError: no case runs.
    """
    runner = Runner(Oracle(), explains_all=True)
    explanations: list[Explanation] = []
    try:
        results = list(runner.run([(adapter, cases)]))
        runner.write_explanations(explanations.append)
    finally:
        if isinstance(adapter, WorkerAdapter):
            adapter.close()
    if all(result.status in NOT_RUN for result in results):
        raise UserError(f"nothing ran: {results[0].case}: {results[0].reason}")
    return results, explanations


def _as_json(results: Sequence[Result], explanations: Sequence[Explanation]) -> dict[str, object]:
    return {
        "implementation": results[0].implementation,
        "cases": [
            {name: getattr(result, name) for name in ("case", "key", "status", "reason", "diagnosis")}
            for result in results
        ],
        "explanations": [explanation.to_row() for explanation in explanations],
    }


def _show(
    console: Console, name: str, spec: str, results: Sequence[Result], explanations: Sequence[Explanation]
) -> None:
    """Prints the number of failures, and what accounts for them."""
    ran = [result for result in results if result.status not in NOT_RUN]
    failing = {result.key: result for result in ran if result.deviates}
    style = "bold red" if failing else "bold green"
    verb = "deviates" if len(ran) == 1 else "deviate"
    console.print(Text(f"{name}: {len(failing)} of {count_cases(ran)} {verb}", style=style))

    def show(label: str, text: str) -> None:
        if text:
            console.print(Text(labelled(label, text)))

    for explanation in explanations:
        own = [result for key in explanation.keys if (result := failing.pop(key, None))]
        show("what", explanation.what)
        show("where", explanation.where)
        show("when", explanation.when)
        show("verified" if explanation.verified else "seen", explanation.how)
        if explanation.responses and not explanation.verified:
            for line in explanation.responses.as_lines(_MAX_RESPONSE_LINES):
                show("response", line)
        for what in dict.fromkeys(what for result in own for what in result.causes.values()):
            show("like", f"an LSTM {what} (in the catalogue)")
        if own:
            show("try", rerun_commands(min(own, key=lambda result: len(result.options)), spec)[0])
    others = list(failing.values())
    for result in others[:_MAX_OTHERS]:
        show(result.status, f"{result.case}: {result.reason}")
        show("like", result.diagnosis)
    if len(others) > _MAX_OTHERS:
        show("more", f"{len(others) - _MAX_OTHERS} further cases: --json")
    if left_out := [result for result in results if result.status in NOT_RUN]:
        show("not run", f"{count_cases(left_out)}: {left_out[0].reason}")
