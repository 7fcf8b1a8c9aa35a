"""``conformance compare``: shows what changed between two runs."""

import argparse
import json
import sys

from conformance.reports import comparison as reports
from conformance.reports.explain import printable
from conformance.reports.page import write as html
from conformance.results import atomic
from conformance.results.compare import compare
from conformance.results.conditions import Conditions
from conformance.results.reader import read


def execute(args: argparse.Namespace) -> int:
    """Prints and writes a comparison of two results files. Returns 1 if a condition of ``--fail-on`` is met."""
    conditions = Conditions.parse(args.fail_on) if args.fail_on else Conditions()
    comparison = compare(read(args.old), read(args.new))
    met = conditions.met(comparison)
    if args.json:
        print(json.dumps(reports.as_json(comparison, met), indent=2, ensure_ascii=False))
    else:
        for line in reports.lines(comparison, met):
            print(printable(line))
    if args.markdown:
        atomic.write(args.markdown, "\n".join(reports.markdown(comparison, met)))
    if args.html:
        page = html.write(args.html, comparison.new, {"comparison": reports.as_json(comparison, met)})
        print(f"page: {page}#/compare", file=sys.stderr if args.json else sys.stdout)
    return int(bool(met))
