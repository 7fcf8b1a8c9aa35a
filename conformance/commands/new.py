"""``conformance new``: writes the skeleton of an adapter."""

import argparse
import keyword
import shlex
from importlib import resources
from pathlib import Path
from string import Template

from conformance.errors import MISSING, UserError


def execute(args: argparse.Namespace) -> int:
    """Writes the skeleton of an adapter, and prints the next steps."""
    parts = _parts(args.name)
    path = args.output or Path(f"{'_'.join(parts).lower()}_adapter.py")
    if path.suffix != ".py":
        raise UserError(f"{path}: the file name must end in .py, so that `-i {path}:Class` can load it")
    class_name = "".join(part[0].upper() + part[1:] for part in parts) + "Adapter"
    template = resources.files("conformance.commands").joinpath("adapter.py.txt").read_text(encoding="utf-8")
    _write(path, Template(template).substitute(name=args.name, class_name=class_name))
    spec = f"{path}:{class_name}"
    print(f"created {path}. Replace the three lines marked FILL IN, then run")
    print(f"  {shlex.join(['conformance', 'smoke', spec])}")
    print(f"  {shlex.join(['conformance', 'run', '-i', spec])}")
    return 0


def _parts(name: str) -> list[str]:
    """Splits a dotted name.

    Raises:
        UserError: a part is not an identifier.
    """
    parts = name.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            wrong = f"{part!r} is not an identifier" if part else "it has an empty part"
            raise UserError(f"invalid name {name!r}: {wrong}. Use a dotted name such as mylib.LSTM")
    return parts


def _write(path: Path, text: str) -> None:
    """Writes a new file. Never overwrites a file, and removes a partial one."""
    try:
        file = path.open("x", encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise UserError(f"{path}: already exists. Choose another file with --output.") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written: {error.strerror or error}", MISSING)
