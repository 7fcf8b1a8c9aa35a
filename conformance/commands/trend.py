"""``conformance trend``: how implementations did over several runs."""

import argparse
import json

from conformance.reports import overtime
from conformance.results import read
from conformance.trend import trend


def execute(args: argparse.Namespace) -> int:
    """Prints the trend."""
    found = trend([read(path) for path in args.results])
    if args.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        for line in overtime.lines(found):
            print(line)
    return 0
