"""``conformance repro``: prints the script that reproduces a known divergence, or a report for its maintainers."""

import argparse
import difflib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping

from conformance.adapters import installed
from conformance.errors import MISSING, UserError
from conformance.known import divergences as known
from conformance.known import issue
from conformance.known.divergences import Divergence

_SECONDS = 300


def execute(args: argparse.Namespace) -> int:
    """Prints the script of a divergence. With ``--issue``, runs it and prints a report."""
    entries = {entry.id: entry for entry in known.shipped()}
    if args.id not in entries:
        close = difflib.get_close_matches(args.id, entries, 1, 0.5)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise UserError(f"no divergence has the id {args.id!r}{hint}\n`conformance list --divergences` lists the ids")
    entry = entries[args.id]
    if not args.issue:
        print((known.REPRODUCTIONS / entry.reproduction).read_text(encoding="utf-8"), end="")
        return 0
    output, happens = _run(entry)
    print(issue.markdown(entry, _versions(entry), output))
    if not happens:
        print(f"{entry.id} does not happen here: {entry.package} {issue.affected(entry)}", file=sys.stderr)
    return int(happens)


def _run(entry: Divergence) -> tuple[str, bool]:
    """Runs the reproduction. Returns what it printed, and whether the divergence happens here.

    Raises:
        UserError: the framework is not installed, or the script does not end.
    """
    script = known.REPRODUCTIONS / entry.reproduction
    if script.suffix != ".py":
        raise UserError(
            f"{entry.id}: --issue runs only Python scripts. `conformance repro {entry.id}` prints this one."
        )
    if not installed.version(entry.package):
        raise UserError(f"{entry.id}: {entry.package} is not installed", MISSING)
    try:
        # Native libraries log at will. Only a script that fails has something to say on standard error.
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=_SECONDS, check=False, env=_quiet()
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{script}: did not end within {_SECONDS} s", MISSING) from error
    crashed = done.returncode not in (0, 1) or "Traceback" in done.stderr
    return done.stdout + (done.stderr[-2000:] if crashed else ""), done.returncode != 0


def _quiet() -> Mapping[str, str]:
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _versions(entry: Divergence) -> dict[str, str]:
    """Returns the versions of the package, NumPy, Python and the system."""
    packages = {name: installed.version(name) for name in dict.fromkeys((entry.package, "numpy"))}
    return packages | {"Python": platform.python_version(), "system": platform.platform()}
