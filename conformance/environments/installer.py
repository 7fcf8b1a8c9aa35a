"""Creates a Python environment and installs wheels into it, with uv if it is installed, else with pip.

Both install from the places that pip is configured to use. Only wheels are installed: building a release from source
needs compilers and old build tools.
"""

import ast
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from conformance.errors import MISSING, UserError

_UV_OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "constraint": "--constraints",
}
"""Options of pip that say where packages come from, and uv's names for them."""
_SHOWN_LINES = 8


class InstallError(UserError):
    """A failure of uv or pip. The message is the end of its output."""


def create(folder: Path) -> None:
    """Creates an empty environment of this interpreter's version in a new folder.

    Raises:
        InstallError: the environment cannot be created.
    """
    if uv := find_uv():
        _call([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    else:
        _call([sys.executable, "-m", "venv", "--without-pip", str(folder)])


def install(folder: Path, requirements: Sequence[str], before: str = "") -> str:
    """Installs requirements into an environment.

    Args:
        folder: folder of the environment.
        requirements: requirements as in ``requirements.txt``.
        before: date, such as ``2024-05-01``. Later releases are ignored. Requires uv.

    Returns:
        What the installer printed, warnings included.

    Raises:
        InstallError: offline, an unknown version, or no wheel for this version of Python.
    """
    python = str(interpreter(folder))
    if uv := find_uv():
        dated = ["--exclude-newer", before] if before else []
        command = [uv, "pip", "install", "--no-progress", "--no-build", "--python", python]
        return _call([*command, *uv_options(), *dated, *requirements])
    if before:
        raise InstallError("a date needs uv: pip install 'lstm-conformance[versions]'", MISSING)
    options = ["--only-binary", ":all:", "--no-input", "--progress-bar", "off"]
    return call_pip(["--python", python, "install", *options, *requirements])


def exists(requirement: str, before: str) -> bool:
    """Returns whether the index had a release by the end of a day. False without uv.

    Args:
        requirement: exact version, such as ``keras==3.8.0``.
        before: the day, such as ``2024-05-01``.
    """
    uv = find_uv()
    if not uv:
        return False
    command = [uv, "pip", "compile", "--quiet", "--no-deps", "--no-build", "--python", sys.executable]
    try:
        _call([*command, *uv_options(), "--exclude-newer", before, "-"], requirement)
    except InstallError:
        return False
    return True


def interpreter(folder: Path) -> Path:
    """Returns the path of an environment's interpreter."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@cache
def find_uv() -> str | None:
    """Returns the path of uv, from this environment or the search path; None if it is not installed."""
    return shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")


@cache
def pip() -> tuple[str, ...]:
    """Returns the command that runs pip: from this environment, or with uv if this environment has none.

    Raises:
        InstallError: neither is installed.
    """
    if importlib.util.find_spec("pip"):
        return sys.executable, "-m", "pip", "--disable-pip-version-check"
    if uv := find_uv():
        return uv, "tool", "run", "--python", sys.executable, "pip", "--disable-pip-version-check"
    raise InstallError("needs pip or uv: pip install 'lstm-conformance[versions]'", MISSING)


def call_pip(arguments: Sequence[str]) -> str:
    """Runs pip and returns its output.

    Raises:
        InstallError: pip fails.
    """
    return _call([*pip(), *arguments])


@cache
def uv_options() -> tuple[str, ...]:
    """Returns options that make uv choose as pip does: no prereleases unless named, and pip's package indexes.

    Without pip, uv's own configuration says where packages come from.
    """
    stable = ("--prerelease", "explicit")
    if not importlib.util.find_spec("pip"):
        return stable
    # Of several places that have a package, pip takes the newest release. By default, uv takes that of the first place.
    places = "--index-strategy", "unsafe-best-match", *as_uv_options(call_pip(["config", "list"]).splitlines())
    return *stable, *places


def as_uv_options(lines: Sequence[str]) -> Iterator[str]:
    """Converts lines of ``pip config list``, such as ``global.find-links='/opt/wheels'``, to options of uv."""
    for line in lines:
        key, equals, value = line.partition("=")
        name = key.rpartition(".")[2]
        words = str(ast.literal_eval(value)).split() if equals else []
        if name == "no-index" and words and words[0].lower() in ("1", "true", "yes", "on"):
            yield "--no-index"
        for word in words if name in _UV_OPTIONS else []:
            yield from (_UV_OPTIONS[name], word)


def _call(command: Sequence[str], text: str = "") -> str:
    finished = subprocess.run(
        command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if finished.returncode:
        lines = [line for line in finished.stdout.strip().splitlines() if not line.startswith("Using Python")]
        raise InstallError("\n".join(lines[-_SHOWN_LINES:]), MISSING)
    return finished.stdout
