"""The command line: what can be typed. What it does is in ``conformance.commands``, a file for each command."""

from conformance import threads

threads.pin()  # Before anything imports NumPy.

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402

from conformance import __version__  # noqa: E402
from conformance.cases.shard import Shard  # noqa: E402
from conformance.commands import usage  # noqa: E402
from conformance.errors import MISSING, UserError  # noqa: E402

INTERRUPTED = 130
LONGEST = 10**6
"""Seconds that can be asked for."""
PIPE = 141
"""Whoever reads has gone: what a shell says of a process that SIGPIPE ended."""

_EXPRESSION = "and, or, not and parentheses over parts of a case's id, its tags and the implementation's name"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = _parser().parse_args(arguments)
    args.typed = arguments
    try:
        with _standard_output():
            code: int = import_module(f"conformance.commands.{args.command}").execute(args)
    except UserError as error:
        if str(error):
            print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


@contextmanager
def _standard_output() -> Iterator[None]:
    """Standard output, whatever becomes of it meanwhile.

    Raises:
        UserError: whoever read it has gone, or it cannot be written to.
    """
    if sys.stdout is None:  # It was closed before we began.
        with open(os.devnull, "w", encoding="utf-8") as sys.stdout:  # noqa: PTH123
            yield
        return
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        # Python must not try to flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        gone = isinstance(error, BrokenPipeError)
        raise UserError(
            "" if gone else f"standard output: cannot be written: {error.strerror}", PIPE if gone else MISSING
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = _new(argparse.ArgumentParser, "Checks LSTM implementations against a NumPy reference.", usage.EXAMPLES)
    parser.prog = "conformance"
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, text: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=about, description=text or about, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    run = command("run", "run cases on implementations", usage.RUN)
    _add_files(run)
    _add_implementations(run)
    _add_selection(run)
    run.add_argument("--json", action="store_true", help="print a summary as JSON, and nothing else")
    run.add_argument("-x", dest="max_fail", action="store_const", const=1, help="stop at the first deviation")
    run.add_argument("--max-fail", type=_positive, metavar="N", help="stop after N deviations")
    text = "run the I-th of N parts; conformance merge puts the results of all of them together"
    run.add_argument("--shard", type=_shard, metavar="I/N", help=text)
    run.add_argument("--resume", action="store_true", help="go on with the results file of the same run")
    _add_output(run)
    run.add_argument("--no-cache", action="store_true", help="compute every reference and budget anew")
    run.add_argument("--no-diagnosis", action="store_true", help="do not look for what explains a failure")
    _add_workers(run)

    check = command("check", "validate case files", "Validates case files: every mistake with its place.")
    _add_files(check)
    check.add_argument("--no-cache", action="store_true", help="compute every reference and budget anew")
    check.add_argument(
        "--certify",
        action="store_true",
        help="warn of cases that do not see a part of their weights: a change of 1e-3 would pass",
    )

    power = command("power", "what would these cases catch?", usage.POWER)
    _add_files(power)
    _add_selection(power)
    _add_power(power)

    listing = command("list", "list cases, implementations or known divergences")
    _add_files(listing)
    _add_selection(listing)
    listing.add_argument("--implementations", action="store_true", help="list the registered implementations instead")
    listing.add_argument("--divergences", action="store_true", help="list the known divergences instead")
    listing.add_argument("--markdown", action="store_true", help="as a page: of implementations, or of divergences")

    repro = command("repro", "print the script that shows a known divergence", usage.REPRO)
    repro.add_argument("id", metavar="ID", help="the divergence, as results and conformance list --divergences name it")

    command("schema", "print the JSON Schema of case files", "Prints the JSON Schema of case files, for editors.")

    doctor = command("doctor", "what is installed, and what is missing?", usage.DOCTOR)
    _add_implementations(doctor)
    doctor.add_argument("--deep", action="store_true", help="import each implementation and ask it")
    text = "how long each may take with --deep; default: %(default)s"
    doctor.add_argument("--deadline", type=_seconds, default=120, metavar="SECONDS", help=text)
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")

    smoke = command("smoke", "ten cases from easy to hard on one implementation", usage.SMOKE)
    smoke.add_argument("name", metavar="NAME", help="a registered name, path/file.py:Class or package.module:Class")
    smoke.add_argument("--no-cache", action="store_true", help="compute every reference and budget anew")

    new = command("new", "write the skeleton of an adapter", usage.NEW)
    new.add_argument("kind", choices=["adapter"], help="what to write")
    new.add_argument("name", metavar="NAME", help="what the implementation is called, such as mylib.LSTM")
    new.add_argument("--output", type=Path, metavar="FILE", help="where to write it; default: after its name")

    _add_reports(command)
    return parser


def _add_reports(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """The commands that read results files."""
    results = "results.jsonl of a run, complete or not"
    report = command("report", "write a results file in other formats", usage.REPORT)
    report.add_argument("results", type=Path, help=results)
    for option, metavar, text in (
        ("--html", "DIR", "the page, as index.html: it needs no network and no server"),
        ("--output", "FILE", "the report in Markdown"),
        ("--summary", "FILE", "Markdown for the summary of a CI job: failures and changes first, at most 900 kB"),
        ("--baseline", "OLD", "results.jsonl of an earlier run: the summary says what changed"),
        ("--junit", "FILE", "JUnit XML: a test case for each case × implementation"),
        ("--ctrf", "FILE", "JSON in the Common Test Report Format"),
        ("--badges", "DIR", "a JSON file for each implementation, for shields.io's endpoint badge"),
        ("--csv", "FILE", "the rows as CSV"),
        ("--parquet", "FILE", "the rows as Parquet; needs pyarrow"),
    ):
        report.add_argument(option, type=Path, metavar=metavar, help=text)

    merge = command("merge", "put the results of shards together", usage.MERGE)
    merge.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=results)
    merge.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the merged file"
    )
    merge.add_argument("--allow", action="append", default=[], metavar="WHAT", help="what does not matter, see above")

    compare = command("compare", "what changed between two runs?", usage.COMPARE)
    compare.add_argument("old", type=Path, metavar="OLD", help=results)
    compare.add_argument("new", type=Path, metavar="NEW", help=results)
    text = "conditions, separated by commas, see above; default: new-fail"
    compare.add_argument("--fail-on", action="append", default=[], metavar="CONDITIONS", help=text)
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown too")
    text = "write the page of the new run, with what changed, into this folder"
    compare.add_argument("--html", type=Path, metavar="DIR", help=text)
    compare.add_argument("--json", action="store_true", help="print everything as JSON")

    trend = command("trend", "how did implementations do over several runs?", usage.TREND)
    trend.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=results)
    trend.add_argument("--json", action="store_true", help="print everything as JSON")
    text = "write the page of the last run, with a chart of all of them, into this folder"
    trend.add_argument("--html", type=Path, metavar="DIR", help=text)


