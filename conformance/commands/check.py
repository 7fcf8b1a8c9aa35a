"""``conformance check``: validates case files. No framework is imported."""

import argparse
from collections import Counter

from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.size import SizeLimits
from conformance.defects.power.certificate import certify
from conformance.errors import UserError
from conformance.run.rejection import describe, rejections
from conformance.verdict.oracle import Oracle


def execute(args: argparse.Namespace) -> int:
    """Reports every mistake in the files and every case that cannot be judged."""
    cases = load_all(args.files or [shipped_cases()])
    limits = SizeLimits.of(args.max_memory, args.max_case_seconds)
    oracle = Oracle(None) if args.no_cache else Oracle()
    if rejected := [describe(case, reason) for case, reason in rejections(cases, oracle, limits)]:
        raise UserError("\n".join(rejected))
    if args.certify:
        for case in cases:
            if not (certificate := certify(case, oracle)).holds:
                print(f"{case.file}:{case.line}: warning: {case.name}: {certificate}")
    for file, number in Counter(case.file for case in cases).items():
        print(f"{number:5}  {file}")
    print(f"{len(cases):5}  cases, all valid")
    return 0
