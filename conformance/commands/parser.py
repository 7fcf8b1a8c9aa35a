"""The commands of the command line and their options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from conformance import __version__
from conformance.commands import options, usage


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = _new(argparse.ArgumentParser, "Check LSTM implementations against a NumPy reference.", usage.EXAMPLES)
    parser.prog = "conformance"
    parser.add_argument("--version", action="version", version=f"conformance {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=about, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )

    run = command("run", "run cases on implementations", usage.RUN)
    options.add_files(run)
    options.add_implementations(run)
    run.add_argument("--json", action="store_true", help="print only the summary, as JSON")
    text = "run the I-th of N parts; `conformance merge` combines their results"
    run.add_argument("--shard", type=options.shard, metavar="I/N", help=text)
    options.add_run(run)
    options.add_dask(run)

    _add_history(command)

    campaign = command("campaign", "run random cases, and shrink each deviation", usage.CAMPAIGN)
    _add_campaign(campaign)

    check = command("check", "validate case files", usage.CHECK)
    options.add_files(check)
    check.add_argument("--no-cache", action="store_true", help="compute every reference and budget again")
    options.add_limits(check)
    check.add_argument(
        "--certify",
        action="store_true",
        help="warn about cases that do not detect a change of 1e-3 in some part of their weights",
    )

    power = command("power", "measure which defects the cases detect", usage.POWER)
    options.add_files(power)
    options.add_selection(power)
    options.add_limits(power)
    _add_power(power)

    listing = command("list", "list cases, implementations or known divergences", usage.LIST)
    options.add_files(listing)
    options.add_selection(listing)
    listing.add_argument("--implementations", action="store_true", help="list the registered implementations instead")
    listing.add_argument("--divergences", action="store_true", help="list the known divergences instead")
    listing.add_argument("--markdown", action="store_true", help="print the list as a Markdown page")

    repro = command("repro", "print the script that reproduces a known divergence, or a report of it", usage.REPRO)
    repro.add_argument("id", metavar="ID", help="id of the divergence, as shown by `conformance list --divergences`")
    text = "run the script and print a report for the maintainers, as Markdown, instead"
    repro.add_argument("--issue", action="store_true", help=text)

    command("schema", "print the JSON Schema of case files", "Print the JSON Schema of case files, for editors.")

    doctor = command("doctor", "show what is installed and what is missing", usage.DOCTOR)
    options.add_implementations(doctor)
    doctor.add_argument("--deep", action="store_true", help="import each implementation and let it describe itself")
    text = "time limit for each implementation with --deep; default: %(default)s"
    doctor.add_argument("--deadline", type=options.seconds, default=120, metavar="SECONDS", help=text)
    doctor.add_argument("--json", action="store_true", help="print everything as JSON")
    text = "remove the environments that were created for NAME@package==version, and exit"
    doctor.add_argument("--prune", action="store_true", help=text)

    smoke = command("smoke", "run ten cases from easy to hard on one implementation", usage.SMOKE)
    smoke.add_argument("name", metavar="NAME", help="a registered name, path/file.py:Class or package.module:Class")
    smoke.add_argument("--no-cache", action="store_true", help="compute every reference and budget again")

    dissect = command(
        "dissect", "find out by experiment what an implementation reads and returns wrongly", usage.DISSECT
    )
    options.add_implementations(dissect, required=True)
    dissect.add_argument("files", nargs="*", type=Path, metavar="FILE", help="explain the failing cases of these files")
    options.add_selection(dissect)
    dissect.add_argument("--json", action="store_true", help="print everything as JSON")

    new = command("new", "write the skeleton of an adapter", usage.NEW)
    new.add_argument("kind", choices=["adapter"], help="what to write")
    new.add_argument("name", metavar="NAME", help="name of the implementation, such as mylib.LSTM")
    new.add_argument("--output", type=Path, metavar="FILE", help="file to write; default: after the implementation")

    _add_convert(command)
    _add_vectors(command("vectors", "write or verify test vectors for other languages", usage.VECTORS))
    _add_reports(command)
    return parser


def _add_history(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds the commands that run several releases of a package."""
    package = "distribution whose releases to run; default: the implementation's own"
    other = "further requirement of each environment, such as 'jax<0.9'; may be repeated"

    versions = command("versions", "run cases on several releases of a package", usage.VERSIONS)
    versions.add_argument("name", metavar="NAME", nargs="?", help="a registered name or path/file.py:Class")
    versions.add_argument("--package", default="", metavar="P", help=package)
    versions.add_argument("--last", type=options.positive, metavar="N", help="only the newest N of them; default: 8")
    versions.add_argument("--from", dest="first", type=options.version, metavar="A", help="only A and newer")
    versions.add_argument("--to", dest="to", type=options.version, metavar="B", help="only B and older")
    versions.add_argument("--each-minor", action="store_true", help="only the newest patch of each minor release")
    versions.add_argument("--with", dest="others", action="append", default=[], metavar="REQUIREMENT", help=other)
    text = "check that adapters run over the range of their extra, and print the table as Markdown"
    versions.add_argument("--check", action="store_true", help=text)
    options.add_run(versions)
    versions.set_defaults(power="off", implementations=[], shard=None, files=[])

    bisect = command("bisect", "find the releases in which a deviation began and ended", usage.BISECT)
    bisect.add_argument("what", metavar="FINDING|CASE", help="id of a known divergence or of a case")
    bisect.add_argument("-i", dest="name", default="", metavar="NAME", help="implementation; required for a case")
    bisect.add_argument("--package", default="", metavar="P", help=package)
    bisect.add_argument("--from", dest="first", type=options.version, metavar="A", help="only A and newer")
    bisect.add_argument("--to", dest="to", type=options.version, metavar="B", help="only B and older")
    bisect.add_argument("--with", dest="others", action="append", default=[], metavar="REQUIREMENT", help=other)
    bisect.add_argument("--write", action="store_true", help="write the range into the entry of the divergence")


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    options.add_implementations(parser)
    text = "minutes of the whole campaign, shared by the implementations; default: 5 unless --cases is given"
    parser.add_argument("--minutes", type=options.amount, metavar="N", help=text)
    parser.add_argument("--cases", type=options.positive, metavar="N", help="number of cases for each implementation")
    text = "seed of all cases; the same seed gives the same cases; default: %(default)s"
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=text)
    text = "vary only the options that the shipped cases with this tag set; may be repeated"
    parser.add_argument("--tag", dest="tags", action="append", default=[], metavar="TAG", help=text)
    text = "CPU seconds that the reference and the budget of a case may take, as estimated; default: %(default)s"
    parser.add_argument("--max-seconds", type=options.amount, default=1.0, metavar="SECONDS", help=text)
    text = "rows to keep: all, or deviations, so that a file of a million cases stays small; default: %(default)s"
    parser.add_argument("--keep", choices=["all", "deviations"], default="all", help=text)
    parser.add_argument("--resume", action="store_true", help="continue an interrupted campaign")
    text = "folder for results.jsonl, campaign.json and the case files of deviations; default: %(default)s"
    parser.add_argument("--output", type=Path, default=Path("conformance-campaign"), metavar="DIR", help=text)
    text = "implementations to run at once; default: all processors, if memory suffices"
    parser.add_argument("-j", dest="jobs", type=options.positive, metavar="N", help=text)
    options.add_dask(parser)
    options.add_process_limits(parser)


