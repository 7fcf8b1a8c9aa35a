"""``conformance check``: are these case files right? No framework is imported."""

import argparse
from collections import Counter

from conformance.cases.casefile import load_all, shipped_cases
from conformance.defects.power.certificate import certify
from conformance.errors import UserError
from conformance.verdict.oracle import ChaoticCaseError, Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect


def execute(args: argparse.Namespace) -> int:
    """Reads the files, and passes each case through the gate that refuses chaotic ones."""
    cases = load_all(args.files or [shipped_cases()])
    oracle = Oracle(None) if args.no_cache else Oracle()
    refused: list[str] = []
    for case in cases:
        try:
            oracle.expect(make_problem(case), PROFILES[case.dtype], Dialect())
        except ChaoticCaseError as error:
            refused.append(f"{case.file}:{case.line}: {case.name} cannot be judged: {error}")
    if refused:
        raise UserError("\n".join(refused))
    if args.certify:
        for case in cases:
            if not (certificate := certify(case, oracle)).holds:
                print(f"{case.file}:{case.line}: warning: {case.name}: {certificate}")
    for file, number in Counter(case.file for case in cases).items():
        print(f"{number:5}  {file}")
    print(f"{len(cases):5}  cases, all right")
    return 0
