"""Runs implementations on a GPU, with the shipped cases and those tagged ``device``, and prints a table.

The run is that of ``conformance run``, without measuring power. It writes ``results.jsonl`` and the reports. Then each
case that ran is solved twice more, to find out whether the same call gives the same bits. Other options are passed to
``conformance run``, such as ``-k EXPR`` and ``--no-diagnosis``.

The exit code is that of ``conformance run``: 0 if everything conforms, 1 if something deviates, 2 for a wrong option or
a case that cannot be judged. It is 3 without a GPU.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.arguments import make_parser
from conformance.adapters import Adapter, Solution, installed
from conformance.adapters.adapter import as_arrays
from conformance.cases import ON_DEMAND
from conformance.cases.case import Case
from conformance.cases.casefile import load_all, shipped_cases
from conformance.commands import parser as command_line
from conformance.commands.cli import INTERRUPTED
from conformance.commands.run import execute
from conformance.errors import MISSING, UserError
from conformance.reports import marked
from conformance.results.reader import Report, read
from conformance.results.record import Result
from conformance.results.summary import Cell, by_implementation, dtypes, error_ratios, format_error_ratio
from conformance.run import implementations
from conformance.verdict.problem import make_problem
from conformance.worker.failures import WorkerError

IMPLEMENTATIONS = ("torch.nn.LSTM[cuda]", "torch.nn.LSTM[cuda,native]", "torch.nn.LSTM[cuda,tf32]")
"""Names of the implementations that run on a GPU."""

FACTS = ("torch", "device", "cuDNN", "allow_tf32")
"""Facts about an implementation that are printed below the table."""

PROBE = Case(input_size=4, hidden_size=4, seq_len=2, batch=2)
"""A case that every implementation supports if it finds its device."""


def case_files() -> list[Path]:
    """Returns the folder of the shipped cases and the file of the cases for devices."""
    folder = shipped_cases()
    return [folder, folder / ON_DEMAND / "device.yaml"]


def refusal(adapter: Adapter) -> str | None:
    """Returns the reason why an implementation cannot run here, such as *no CUDA device*; None if it can."""
    try:
        return installed.missing(adapter) or adapter.supports(PROBE)
    except WorkerError as error:
        return str(error)


def solve_twice(adapter: Adapter, case: Case) -> bool:
    """Solves a case twice and returns whether all results are identical to the bit. An error counts as a difference."""
    problem = make_problem(case).under(adapter.dialect(case))

    def bits(solution: Solution) -> dict[str, tuple[str, bytes]]:
        return {name: (array.dtype.str, array.tobytes()) for name, array in as_arrays(solution).items()}

    try:
        return bits(adapter.solve(problem)) == bits(adapter.solve(problem))
    except WorkerError:
        return False


def repeat(report: Report, adapters: Iterable[Adapter], cases: Iterable[Case]) -> dict[str, list[bool]]:
    """Solves every case with results twice more.

    Args:
        report: the run.
        adapters: the implementations.
        cases: all cases.

    Returns:
        For each implementation, whether the results of each case were identical to the bit.
    """
    rows, by_key = by_implementation(report.results), {case.key: case for case in cases}

    def compared(result: Result) -> Case:
        case = by_key[result.key]
        return (result.unchecked and case.forward_only()) or case

    return {
        adapter.name: [
            solve_twice(adapter, compared(result)) for result in rows[adapter.name] if result.error_ratio is not None
        ]
        for adapter in adapters
        if adapter.name in rows
    }


def render(report: Report, identical: Mapping[str, Sequence[bool]]) -> str:
    """Returns the table in Markdown.

    Args:
        report: the run.
        identical: whether the results of each repeated case were identical, by implementation.
    """
    largest = error_ratios(report.results)
    columns = dtypes(largest)
    rows = []
    for name, results in by_implementation(report.results, report.planned).items():
        cell, same = Cell.of(results), identical.get(name, ())
        ratios = [format_error_ratio(largest.get((name, dtype))) for dtype in columns]
        counts = [cell.passed, cell.known, cell.deviating, cell.unsupported, cell.not_run]
        rows.append([marked.code(name), *map(str, counts), *ratios, f"{sum(same)} of {len(same)}"])
    head = ["implementation", "conform", "known", "fail", "unsupported", "not run", *columns, "identical twice"]
    return marked.table(head, rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the implementations, prints the table, and returns the exit code."""
    parser = make_parser("device", __doc__)
    text = "implementation to run; may be repeated; default: " + ", ".join(IMPLEMENTATIONS)
    parser.add_argument("-i", "--implementation", dest="names", action="append", metavar="NAME", help=text)
    parser.add_argument(
        "--output", type=Path, default=Path("device-report"), metavar="DIR", help="folder (default: %(default)s)"
    )
    args, rest = parser.parse_known_args(argv)
    try:
        return run(args.names or IMPLEMENTATIONS, args.output, rest)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def run(names: Sequence[str], folder: Path, options: Sequence[str]) -> int:
    """Runs the implementations that find their device, and prints the table.

    Args:
        names: names of the implementations on the command line.
        folder: folder for results and reports.
        options: other options of ``conformance run``.

    Returns:
        The exit code.
    """
    usable = {}
    for name, adapter in zip(names, implementations.load_all(names), strict=True):
        if reason := refusal(adapter):
            print(f"{name}: {reason}", file=sys.stderr)
        else:
            usable[name] = adapter
    if not usable:
        return MISSING
    files = case_files()
    selected = [word for name in usable for word in ("-i", name)]
    typed = ["run", *map(str, files), *selected, "--power", "off", "--output", str(folder), *options]
    arguments = command_line.make_parser().parse_args(typed)
    arguments.typed = typed
    if (code := execute(arguments)) == INTERRUPTED:
        return code
    report = read(folder / "results.jsonl")
    print(f"\n{render(report, repeat(report, usable.values(), load_all(files)))}")
    for name, facts in report.implementations.items():
        print(", ".join([name, *(f"{fact} {facts[fact]}" for fact in FACTS if fact in facts)]))
    return code


if __name__ == "__main__":
    sys.exit(main())
