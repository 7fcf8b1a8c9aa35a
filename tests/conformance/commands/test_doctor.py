"""``conformance doctor`` on installed, missing and crashing implementations."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from conformance.adapters import installed, registry
from conformance.commands.cli import main
from conformance.commands.doctor import PACKAGES
from conformance.run import checkup, implementations
from tests.conftest import FAKES, ROOT

CRASHING = f"""\
import os, signal, sys, threading
sys.path.insert(0, {str(FAKES.parent)!r})
from fakes import Faithful


class Prints(Faithful):
    name = "prints"
    requires = ("numpy",)

    def describe(self):
        os.write(1, b"hello from C")
        return {{"device": "cpu", "threads": 1}}


class Segfaults(Prints):
    name = "segfaults"

    def describe(self):
        os.write(2, b"cannot open device")
        os.kill(os.getpid(), signal.SIGSEGV)


class Exits(Prints):
    name = "exits"

    def describe(self):
        os._exit(0)


class Hangs(Prints):
    name = "hangs"

    def describe(self):
        threading.Event().wait()


class Raises(Prints):
    name = "raises"

    def describe(self):
        raise RuntimeError("no device")
"""


@pytest.fixture
def crashing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # -i adds the file's folder.
    (tmp_path / "crashing.py").write_text(CRASHING)
    (tmp_path / "aborts_on_import.py").write_text("import os\nos.abort()\n")
    return "crashing.py"


def test_installed_and_missing_implementations_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    names = registry.registered()
    usable, absent = implementations.split([implementations.load(name) for name in names])
    share = f"{len(usable)} of {len(names)}" if absent else f"all {len(names)}"
    assert f"{share} implementations can run" in printed
    for adapter in usable:
        assert f"\n{adapter.name}  installed\n" in printed
    for name in absent:
        assert f"\n{name}  not installed\n" in printed
    assert f"torch {installed.version('torch')}" in printed
    assert "OMP_NUM_THREADS=" in printed
    assert "BLAS" in printed


def test_the_listed_packages_are_the_dependencies_of_the_suite() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(PACKAGES) == [re.split(r"[<>=~! ]", line)[0] for line in project["dependencies"]]


def test_no_framework_is_imported() -> None:
    code = (
        "import sys; from conformance.commands.cli import main; main(['doctor']);"
        "sys.exit(str({'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_a_missing_package_is_reported_with_the_command_that_installs_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-i", f"{FAKES}:Absent"]) == 3
    printed = capsys.readouterr().out
    assert "not installed" in printed
    assert "install with: pip install a-framework" in printed
    assert "0 of 1 implementations can run. A run leaves out the others" in printed


def test_one_usable_implementation_suffices(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", "--json", "-i", f"{FAKES}:Absent", "-i", f"{FAKES}:Faithful", "-i", "no-such"]
    assert main(arguments) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["complete"], content["exit_code"]) == (False, 0)
    found = {each["spec"]: each for each in content["implementations"]}
    assert [each["state"] for each in found.values()] == ["not installed", "installed", "broken"]
    assert found[f"{FAKES}:Absent"]["install"] == "pip install a-framework"
    assert "no implementation is named 'no-such'" in found["no-such"]["trouble"]


def test_the_size_of_the_cache_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "ab").mkdir(parents=True)
    (tmp_path / "cache" / "ab" / "abc").write_bytes(b"x" * 1000)
    assert main(["doctor", "--json"]) == 0
    cache = json.loads(capsys.readouterr().out)["cache"]
    assert cache == {"folder": str(tmp_path / "cache"), "entries": 1, "bytes": 1000, "writable": True}


def test_an_unwritable_cache_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "file"))
    assert main(["doctor"]) == 0
    assert "READ-ONLY" in capsys.readouterr().out


def test_deep_shows_the_description(crashing: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--deep", "--json", "-i", f"{crashing}:Prints"]) == 0
    (found,) = json.loads(capfd.readouterr().out)["implementations"]
    assert found["description"] == {"device": "cpu", "threads": "1"}
    assert found["versions"] == {"numpy": installed.version("numpy")}
    assert found["state"] == "works"


@pytest.mark.parametrize(
    ("place", "deadline", "trouble"),
    [
        ("crashing.py:Segfaults", 600, "its process died of SIGSEGV (segmentation fault) while it imported"),
        ("crashing.py:Segfaults", 600, "cannot open device"),
        ("crashing.py:Exits", 600, "its process exited with code 0"),
        ("crashing.py:Hangs", 1, "its process gave no answer within 1 s"),
        ("crashing.py:Raises", 600, "describe() raised RuntimeError: no device"),
        ("aborts_on_import.py:LSTM", 600, "its process died of SIGABRT"),
    ],
)
@pytest.mark.usefixtures("crashing")
def test_a_crash_is_reported(place: str, deadline: int, trouble: str) -> None:
    found = checkup.check_import(place, deadline)
    assert trouble in found.trouble
    assert (found.state, found.usable) == ("broken", False)


def test_the_versions_are_shown_even_after_a_crash(crashing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--deep", "-i", f"{crashing}:Exits"]) == 3
    printed = capsys.readouterr().out
    assert "exits  broken" in printed
    assert f"installed: numpy {installed.version('numpy')}" in printed
