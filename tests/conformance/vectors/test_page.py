"""The commands of ``docs/vectors.md`` run, and its sets are those of the suite."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from conformance.commands.cli import main
from conformance.vectors import sets
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "vectors.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
OURS = [line for line in COMMANDS if line.startswith("conformance ")]
PROGRAMS = [line for line in COMMANDS if line not in OURS]


@pytest.mark.parametrize("command", PROGRAMS, ids=lambda command: command.split()[0])
def test_a_program_passes(command: str, tmp_path: Path) -> None:
    tool = command.split()[0]
    if not shutil.which(tool):
        pytest.skip(f"{tool} is not installed")
    (tmp_path / "vectors").symlink_to(ROOT / "vectors")
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("pass ") == len(done.stdout.splitlines()) > 0


@pytest.mark.usefixtures("shipped_cache")
def test_the_commands_of_the_suite_succeed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    assert len(OURS) == 5
    for command in OURS:
        assert main(shlex.split(command)[1:]) == 0
    out = capsys.readouterr().out
    assert "out/plain.safetensors: " in out
    assert re.search(r"out/lstm: \d+ node tests", out)
    assert re.search(r"out/vectors.json: \d+ vectors agree with the reference", out)


def test_the_page_lists_every_set() -> None:
    assert re.findall(r"^\| `(\w+)` \| \d+ \| \d+ \| \d+ kB \|$", PAGE, re.MULTILINE) == list(sets.SETS)
