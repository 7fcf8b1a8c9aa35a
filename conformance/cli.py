"""The command line: what can be typed. What it does is in ``conformance.commands``, a file for each command."""

from conformance import threads

threads.pin()  # Before anything imports NumPy.

import argparse  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402

from conformance import __version__  # noqa: E402
from conformance.errors import UserError  # noqa: E402
from conformance.shard import Shard  # noqa: E402

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
  conformance report results.jsonl --junit junit.xml
  conformance compare old.jsonl new.jsonl           what changed?

exit codes:
  0 conforms   1 a deviation   2 wrong command line or case file   3 implementation or environment missing
  130 interrupted
"""

_RUN = """\
Runs cases on implementations, prints a summary, and writes results.jsonl, report.md and index.html.

examples:
  conformance run                                          everything that is shipped
  conformance run cases/lengths.yaml -i torch.nn.LSTM      one file on one implementation
  conformance run -i mylib.py:MyLSTM -x                    your own adapter, up to its first deviation
  conformance run -k 'bidirectional and not (lengths or dropout)' --dtype float32
  conformance run --resume                                 go on where the last run was cut short
  conformance run --shard 2/5                              the second of five parts, for conformance merge
"""

_REPORT = """\
Writes a results file again in other formats; nothing is run or computed anew. Without an option it prints the report
in Markdown. Each file is there whole or not at all.

examples:
  conformance report results.jsonl                          Markdown, to standard output
  conformance report results.jsonl --html out/              the page that conformance run writes too
  conformance report results.jsonl --junit junit.xml --ctrf ctrf.json --badges badges/
  conformance report results.jsonl --summary "$GITHUB_STEP_SUMMARY" --baseline main.jsonl
  conformance report results.jsonl --csv rows.csv --parquet rows.parquet
"""

_MERGE = """\
Puts several results files into one: the shards of a run, or runs of different implementations. Nothing is merged while
something speaks against it, and all of that is named; --allow takes a list of what does not matter:

  duplicates  a case × implementation is in more than one file; that of the last file is kept
  gaps        a shard, or the rest of a run that was cut short, is missing; the merged file is then incomplete
  suite       the files are from different versions of the suite
  cases       the files are not from the same cases
  packages    an implementation has different versions in different files

examples:
  conformance run --shard 1/3 --output one              likewise 2/3 and 3/3, on three machines
  conformance merge one/results.jsonl two/results.jsonl three/results.jsonl -o results.jsonl
  conformance merge *.jsonl -o results.jsonl --allow gaps
"""

_COMPARE = """\
Says what changed between two runs: cases newly failing, fixed, newly unsupported or lost, headroom, defects seen no
longer, and versions. Rows are matched by what a case is, not by its name, and by the implementation, with or without
the version at its end (torch.nn.LSTM@2.9).

--fail-on takes a list of conditions; when one is met the exit code is 1:

  new-fail         deviates now, and did not before
  added-fail       deviates, and is not in the old run
  new-known        deviates now, as is known
  new-unsupported  was not unsupported before
  not-run          ran before, and did not run
  lost-case        is only in the old run
  headroom>2x      of some tensor, the 99th percentile over cases that pass in both runs grew by more than this factor
  lost-power       an implementation's passed checks see fewer of the defects than before
  provenance       versions, machine, threads or an implementation's description changed
  incomplete       one of the runs was cut short, or is void
  fixed, new-supported, added-case, other    other changes; none: never

examples:
  conformance compare old.jsonl new.jsonl
  conformance compare old.jsonl new.jsonl --fail-on new-fail,new-unsupported,lost-case,'headroom>2x'
  conformance compare old.jsonl new.jsonl --markdown changes.md --json > changes.json
"""

_TREND = """\
Says how each implementation did over several runs, the earliest first: conforming cases, known divergences, the
largest headroom of cases that pass, its 99th percentile and median, and the defects that the passed checks see. A star
marks a run in which the implementation's packages changed.

examples:
  conformance trend runs/*.jsonl
  conformance trend runs/*.jsonl --json > trend.json
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

    _add_reports(command)
    return parser


def _add_reports(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """The commands that read results files."""
    results = "results.jsonl of a run, complete or not"
    report = command("report", "write a results file in other formats", _REPORT)
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

    merge = command("merge", "put the results of shards together", _MERGE)
    merge.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=results)
    merge.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="where to write the merged file"
    )
    merge.add_argument("--allow", action="append", default=[], metavar="WHAT", help="what does not matter, see above")

    compare = command("compare", "what changed between two runs?", _COMPARE)
    compare.add_argument("old", type=Path, metavar="OLD", help=results)
    compare.add_argument("new", type=Path, metavar="NEW", help=results)
    text = "conditions, separated by commas, see above; default: new-fail"
    compare.add_argument("--fail-on", action="append", default=[], metavar="CONDITIONS", help=text)
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown too")
    text = "write the page of the new run, with what changed, into this folder"
    compare.add_argument("--html", type=Path, metavar="DIR", help=text)
    compare.add_argument("--json", action="store_true", help="print everything as JSON")

    trend = command("trend", "how did implementations do over several runs?", _TREND)
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


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