def _add_power(parser: argparse.ArgumentParser) -> None:
    text = (
        "also measure the power of the cases that this implementation supports, and the power that its unsupported "
        "options cost; takes the same names as run -i; may be repeated"
    )
    parser.add_argument("--against", action="append", default=[], metavar="NAME", help=text)
    parser.add_argument("--published", action="store_true", help="print only a comparison with published test vectors")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--matrix", type=Path, metavar="FILE", help="write the kill matrix, .csv or .jsonl")
    parser.add_argument(
        "-j", dest="jobs", type=options.positive, metavar="N", help="processes; default: one per processor"
    )
    parser.add_argument("--no-cache", action="store_true", help="compute every row again")
    parser.add_argument(
        "--write",
        action="store_true",
        help="store which defects the shipped cases detect in the package, and exit",
    )


def _add_convert(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    convert = command("convert", "convert the weights of LSTMs to another framework", usage.CONVERT)
    convert.add_argument("source", type=Path, metavar="SOURCE", help="checkpoint to read")
    convert.add_argument("target", type=Path, metavar="TARGET", help="file to write")
    text = "framework of the source; by default, found by the names and shapes of its tensors"
    convert.add_argument("--from", dest="source_framework", default="", metavar="NAME", help=text)
    text = "framework of the target; by default, the only one that writes such files"
    convert.add_argument("--to", default="", metavar="NAME", help=text)
    text = "convert the LSTMs with this name, in which * matches any text; may be repeated, which also sets their order"
    convert.add_argument("--layer", dest="layers", action="append", default=[], metavar="PATTERN", help=text)
    text = "the LSTMs form pairs: the forward and the reverse direction of a layer"
    convert.add_argument("--bidirectional", action="store_true", help=text)
    text = "each LSTM reads the output of the one before it: convert them to one LSTM with several layers"
    convert.add_argument("--stack", action="store_true", help=text)
    text = "copy all other tensors, unchanged and under their own names"
    convert.add_argument("--all", action="store_true", help=text)
    text = "number that tf.raw_ops.BlockLSTM adds to the forget gate, which no checkpoint contains"
    convert.add_argument("--forget-bias", type=float, metavar="NUMBER", help=text)
    text = "run both frameworks with the weights, and write the file only if both conform"
    convert.add_argument("--check", action="store_true", help=text)


def _add_vectors(vectors: argparse.ArgumentParser) -> None:
    actions = vectors.add_subparsers(dest="action", required=True, metavar="ACTION")
    text = "write cases with their numbers, budgets and flags"
    export = actions.add_parser("export", help=text, description=text.capitalize() + ".")
    options.add_files(export)
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to")
    text = "named set of shipped cases, see `conformance vectors --help`; may be repeated"
    # Importing the sets would import NumPy for every command.
    export.add_argument("--set", dest="sets", action="append", default=[], choices=usage.VECTOR_SETS, help=text)
    options.add_selection(export)
    text = "select cases that need no other features than these, separated by commas, such as plain,bidirectional"
    export.add_argument("--features", metavar="FEATURES", help=text)
    text = "leave out vectors of more numbers, unless --set is given; default: %(default)s"
    export.add_argument("--max-numbers", type=options.positive, default=10_000, metavar="N", help=text)
    text = "keep the fewest cases that detect as many mistakes"
    export.add_argument("--minimal", action="store_true", help=text)
    export.add_argument(
        "--format", choices=["json", "safetensors", "onnx"], default="json", help="format; default: %(default)s"
    )
    options.add_limits(export)
    text = "verify the structure, checksums, numbers and flags of vector files"
    check = actions.add_parser("check", help=text, description=text.capitalize() + ".")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="vector files, or folders of them")


