"""Atomic file writes."""

import contextlib
import errno
import os
from pathlib import Path

from conformance.errors import MISSING, UserError


def write(path: Path, content: str | bytes) -> None:
    """Writes a file atomically: to a temporary file in the same folder, which then replaces the target.

    If the path is a symbolic link, the linked file is replaced. Devices and pipes, such as ``/dev/stdout``, are written
    directly. Text is encoded as UTF-8. Lone surrogates, which a results file may contain, are written as escapes.

    Raises:
        UserError: the file cannot be written.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.exists() and not (target.is_file() or target.is_dir()):
            target.write_bytes(data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            draft.write_bytes(data)
            draft.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING) from error
