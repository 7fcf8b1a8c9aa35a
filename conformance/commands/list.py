"""``conformance list``: cases, implementations or known divergences. No framework is imported."""

import argparse
from collections.abc import Iterator

from conformance.adapters import Adapter, installed, registry
from conformance.cases.casefile import load_all, shipped_cases
from conformance.cases.features import DTYPES, FEATURES, features
from conformance.cases.select import Selection
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.known import findings

_IMPLEMENTATIONS = """\
# Implementations

How each stores the weights of a layer, what it supports, and what it refuses: cases with those options are
`unsupported`, never emulated. Gates are i, f, g (the candidate) and o.

This page is written by `conformance list --implementations --markdown`.

| implementation | gates | biases | weights are stored as | gradients | dtypes |
|---|---|---|---|---|---|
"""


def execute(args: argparse.Namespace) -> int:
    """Prints a line for each, or a page."""
    if args.markdown and not (args.implementations or args.divergences):
        raise UserError("--markdown goes with --implementations or --divergences")
    if args.implementations:
        print("\n".join(_implementation_page() if args.markdown else _implementations()))
    elif args.divergences:
        entries = known.shipped()
        print(findings.markdown(entries) if args.markdown else "\n".join(map(_divergence, entries)).rstrip())
    else:
        _cases(args)
    return 0


def _cases(args: argparse.Namespace) -> None:
    cases = load_all(args.files or [shipped_cases()])
    selected = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(cases)
    for case in selected:
        print(f"{case.id}  ({', '.join(features(case))})")
    print(f"{len(selected)} of {len(cases)} cases")


def _implementations() -> Iterator[str]:
    for name in registry.registered():
        adapter = registry.load(name)
        versions = ", ".join(f"{module} {version}" for module, version in installed.versions(adapter).items())
        only = f"; without -i only cases tagged {adapter.default_tag}" if adapter.default_tag else ""
        absent = installed.missing(adapter)
        state = f"not installed: {adapter.install}" if absent else f"installed: {versions}"
        yield f"{adapter.name:40} {state}{only}"


def _divergence(entry: known.Divergence) -> str:
    return f"{entry.id:40} {entry.package} {entry.versions}: {entry.what}"


def _implementation_page() -> Iterator[str]:
    adapters = [registry.load(name) for name in registry.registered()]
    yield _IMPLEMENTATIONS + "\n".join(map(_layout, adapters))
    yield "\n| implementation | supports | refuses | install |\n|---|---|---|---|"
    yield "\n".join(map(_options, adapters))


def _layout(adapter: Adapter) -> str:
    dtypes = ", ".join(dtype for dtype in DTYPES if dtype in adapter.features)
    gradients = "yes" if "gradients" in adapter.features else "no"
    layout = adapter.layout
    if layout is None:
        return f"| `{adapter.name}` | – | – | – | {gradients} | {dtypes} |"
    gates, stored = ", ".join(layout.gates), "(features, 4H)" if layout.transposed else "(4H, features)"
    return f"| `{adapter.name}` | {gates} | {layout.biases} | {stored} | {gradients} | {dtypes} |"


def _options(adapter: Adapter) -> str:
    options = [feature for feature in FEATURES if feature not in (*DTYPES, "gradients")]
    has, lacks = ([each for each in options if (each in adapter.features) is there] for there in (True, False))
    return f"| `{adapter.name}` | {', '.join(has)} | {', '.join(lacks)} | `{adapter.install}` |"
