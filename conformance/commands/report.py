"""``conformance report``: writes the results in other formats."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from conformance.errors import UserError
from conformance.reports import annotations, badges, csvfile, ctrf, jobsummary, junit, markdown, parquet
from conformance.reports.explain import printable
from conformance.reports.page import write as html
from conformance.results.reader import Report, read

WRITERS: Mapping[str, Callable[[Path, Report], None]] = {
    "output": markdown.write,
    "junit": junit.write,
    "ctrf": ctrf.write,
    "badges": badges.write,
    "csv": csvfile.write,
    "parquet": parquet.write,
}
"""Functions that write a report, by the command's option."""


def execute(args: argparse.Namespace) -> int:
    """Writes the requested reports. Without any, prints the report in Markdown."""
    report = read(args.results)
    if args.baseline and not args.summary:
        raise UserError("--baseline needs --summary: the summary shows what changed since the baseline")
    baseline = read(args.baseline) if args.baseline else None
    wanted = [name for name in (*WRITERS, "summary") if getattr(args, name)]
    for name in wanted:
        path: Path = getattr(args, name)
        if name == "summary":
            jobsummary.write(path, report, baseline)
        else:
            WRITERS[name](path, report)
        print(f"{'report' if name == 'output' else name}: {path}")
    if args.html:
        print(f"page: {html.write(args.html, report)}")
    if args.annotations:
        for line in annotations.render(report):
            print(line)
    if not (wanted or args.html or args.annotations):
        print(printable(markdown.render(report)), end="")
    return 0