def _add_reports(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds the commands that read results files."""
    results = "results.jsonl of a complete or incomplete run"
    report = command("report", "convert a results file to other formats", usage.REPORT)
    report.add_argument("results", type=Path, help=results)
    for option, metavar, text in (
        ("--html", "DIR", "write the page, index.html, which needs no network and no server"),
        ("--output", "FILE", "write the Markdown report"),
        ("--summary", "FILE", "write Markdown for the summary of a CI job: failures and changes first, at most 900 kB"),
        ("--baseline", "OLD", "results.jsonl of an earlier run; the summary lists what changed"),
        ("--junit", "FILE", "write JUnit XML with a test case for each case × implementation"),
        ("--ctrf", "FILE", "write JSON in the Common Test Report Format"),
        ("--badges", "DIR", "write a JSON file for each implementation, for shields.io's endpoint badge"),
        ("--csv", "FILE", "write the rows as CSV"),
        ("--parquet", "FILE", "write the rows as Parquet; needs pyarrow"),
    ):
        report.add_argument(option, type=Path, metavar=metavar, help=text)
    text = "print workflow commands that annotate the case files in a job of GitHub Actions"
    report.add_argument("--annotations", action="store_true", help=text)

    merge = command("merge", "combine results files, such as the shards of a run", usage.MERGE)
    merge.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=results)
    merge.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="file to write")
    merge.add_argument("--allow", action="append", default=[], metavar="WHAT", help="conflicts to ignore, see above")

    compare = command("compare", "show what changed between two runs", usage.COMPARE)
    compare.add_argument("old", type=Path, metavar="OLD", help=results)
    compare.add_argument("new", type=Path, metavar="NEW", help=results)
    text = "conditions, separated by commas, see above; default: new-fail"
    compare.add_argument("--fail-on", action="append", default=[], metavar="CONDITIONS", help=text)
    compare.add_argument("--markdown", type=Path, metavar="FILE", help="also write the comparison as Markdown")
    text = "write the page of the new run, with the changes, into this folder"
    compare.add_argument("--html", type=Path, metavar="DIR", help=text)
    compare.add_argument("--json", action="store_true", help="print everything as JSON")

    trend = command("trend", "show how implementations changed over several runs", usage.TREND)
    trend.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=results)
    trend.add_argument("--json", action="store_true", help="print everything as JSON")
    text = "write the page of the last run, with a chart of all runs, into this folder"
    trend.add_argument("--html", type=Path, metavar="DIR", help=text)


def _new(kind: type[argparse.ArgumentParser], text: str, epilog: str) -> argparse.ArgumentParser:
    return kind(description=text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter)
