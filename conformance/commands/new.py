"""``conformance new``: a skeleton to start from."""

import argparse
import keyword
import shlex
from importlib import resources
from pathlib import Path
from string import Template

from conformance.errors import MISSING, UserError


def execute(args: argparse.Namespace) -> int:
    """Writes an adapter's skeleton, and says what comes next."""
    parts = _parts(args.name)
    path = args.output or Path(f"{'_'.join(parts).lower()}_adapter.py")
    # What ends otherwise cannot be named with -i.
    if path.suffix != ".py":
        raise UserError(f"{path}: an adapter is a Python file, whose name ends in .py")
    class_name = "".join(part[0].upper() + part[1:] for part in parts) + "Adapter"
    template = resources.files("conformance.commands").joinpath("adapter.py.txt").read_text(encoding="utf-8")
    _write(path, Template(template).substitute(name=args.name, class_name=class_name))
    spec = f"{path}:{class_name}"
    print(f"{path}: replace its three lines that say FILL IN, then")
    print(f"  {shlex.join(['conformance', 'smoke', spec])}")
    print(f"  {shlex.join(['conformance', 'run', '-i', spec])}")
    return 0


def _parts(name: str) -> list[str]:
    """The parts of a dotted name.

    Raises:
        UserError: one of them is no identifier.
    """
    parts = name.split(".")
    for part in parts:
        if not part.isidentifier() or keyword.iskeyword(part):
            which = f"{part!r}" if part else "an empty part"
            raise UserError(f"{name!r} is no name for an implementation: {which} in it; write it like mylib.LSTM")
    return parts


def _write(path: Path, text: str) -> None:
    """Writes a new file, whole or not at all; never over another one."""
    try:
        file = path.open("x", encoding="utf-8", newline="\n")
    except FileExistsError as error:
        raise UserError(f"{path} is there already, and stays as it is: choose another --output") from error
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
