"""Writes the affected versions of a divergence into the file of its entry."""

import re
from typing import Literal

from conformance.errors import UserError
from conformance.known.divergences import FOLDER, Divergence
from conformance.results import atomic

Since = Literal["first affected", "oldest tested"]


def write(entry: Divergence, versions: str, since: Since) -> str:
    """Replaces the range of a divergence and keeps everything else in the file, comments included.

    Args:
        entry: the divergence.
        versions: affected versions.
        since: what their lower end is.

    Returns:
        The name of the file.

    Raises:
        UserError: the entry inherits its range from another one, or the file cannot be written.
    """
    for path in sorted(FOLDER.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        found = re.search(rf"^(?:  - |    )id: {re.escape(entry.id)}\n(?:    .*\n)*", text, re.MULTILINE)
        if not found:
            continue
        old = found[0]
        without = re.sub(r"^    since: .*\n", "", old, flags=re.MULTILINE)
        new, count = re.subn(
            r"^    versions: .*$", f'    versions: "{versions}"\n    since: {since}', without, flags=re.MULTILINE
        )
        if not count:
            raise UserError(
                f"{path}: {entry.id} inherits its versions. Change them in the entry that it inherits from."
            )
        atomic.write(path, text.replace(old, new))
        return path.name
    raise UserError(f"{entry.id} is in none of the files of {FOLDER}")
