"""``conformance compare``: what changed between two runs."""

import argparse
import json

from conformance import atomic
from conformance.compare import compare
from conformance.conditions import Conditions
from conformance.reports import comparison as shown
from conformance.results import read


def execute(args: argparse.Namespace) -> int:
    """Compares two results files; 1 when a condition of ``--fail-on`` is met."""
    conditions = Conditions.parse(args.fail_on) if args.fail_on else Conditions()
    comparison = compare(read(args.old), read(args.new))
    met = conditions.met(comparison)
    if args.json:
        print(json.dumps(shown.as_json(comparison, met), indent=2, ensure_ascii=False))
    else:
        for line in shown.lines(comparison, met):
            print(line)
    if args.markdown:
        atomic.write(args.markdown, "\n".join(shown.markdown(comparison, met)))
    return int(bool(met))
