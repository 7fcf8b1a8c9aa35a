"""``conformance merge``: merges results files."""

import argparse
import difflib

from conformance.errors import UserError
from conformance.results import atomic
from conformance.results.merge import CONFLICTS, merge
from conformance.results.reader import read


def execute(args: argparse.Namespace) -> int:
    """Writes the merged file and prints the allowed conflicts."""
    allowed = [word.strip() for text in args.allow for word in text.split(",") if word.strip()]
    for word in allowed:
        if word not in CONFLICTS:
            close = difflib.get_close_matches(word, CONFLICTS, 1, 0.5)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise UserError(f"--allow: unknown conflict {word!r}{hint}\nconflicts: {', '.join(CONFLICTS)}")
    merged, conflicts = merge([read(path) for path in args.results], allowed)
    atomic.write(args.output, merged.render())
    for conflict in conflicts:
        print(f"allowed: {conflict.kind}: {conflict.what}")
    warning = "" if merged.complete else " (INCOMPLETE)"
    files = "1 file" if len(args.results) == 1 else f"{len(args.results)} files"
    print(f"results: {args.output}: {len(merged.results)} rows from {files}{warning}")
    return 0
