"""``conformance list``: cases or implementations. No framework is imported."""

import argparse

from conformance import registry
from conformance.casefile import load_all, shipped_cases
from conformance.features import features
from conformance.select import Selection


def execute(args: argparse.Namespace) -> int:
    """Prints a line for each."""
    if args.implementations:
        return _implementations()
    cases = load_all(args.files or [shipped_cases()])
    selected = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(cases)
    for case in selected:
        print(f"{case.id}  ({', '.join(features(case))})")
    print(f"{len(selected)} of {len(cases)} cases")
    return 0


def _implementations() -> int:
    for adapter in registry.load_all():
        versions = ", ".join(f"{module} {version}" for module, version in registry.versions(adapter).items())
        only = f"; without -i only cases tagged {adapter.default_tag}" if adapter.default_tag else ""
        absent = registry.missing(adapter)
        state = f"not installed: {adapter.install}" if absent else f"installed: {versions}"
        print(f"{adapter.name:40} {state}{only}")
    return 0
