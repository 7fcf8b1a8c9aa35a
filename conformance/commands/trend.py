"""``conformance trend``: shows the results of each implementation over several runs."""

import argparse
import json
import sys

from conformance.reports.explain import printable
from conformance.reports.page import write as html
from conformance.reports.trend import lines
from conformance.results.reader import read
from conformance.results.trend import trend


def execute(args: argparse.Namespace) -> int:
    """Prints the trend, and writes its page if requested."""
    found = trend([read(path) for path in args.results])
    if args.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        for line in lines(found):
            print(printable(line))
    if args.html:
        page = html.write(args.html, found.runs[-1], {"trend": found.as_json()})
        print(f"page: {page}#/trend", file=sys.stderr if args.json else sys.stdout)
    return 0
