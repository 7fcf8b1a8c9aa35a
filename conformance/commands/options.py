"""Options that several commands share, and the types of their values."""

import argparse
import re
from pathlib import Path

from conformance import system
from conformance.cases.shard import Shard
from conformance.cases.size import MAX_SECONDS as MAX_CASE_SECONDS
from conformance.cases.size import parse_bytes

MAX_SECONDS = 10**6

_EXPRESSION = (
    "select cases whose id, tags or implementation's name match an expression with and, or, not and parentheses, "
    "such as 'bidirectional and not lengths'"
)

_POWER = (
    "which defects the passed cases detect: auto measures a sample of the cases, expensive ones at reduced sizes; full "
    "measures every case at its own sizes; off measures nothing; default: %(default)s"
)


def add_run(run: argparse.ArgumentParser) -> None:
    """Adds the options of commands that run cases and write a results file."""
    add_selection(run)
    run.add_argument("-x", dest="max_fail", action="store_const", const=1, help="stop at the first deviation")
    run.add_argument("--max-fail", type=positive, metavar="N", help="stop after N deviations")
    run.add_argument("--resume", action="store_true", help="continue an interrupted run, keeping the results so far")
    add_output(run)
    run.add_argument("--no-cache", action="store_true", help="compute every reference and budget again")
    run.add_argument("--no-diagnosis", action="store_true", help="do not diagnose failures")
    run.add_argument("--power", choices=["auto", "full", "off"], default="auto", help=_POWER)
    add_limits(run)
    add_workers(run)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Adds the case files."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="case files or folders; default: the shipped cases"
    )


def add_implementations(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Adds ``-i``."""
    text = (
        "implementation to run: a registered name, path/file.py:Class, package.module:Class, 'cmd:./program args' for "
        "a program that speaks the worker protocol, python:/path/to/python:NAME for another environment, or "
        "NAME@package==version for an environment that is created for it; may be repeated"
        + ("" if required else "; default: all registered")
    )
    parser.add_argument(
        "-i",
        "--implementation",
        dest="implementations",
        action="append",
        default=[],
        required=required,
        metavar="NAME",
        help=text,
    )


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Adds the options that select cases."""
    parser.add_argument("-k", dest="expression", default="", metavar="EXPR", help=_EXPRESSION)
    parser.add_argument(
        "--tag", dest="tags", action="append", default=[], help="select cases with this tag; may be repeated"
    )
    dtypes = ("float64", "float32", "float16", "bfloat16")
    parser.add_argument(
        "--dtype",
        dest="dtypes",
        action="append",
        default=[],
        choices=dtypes,
        help="select cases of this dtype; may be repeated",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of results and reports."""
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("conformance-report"),
        metavar="DIR",
        help="folder for results.jsonl, report.md and index.html; default: %(default)s",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the limits of the reference and the budget."""
    text = (
        "memory, such as 24GB, that the reference and the budget of a case may take; larger cases are not run; "
        "default: $CONFORMANCE_MAX_MEMORY, else the memory that is available"
    )
    parser.add_argument("--max-memory", type=size_in_bytes, metavar="SIZE", help=text)
    text = (
        "CPU seconds that the reference and the budget of a case may take; longer cases are not run; default: "
        f"$CONFORMANCE_MAX_CASE_SECONDS, else {MAX_CASE_SECONDS:.0f}"
    )
    parser.add_argument("--max-case-seconds", type=seconds, metavar="SECONDS", help=text)


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Adds the options of implementations' processes."""
    text = (
        "run implementations in this process, one after the other, where a crash ends the run; by default each has its "
        "own process, except on Windows"
    )
    parser.add_argument("--in-process", action="store_true", default=not system.has_workers(), help=text)
    parser.add_argument(
        "-j",
        dest="jobs",
        type=positive,
        metavar="N",
        help="implementations to run at once, each on one processor; default: all processors, if memory suffices",
    )
    add_process_limits(parser)


def add_dask(parser: argparse.ArgumentParser) -> None:
    """Adds ``--dask``."""
    text = (
        "run on the cluster of the Dask scheduler at this address, such as tcp://host:8786; -j "
        "and --in-process then have no effect; needs the extra dask"
    )
    parser.add_argument("--dask", metavar="ADDRESS", help=text)


def add_process_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the limits of an implementation's process."""
    text = "time limit for each case, after which the implementation's process is killed; default: %(default)s"
    parser.add_argument("--timeout", type=seconds, default=60, metavar="SECONDS", help=text)
    text = "memory limit for an implementation's process; default: no limit"
    parser.add_argument("--memory-limit", type=positive, default=0, metavar="MIB", help=text)


def positive(text: str) -> int:
    """Parses a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, not {text!r}")
    return int(text)


def version(text: str) -> str:
    """Parses a version."""
    if not re.fullmatch(r"\d+(\.\d+)*", text):
        raise argparse.ArgumentTypeError(f"must be a version such as 3.8 or 3.8.0, not {text!r}")
    return text


def seconds(text: str) -> int:
    """Parses a number of seconds."""
    if (number := positive(text)) > MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_SECONDS} seconds, not {text}")
    return number


def amount(text: str) -> float:
    """Parses a positive number."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a number above 0 and at most {MAX_SECONDS}, not {text!r}")
    return number


def size_in_bytes(text: str) -> int:
    """Parses a number of bytes, such as ``24GB``."""
    try:
        return parse_bytes(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def shard(text: str) -> Shard:
    """Parses a shard, such as ``2/5``."""
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