def _new(kind: type[argparse.ArgumentParser], text: str, epilog: str) -> argparse.ArgumentParser:
    return kind(description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter)


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="case files or folders; default: the shipped ones"
    )


def _add_implementations(parser: argparse.ArgumentParser) -> None:
    text = (
        "a registered name, path/file.py:Class, package.module:Class, 'cmd:./program args' for one that speaks the "
        "worker protocol, or python:/path/to/python:NAME for another environment's; may be repeated; "
        "default: all registered"
    )
    parser.add_argument(
        "-i", "--implementation", dest="implementations", action="append", default=[], metavar="NAME", help=text
    )


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", dest="expression", default="", metavar="EXPR", help=_EXPRESSION)
    parser.add_argument(
        "--tag", dest="tags", action="append", default=[], help="only cases with this tag; may be repeated"
    )
    dtypes = ("float64", "float32", "float16", "bfloat16")
    parser.add_argument("--dtype", dest="dtypes", action="append", default=[], choices=dtypes, help="may be repeated")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("conformance-report"),
        metavar="DIR",
        help="folder of results.jsonl, report.md and index.html; default: %(default)s",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--in-process",
        action="store_true",
        help="run implementations in this process: a crash then ends the run. By default each has a process of its own",
    )
    parser.add_argument(
        "-j", dest="jobs", type=_positive, default=1, metavar="N", help="implementations at once; default: %(default)s"
    )
    text = "after which a case is given up, and its process ended; default: %(default)s"
    parser.add_argument("--timeout", type=_seconds, default=60, metavar="SECONDS", help=text)
    text = "how much memory an implementation's process may have; default: any"
    parser.add_argument("--memory-limit", type=_positive, default=0, metavar="MIB", help=text)


def _add_power(parser: argparse.ArgumentParser) -> None:
    text = (
        "also with those cases alone that this implementation supports, and what its unsupported options cost; "
        "named as for run -i; may be repeated"
    )
    parser.add_argument("--against", action="append", default=[], metavar="NAME", help=text)
    parser.add_argument(
        "--published", action="store_true", help="only the table of published suites beside these cases"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--matrix", type=Path, metavar="FILE", help="write the kill matrix, .csv or .jsonl")
    parser.add_argument("-j", dest="jobs", type=_positive, metavar="N", help="processes; default: one per processor")
    parser.add_argument("--no-cache", action="store_true", help="compute every row anew")
    parser.add_argument(
        "--write", action="store_true", help="write what the shipped cases see into the package, and end"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


def _seconds(text: str) -> int:
    if (seconds := _positive(text)) > LONGEST:
        raise argparse.ArgumentTypeError(f"must be at most {LONGEST} seconds, not {text}")
    return seconds


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
