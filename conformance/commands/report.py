"""``conformance report``: Markdown again from a results file."""

import argparse

from conformance.reports import markdown
from conformance.results import read


def execute(args: argparse.Namespace) -> int:
    """Writes or prints the report."""
    report = read(args.results)
    if args.output:
        markdown.write(args.output, report)
        print(f"report: {args.output}")
    else:
        print(markdown.render(report), end="")
    return 0
