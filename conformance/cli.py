"""The command line: what can be typed. What it does is in ``conformance.commands``, a file for each command."""

from conformance import threads

threads.pin()  # Before anything imports NumPy.

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402

from conformance import __version__  # noqa: E402
from conformance.errors import UserError  # noqa: E402

INTERRUPTED = 130

_EXAMPLES = """\
examples:
  conformance run                                   every shipped case on every installed implementation
  conformance run -i torch.nn.LSTM -k bidirectional
  conformance run -i mylib.py:MyLSTM                your own implementation, from a file
  conformance check cases/mine.yaml                 is this case file right?
  conformance power                                 what would these cases catch?
  conformance list --implementations
  conformance doctor                                what is installed, what is missing?
  conformance new adapter mylib.LSTM                a skeleton to drive your own LSTM with
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter

exit codes:
  0 conforms   1 a deviation   2 wrong command line or case file   3 implementation or environment missing
  130 interrupted
"""

_RUN = """\
Runs cases on implementations, prints a summary, and writes results.jsonl and report.md.

examples:
  conformance run                                          everything that is shipped
  conformance run cases/lengths.yaml -i torch.nn.LSTM      one file on one implementation
  conformance run -i mylib.py:MyLSTM -x                    your own adapter, up to its first deviation
  conformance run -k 'bidirectional and not (lengths or dropout)' --dtype float32
  conformance run --resume                                 go on where the last run was cut short
"""

_POWER = """\
Measures what the cases would catch. A catalogue of defects, LSTMs that are wrong in one known way each, is run on
every case; a defect is seen where it deviates by more than twice the rounding budget. Power is the share of the
defects that apply which some case sees.

It prints the power by dtype and by feature, the defects that no case sees, the smallest size at which a defect is
seen, and the cases that add nothing. Exit code 1: a defect that applies is seen by no case.

examples:
  conformance power                                 the shipped cases
  conformance power mine.yaml                       is my case file worth running?
  conformance power --against torch.nn.LSTM         what do its unsupported options cost?
  conformance power --dtype float16 --matrix kills.csv
  conformance power --published                     the power of the vectors that others publish
"""

_DOCTOR = """\
Says what is installed: the suite and what it is built on, threads, the cache, and for each registered implementation
the versions found, what is missing and the command that installs it.

No framework is imported. With --deep each implementation is imported, in a process of its own, and describes itself:
devices, threads, kernels. One that crashes or hangs is reported as broken.

Exit code 0: at least one implementation can run; 3: none.

examples:
  conformance doctor
  conformance doctor --deep -i torch.nn.LSTM
  conformance doctor --json
"""

_SMOKE = """\
Runs ten small cases on one implementation, from easy to hard, up to the first deviation, which is shown with what
explains it. What the implementation does not support is said and passed over; where it has no gradients, only the
forward half of a case is run. Nothing is written.

examples:
  conformance smoke torch.nn.LSTM
  conformance smoke mylib_lstm_adapter.py:MylibLSTMAdapter
"""

_NEW = """\
Writes the skeleton of an adapter, with three lines to fill in: build the layer, run it, differentiate it.

examples:
  conformance new adapter mylib.LSTM                writes mylib_lstm_adapter.py
  conformance new adapter mylib.LSTM --output tests/adapter.py
"""

_REPRO = """\
Prints the stand-alone script that shows a known divergence of a released implementation. It needs that framework and
NumPy alone, prints what it expects and what it got, and exits with 1 while the deviation is there.

examples:
  conformance list --divergences
  conformance repro keras-nan-in-padding > repro.py
  conformance repro keras-nan-in-padding | python -
"""

_EXPRESSION = "and, or, not and parentheses over parts of a case's id, its tags and the implementation's name"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = _parser().parse_args(arguments)
    args.typed = arguments
    try:
        code: int = import_module(f"conformance.commands.{args.command}").execute(args)
        sys.stdout.flush()
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone; Python must not try to flush once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _new(argparse.ArgumentParser, "Checks LSTM implementations against a NumPy reference.", _EXAMPLES)
    parser.prog = "conformance"
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, text: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=about, description=text or about, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    run = command("run", "run cases on implementations", _RUN)
    _add_files(run)
    _add_implementations(run)
    _add_selection(run)
    run.add_argument("--json", action="store_true", help="print a summary as JSON, and nothing else")
    run.add_argument("-x", dest="max_fail", action="store_const", const=1, help="stop at the first deviation")
    run.add_argument("--max-fail", type=_positive, metavar="N", help="stop after N deviations")
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

    power = command("power", "what would these cases catch?", _POWER)
    _add_files(power)
    _add_selection(power)
    _add_power(power)

    listing = command("list", "list cases, implementations or known divergences")
    _add_files(listing)
    _add_selection(listing)
    listing.add_argument("--implementations", action="store_true", help="list the registered implementations instead")
    listing.add_argument("--divergences", action="store_true", help="list the known divergences instead")
    listing.add_argument("--markdown", action="store_true", help="as a page: of implementations, or of divergences")

    repro = command("repro", "print the script that shows a known divergence", _REPRO)
    repro.add_argument("id", metavar="ID", help="the divergence, as results and conformance list --divergences name it")

    command("schema", "print the JSON Schema of case files", "Prints the JSON Schema of case files, for editors.")

    doctor = command("doctor", "what is installed, and what is missing?", _DOCTOR)
    _add_implementations(doctor)
    doctor.add_argument("--deep", action="store_true", help="import each implementation and ask it")
    text = "how long each may take with --deep; default: %(default)s"
    doctor.add_argument("--deadline", type=_positive, default=120, metavar="SECONDS", help=text)
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")

    smoke = command("smoke", "ten cases from easy to hard on one implementation", _SMOKE)
    smoke.add_argument("name", metavar="NAME", help="a registered name, path/file.py:Class or package.module:Class")
    smoke.add_argument("--no-cache", action="store_true", help="compute every reference and budget anew")

    new = command("new", "write the skeleton of an adapter", _NEW)
    new.add_argument("kind", choices=["adapter"], help="what to write")
    new.add_argument("name", metavar="NAME", help="what the implementation is called, such as mylib.LSTM")
    new.add_argument("--output", type=Path, metavar="FILE", help="where to write it; default: after its name")

    report = command("report", "write the Markdown report of a results file")
    report.add_argument("results", type=Path, help="results.jsonl of a run, complete or not")
    report.add_argument("--output", type=Path, metavar="FILE", help="where to write it; standard output by default")
    return parser


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
        help="folder of results.jsonl and report.md; default: %(default)s",
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
    parser.add_argument("--timeout", type=_positive, default=60, metavar="SECONDS", help=text)
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


if __name__ == "__main__":
    sys.exit(main())
