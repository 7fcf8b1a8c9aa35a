"""``conformance doctor``: what it says of healthy, missing and deadly implementations."""

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

DEADLY = f"""\
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
        os.write(2, b"something of a last word")
        os.kill(os.getpid(), signal.SIGSEGV)


class Leaves(Prints):
    name = "leaves"

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
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # -i adds the file's folder.
    (tmp_path / "deadly.py").write_text(DEADLY)
    (tmp_path / "import_kills.py").write_text("import os\nos.abort()\n")
    return "deadly.py"


def test_it_says_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    names = registry.registered()
    there, absent = implementations.split([implementations.load(name) for name in names])
    share = f"{len(there)} of {len(names)}" if absent else f"all {len(names)}"
    assert f"{share} implementations can run" in printed
    for adapter in there:
        assert f"\n{adapter.name}  installed\n" in printed
    for name in absent:
        assert f"\n{name}  not installed\n" in printed
    assert f"torch {installed.version('torch')}" in printed
    assert "OMP_NUM_THREADS=" in printed
    assert "BLAS" in printed


def test_it_knows_what_the_suite_is_built_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert list(PACKAGES) == [re.split(r"[<>=~! ]", line)[0] for line in project["dependencies"]]


def test_no_framework_is_imported() -> None:
    code = (
        "import sys; from conformance.commands.cli import main; main(['doctor']);"
        "sys.exit(str({'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_what_is_missing_is_named_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "-i", f"{FAKES}:Absent"]) == 3
    printed = capsys.readouterr().out
    assert "not installed" in printed
    assert "install with: pip install a-framework" in printed
    assert "0 of 1 implementations can run: results would lack the others" in printed


def test_one_that_can_run_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["doctor", "--json", "-i", f"{FAKES}:Absent", "-i", f"{FAKES}:Faithful", "-i", "no-such"]
    assert main(arguments) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["complete"], content["exit_code"]) == (False, 0)
    found = {each["spec"]: each for each in content["implementations"]}
    assert [each["state"] for each in found.values()] == ["not installed", "installed", "broken"]
    assert found[f"{FAKES}:Absent"]["install"] == "pip install a-framework"
    assert "no implementation is named 'no-such'" in found["no-such"]["trouble"]


def test_the_cache_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "ab").mkdir(parents=True)
    (tmp_path / "cache" / "ab" / "abc").write_bytes(b"x" * 1000)
    assert main(["doctor", "--json"]) == 0
    cache = json.loads(capsys.readouterr().out)["cache"]
    assert cache == {"folder": str(tmp_path / "cache"), "entries": 1, "bytes": 1000, "writable": True}


def test_a_cache_that_cannot_be_one_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "file"))
    assert main(["doctor"]) == 0
    assert "READ-ONLY" in capsys.readouterr().out


def test_deep_asks_for_devices(deadly: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--deep", "--json", "-i", f"{deadly}:Prints"]) == 0
    (found,) = json.loads(capfd.readouterr().out)["implementations"]
    assert found["description"] == {"device": "cpu", "threads": "1"}
    assert found["versions"] == {"numpy": installed.version("numpy")}
    assert found["state"] == "works"


@pytest.mark.parametrize(
    ("place", "deadline", "trouble"),
    [
        ("deadly.py:Segfaults", 60, "is killed by SIGSEGV when it is imported"),
        ("deadly.py:Segfaults", 60, "something of a last word"),
        ("deadly.py:Leaves", 60, "ends the process with exit code 0"),
        ("deadly.py:Hangs", 1, "gives no answer within 1 s"),
        ("deadly.py:Raises", 60, "describe() raised RuntimeError: no device"),
        ("import_kills.py:LSTM", 60, "is killed by SIGABRT"),
    ],
)
@pytest.mark.usefixtures("deadly")
def test_what_dies_is_reported_not_suffered(place: str, deadline: int, trouble: str) -> None:
    found = checkup.ask(place, deadline)
    assert trouble in found.trouble
    assert (found.state, found.usable) == ("broken", False)


def test_what_was_seen_before_a_death_is_kept(deadly: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--deep", "-i", f"{deadly}:Leaves"]) == 3
    printed = capsys.readouterr().out
    assert "leaves  broken" in printed
    assert f"installed: numpy {installed.version('numpy')}" in printed
