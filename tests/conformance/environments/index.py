"""A package index in a folder, with several releases of a small package, and an adapter for it."""

import base64
import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from conformance.environments import environment, installer
from tests.conftest import FAKES, ROOT

PACKAGE = "lstm-of-tests"
ADAPTER = f"""\
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(FAKES.parent)!r}]
from fakes import Faithful


class Scaled(Faithful):
    name = "scaled"
    requires = ("lstm_of_tests",)

    def describe(self):
        import lstm_of_tests
        return {{"factor": str(lstm_of_tests.FACTOR)}}

    def solve(self, problem):
        import lstm_of_tests
        return {{name: array * lstm_of_tests.FACTOR for name, array in super().solve(problem).items()}}
"""
"""Adapter whose results are those of the reference, times a factor that depends on the release."""


def write_wheel(folder: Path, name: str, version: str, module: str, requires: str = "") -> None:
    """Writes a wheel of one module."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name.replace('-', '_')}.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in [*files.items(), (f"{info}/RECORD", f"{record}{info}/RECORD,,\n")]:
            wheel.writestr(path, text)


def _hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def use(folder: Path, monkeypatch: pytest.MonkeyPatch, modules: Mapping[str, str]) -> str:
    """Makes a folder the only index and returns the adapter of its package, as ``path/file.py:Class``.

    Args:
        folder: folder of the index, the adapter and the cache of environments.
        monkeypatch: fixture.
        modules: source of the package's module in each release.
    """
    for version, module in modules.items():
        write_wheel(folder, PACKAGE, version, module)
    variables = {"NO_INDEX": "1", "FIND_LINKS": str(folder), "CONFIG_FILE": os.devnull}
    for name, value in variables.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(folder / "cache"))
    # Without an index, a worker takes its own requirements from this environment.
    monkeypatch.setattr(environment, "WORKER", ())
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(_site_packages()))
    installer.uv_options.cache_clear()
    (folder / "adapter.py").write_text(ADAPTER)
    return f"{folder / 'adapter.py'}:Scaled"


def _site_packages() -> list[str]:
    import numpy

    return [str(Path(numpy.__file__).parents[1])]
