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
  conformance list --implementations

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

    check = command("check", "validate case files", "Validates case files: every mistake with its place.")
    _add_files(check)
    check.add_argument("--no-cache", action="store_true", help="compute every reference and budget anew")

    listing = command("list", "list cases or implementations")
    _add_files(listing)
    _add_selection(listing)
    listing.add_argument("--implementations", action="store_true", help="list the registered implementations instead")

    command("schema", "print the JSON Schema of case files", "Prints the JSON Schema of case files, for editors.")

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
    text = "a registered name, path/file.py:Class or package.module:Class; may be repeated; default: all registered"
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


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
