"""``conformance doctor``: shows what is installed and what is missing.

Frameworks are imported only with ``--deep``, each in its own process.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from conformance import __version__, system, threads
from conformance.adapters import registry
from conformance.cache import default_cache
from conformance.cases.casefile import load_all, shipped_cases
from conformance.environments import environment
from conformance.environments.environment import Environment
from conformance.errors import MISSING, UserError
from conformance.results.record import plain
from conformance.run.checkup import Checkup, check_import, check_packages

PACKAGES = ("numpy", "packaging", "pydantic", "pytest", "pytest-xdist", "PyYAML", "rich", "safetensors")
"""Distributions that the suite requires."""

_LABEL_WIDTH = 16


def execute(args: argparse.Namespace) -> int:
    """Checks the suite and the implementations, and prints the result; or removes the environments."""
    if args.prune:
        return _prune()
    with contextlib.redirect_stdout(sys.stderr):  # An adapter's module may print when it is imported.
        names = args.implementations or registry.registered()
        checkups = [check_import(name, args.deadline) if args.deep else check_packages(name) for name in names]
    code = 0 if any(checkup.usable for checkup in checkups) else MISSING
    content = _suite() | {
        "implementations": [checkup.as_json() for checkup in checkups],
        "complete": all(checkup.usable for checkup in checkups),
        "exit_code": code,
    }
    if args.json:
        print(json.dumps(plain(content), indent=2))
    else:
        _show(content, checkups, args.deep)
    return code


def _prune() -> int:
    """Removes all environments that were created on demand."""
    found = environment.installed()
    environment.remove_all()
    print(f"removed {_describe(found)} from {environment.folder()}")
    return 0


def _describe(environments: Sequence[Environment]) -> str:
    size = sum(each.bytes for each in environments)
    return f"{len(environments)} environment{'s' * (len(environments) != 1)}, {size / 2**20:.1f} MiB"


def _suite() -> dict[str, Any]:
    """Returns facts about the suite: versions, machine, threads, cases and cache."""
    try:
        cases: int | str = len(load_all([shipped_cases()]))
    except UserError as error:
        cases = str(error)
    return {
        "suite": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processors": system.available_cpus(),
        "blas": _blas(),
        "packages": {name: _version(name) for name in PACKAGES},
        "threads": threads.settings(),
        "cases": cases,
        "cache": _cache(default_cache()),
        "environments": [{**asdict(each), "folder": str(each.folder)} for each in environment.installed()],
    }


def _blas() -> str:
    """Returns the name and version of the BLAS library that NumPy was built with."""
    found: Any = np.show_config(mode="dicts") or {}
    blas = found.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _version(package: str) -> str:
    """Returns the installed version of a distribution; empty if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cache(folder: Path) -> dict[str, Any]:
    """Returns the folder and size of the oracle's cache, and whether it is writable."""
    sizes = []
    for path in folder.glob("??/*"):
        with contextlib.suppress(OSError):  # Another run may have removed the file.
            sizes.append(path.stat().st_size)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    return {"folder": str(folder), "entries": len(sizes), "bytes": sum(sizes), "writable": writable}


def _show(content: Mapping[str, Any], checkups: Sequence[Checkup], deep: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    cache = content["cache"]
    state = f"{cache['entries']} entries, {cache['bytes'] / 2**20:.1f} MiB{'' if cache['writable'] else ', READ-ONLY'}"
    rows = {
        "conformance": content["suite"],
        "python": f"{content['python']}, {content['executable']}",
        "platform": f"{content['platform']}, {content['processors']} processors",
        "packages": ", ".join(f"{name} {version or 'MISSING'}" for name, version in content["packages"].items()),
        "BLAS": content["blas"],
        "threads": ", ".join(f"{name}={value or '(unset)'}" for name, value in content["threads"].items()),
        "shipped cases": content["cases"],
        "cache": f"{cache['folder']}: {state}",
        "environments": f"{environment.folder()}: {_describe(environment.installed())}",
    }
    for name, value in rows.items():
        console.print(Text(f"{name:{_LABEL_WIDTH}}{value}"))
    for checkup in checkups:
        _show_one(console, checkup)
    console.print()
    usable = sum(checkup.usable for checkup in checkups)
    if content["complete"]:
        console.print(Text(f"all {usable} implementations can run", style="bold green"))
    else:
        line = f"{usable} of {len(checkups)} implementations can run. A run leaves out the others"
        console.print(Text(line, style="bold red"))
    if not deep:
        console.print(
            Text("No framework was imported. Use --deep to import each one and show devices, threads and kernels")
        )


def _show_one(console: Console, checkup: Checkup) -> None:
    style = "bold green" if checkup.usable else "bold red"
    console.print()
    console.print(Text.assemble((checkup.name, "bold"), "  ", (checkup.state, style)))
    if checkup.versions:
        versions = ", ".join(f"{name} {version}" for name, version in checkup.versions.items())
        console.print(Text(f"    installed: {versions}"))
    for line in f"{checkup.missing}\n{checkup.trouble}".strip().splitlines():
        console.print(Text(f"    {line}"))
    for name, value in checkup.description.items():
        console.print(Text(f"    {name}: {value}"))
