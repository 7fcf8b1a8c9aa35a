"""``conformance merge``: several results files to one."""

import argparse
import difflib

from conformance.errors import UserError
from conformance.results import atomic
from conformance.results.merge import FAULTS, merge
from conformance.results.reader import read


def execute(args: argparse.Namespace) -> int:
    """Merges, or says why not."""
    allowed = [word.strip() for text in args.allow for word in text.split(",") if word.strip()]
    for word in allowed:
        if word not in FAULTS:
            close = difflib.get_close_matches(word, FAULTS, 1, 0.5)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise UserError(f"--allow: {word!r} cannot be allowed{hint}\nwhat can: {', '.join(FAULTS)}")
    merged, faults = merge([read(path) for path in args.results], allowed)
    atomic.write(args.output, merged.render())
    for fault in faults:
        print(f"allowed: {fault.kind}: {fault.what}")
    rest = "" if merged.complete else " (INCOMPLETE)"
    print(f"results: {args.output}: {len(merged.results)} rows from {len(args.results)} files{rest}")
    return 0
