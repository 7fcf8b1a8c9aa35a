"""Checkpoints that consist of several files: files beside each other, or a folder."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from conformance.conversion.files.contents import Contents
from conformance.errors import MISSING, UserError
from conformance.results import atomic

Files = Mapping[str, bytes]
"""Contents of files by their paths, relative to the folder of the checkpoint."""


def encode(write: Callable[[Path], None], name: str) -> Files:
    """Returns the files of a checkpoint.

    Args:
        write: writes the checkpoint under a path.
        name: file name of the checkpoint.
    """
    with TemporaryDirectory() as folder:
        write(Path(folder) / name)
        files = (file for file in sorted(Path(folder).rglob("*")) if file.is_file())
        return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def decode(read: Callable[[Path], Contents], name: str, files: Files) -> Contents:
    """Reads the files of a checkpoint.

    Args:
        read: reads the checkpoint at a path.
        name: file name of the checkpoint.
        files: files of the checkpoint.
    """
    with TemporaryDirectory() as folder:
        _unpack(files, Path(folder))
        return read(Path(folder) / name)


def store(path: Path, files: Files) -> None:
    """Writes the files of a checkpoint: a new folder at once, or files beside each other, the one named last.

    Raises:
        UserError: a folder with this name exists, or a file cannot be written.
    """
    if path.name in files:
        for name in sorted(files, key=lambda name: name == path.name):
            atomic.write(path.with_name(name), files[name])
        return
    if path.exists():
        raise UserError(f"{path}: exists already, and folders are not overwritten. Remove it, or name another target")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _unpack(files, draft)
        (draft / path.name).rename(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpack(files: Files, folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
