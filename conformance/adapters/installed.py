"""Which packages an adapter needs, and which of them are installed. Nothing here imports a framework."""

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata

from conformance.adapters.adapter import Adapter


def missing(adapter: Adapter) -> str | None:
    """What an adapter needs that is not installed, and the command that installs it. Imports none of it."""
    absent = [module for module in adapter.requires if not _is_installed(module)]
    if not absent:
        return None
    how = "" if adapter.install.startswith("see ") else "install with: "
    hint = f"; {how}{adapter.install}" if adapter.install else ""
    return f"{adapter.name} needs {' and '.join(absent)}, which {_is(absent)} not installed{hint}"


def versions(adapter: Adapter) -> dict[str, str]:
    """Returns the versions of the packages that an adapter requires, from its own environment if it has one."""
    return dict(adapter.packages) or {module: version(module) for module in adapter.requires}


@cache
def version(module: str) -> str:
    """The version of the distribution that a top-level module comes from; empty when there is none."""
    # A wheel may be named otherwise than its module: tensorflow comes in tensorflow-cpu too.
    for distribution in (module, f"{module}-cpu", *metadata.packages_distributions().get(module, ())):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return module in sys.modules


def _is(things: Sequence[str]) -> str:
    return "is" if len(things) == 1 else "are"
