"""Files that are there whole or not at all."""

import contextlib
import os
from pathlib import Path

from conformance.errors import MISSING, UserError


def write(path: Path, content: str | bytes) -> None:
    """Writes a file beside its place first, and moves it there when it is whole.

    Text becomes UTF-8; halves of characters, which a results file may hold, are spelled out.

    Raises:
        UserError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING) from error
