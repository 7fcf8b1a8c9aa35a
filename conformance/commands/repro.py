"""``conformance repro``: prints the script that reproduces a known divergence. No framework is imported."""

import argparse
import difflib

from conformance.errors import UserError
from conformance.known import divergences as known


def execute(args: argparse.Namespace) -> int:
    """Prints the script of a divergence."""
    entries = {entry.id: entry for entry in known.shipped()}
    if args.id not in entries:
        close = difflib.get_close_matches(args.id, entries, 1, 0.5)
        hint = f", did you mean {close[0]!r}?" if close else ""
        raise UserError(f"no divergence is named {args.id!r}{hint}\nuse `conformance list --divergences` to list them")
    print((known.REPRODUCTIONS / entries[args.id].reproduction).read_text(encoding="utf-8"), end="")
    return 0
