"""Files that are there whole or not at all."""

import contextlib
import errno
import os
from pathlib import Path

from conformance.errors import MISSING, UserError


def write(path: Path, content: str | bytes) -> None:
    """Writes a file beside its place first, and moves it there when it is whole; a link stays one.

    What is no file, such as ``/dev/stdout`` or a pipe, is written to as it is. Text becomes UTF-8; halves of
    characters, which a results file may hold, are spelled out.

    Raises:
        UserError: it cannot be written.
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
