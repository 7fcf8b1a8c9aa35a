"""``conformance list``: lists cases, implementations or known divergences without importing a framework."""

import argparse
from collections.abc import Iterator

from conformance.adapters import Adapter, installed, registry
from conformance.adapters.adapter import ELSEWHERE, ONLY_IF_NAMED
from conformance.cases.casefile import load_selected
from conformance.cases.features import DTYPES, FEATURES, USES, features
from conformance.cases.select import Selection
from conformance.errors import UserError
from conformance.known import divergences as known
from conformance.known import findings

_PAGE_HEAD = """\
# Implementations

The first table shows how each implementation stores the weights of a layer, and whether it computes gradients. The
gates are i, f, g (the candidate) and o, in the order in which the implementation stacks them.

The second table lists the features that each implementation supports and lacks. The suite reports cases with a missing
feature as `unsupported` and never emulates it. The third table lists the [uses](writing-a-case.md#uses) that adapters
drive, beyond one call of a fresh object.

`conformance list --implementations --markdown` generates this page.

| implementation | gates | biases | shape of weights | gradients | dtypes |
|---|---|---|---|---|---|
"""


def execute(args: argparse.Namespace) -> int:
    """Prints one line per entry, or a Markdown page."""
    if args.markdown and not (args.implementations or args.divergences):
        raise UserError("--markdown requires --implementations or --divergences")
    if args.implementations:
        print("\n".join(_implementation_page() if args.markdown else _implementations()))
    elif args.divergences:
        entries = known.shipped()
        print(findings.markdown(entries) if args.markdown else "\n".join(map(_divergence, entries)).rstrip())
    else:
        _cases(args)
    return 0


def _cases(args: argparse.Namespace) -> None:
    cases = load_selected(args.files, args.tags)
    selected = Selection(args.expression, tuple(args.tags), tuple(args.dtypes)).cases(cases)
    for case in selected:
        print(f"{case.id}  ({', '.join(features(case))})")
    print(f"{len(selected)} of {len(cases)} cases")


def _implementations() -> Iterator[str]:
    for name in registry.registered():
        adapter = registry.load(name)
        versions = ", ".join(f"{module} {version}" for module, version in installed.versions(adapter).items())
        only = f"; without -i only cases tagged {adapter.default_tag}" if adapter.default_tag else ""
        if adapter.default_tag == ONLY_IF_NAMED:
            only = "; runs only if named with -i"
        state = f"installed: {versions}"
        if installed.not_installed(adapter):
            state = f"not installed: {adapter.install}"
        elif wrong := installed.wrong_version(adapter):
            state = f"wrong version: {wrong}"
        yield f"{adapter.name:40} {state}{only}"


def _divergence(entry: known.Divergence) -> str:
    return f"{entry.id:40} {entry.package} {entry.versions}: {entry.what}"


def _implementation_page() -> Iterator[str]:
    adapters = [registry.load(name) for name in registry.registered()]
    yield _PAGE_HEAD + "\n".join(map(_layout, adapters))
    yield "\n| implementation | supports | lacks | install |\n|---|---|---|---|"
    yield "\n".join(map(_options, adapters))
    yield "\n| implementation | uses |\n|---|---|"
    yield "\n".join(_uses(adapter) for adapter in adapters if not adapter.features.isdisjoint(USES))


def _layout(adapter: Adapter) -> str:
    """Returns a row of the first table: layout of the weights, gradients and dtypes."""
    dtypes = ", ".join(dtype for dtype in DTYPES if dtype in adapter.features)
    gradients = "yes" if "gradients" in adapter.features else "no"
    layout = adapter.layout
    if layout is None:
        return f"| `{adapter.name}` | – | – | – | {gradients} | {dtypes} |"
    gates, stored = ", ".join(layout.gates), "(features, 4H)" if layout.transposed else "(4H, features)"
    return f"| `{adapter.name}` | {gates} | {layout.biases} | {stored} | {gradients} | {dtypes} |"


def _options(adapter: Adapter) -> str:
    """Returns a row of the second table: supported and missing features, and the command that installs it."""
    options = [feature for feature in FEATURES if feature not in (*DTYPES, *USES, "gradients")]
    supported = ", ".join(feature for feature in options if feature in adapter.features)
    missing = ", ".join(feature for feature in options if feature not in adapter.features)
    elsewhere = adapter.install == ELSEWHERE
    install = "[in another environment](other-environments.md)" if elsewhere else f"`{adapter.install}`"
    return f"| `{adapter.name}` | {supported} | {missing} | {install} |"


def _uses(adapter: Adapter) -> str:
    """Returns a row of the third table: supported ways of use."""
    return f"| `{adapter.name}` | {', '.join(use for use in USES if use in adapter.features)} |"
