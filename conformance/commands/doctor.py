"""``conformance doctor``: what is installed, and what is missing. Only ``--deep`` imports a framework, elsewhere."""

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from conformance import __version__, threads
from conformance.adapters import registry
from conformance.cases.casefile import load_all, shipped_cases
from conformance.errors import MISSING, UserError
from conformance.results.record import plain
from conformance.run.checkup import Checkup, ask, look
from conformance.verdict.oracle import default_cache

PACKAGES = ("numpy", "packaging", "pydantic", "pytest", "pytest-xdist", "PyYAML", "rich")
"""What the suite itself is built on."""

_WIDTH = 16


def execute(args: argparse.Namespace) -> int:
    """Says what there is, and whether a run of everything would be complete."""
    with contextlib.redirect_stdout(sys.stderr):  # An adapter's module may print when it is imported.
        names = args.implementations or registry.registered()
        checkups = [ask(name, args.deadline) if args.deep else look(name) for name in names]
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


def _suite() -> dict[str, Any]:
    """Everything but the implementations."""
    try:
        cases: int | str = len(load_all([shipped_cases()]))
    except UserError as error:
        cases = str(error)
    return {
        "suite": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processors": _processors(),
        "blas": _blas(),
        "packages": {name: _version(name) for name in PACKAGES},
        "threads": threads.settings(),
        "cases": cases,
        "cache": _cache(default_cache()),
    }


def _processors() -> int:
    """How many this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0


def _blas() -> str:
    """What NumPy multiplies matrices with."""
    found: Any = np.show_config(mode="dicts") or {}
    blas = found.get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _cache(folder: Path) -> dict[str, Any]:
    """Where answers of the reference are kept, how many, and whether more can be."""
    sizes = []
    for path in folder.glob("??/*"):
        with contextlib.suppress(OSError):  # Another run may have removed it by now.
            sizes.append(path.stat().st_size)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = there.is_dir() and os.access(there, os.W_OK)
    return {"folder": str(folder), "entries": len(sizes), "bytes": sum(sizes), "writable": writable}


def _show(content: Mapping[str, Any], checkups: Sequence[Checkup], deep: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    cache = content["cache"]
    state = f"{cache['entries']} answers, {cache['bytes'] / 2**20:.1f} MiB{'' if cache['writable'] else ', READ-ONLY'}"
    rows = {
        "conformance": content["suite"],
        "python": f"{content['python']}, {content['executable']}",
        "platform": f"{content['platform']}, {content['processors']} processors",
        "packages": ", ".join(f"{name} {version or 'MISSING'}" for name, version in content["packages"].items()),
        "BLAS": content["blas"],
        "threads": ", ".join(f"{name}={value or '(unset)'}" for name, value in content["threads"].items()),
        "shipped cases": content["cases"],
        "cache": f"{cache['folder']}: {state}",
    }
    for name, value in rows.items():
        console.print(Text(f"{name:{_WIDTH}}{value}"))
    for checkup in checkups:
        _show_one(console, checkup)
    console.print()
    usable = sum(checkup.usable for checkup in checkups)
    if content["complete"]:
        console.print(Text(f"all {usable} implementations can run: results would be complete", style="bold green"))
    else:
        line = f"{usable} of {len(checkups)} implementations can run: results would lack the others"
        console.print(Text(line, style="bold red"))
    if not deep:
        console.print(Text("Nothing was imported: --deep imports each one and asks for devices, threads and kernels"))


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
