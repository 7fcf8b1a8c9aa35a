"""The runners in other languages pass the shipped vectors, and name the mistake if they are wrong."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from conformance.vectors import files
from tests.conftest import ROOT

VECTORS = ROOT / "vectors" / "core.json"
RUNNERS = ROOT / "vectors" / "runners"


@dataclass(frozen=True)
class Runner:
    """A runner, and how to make it wrong.

    Attributes:
        file: name of its source file.
        tools: programs that must be installed.
        build: command that compiles ``SOURCE``; empty for none.
        run: command that runs it.
        gates: text that determines the order of the gates, and its replacement.
        bias: text that adds the biases, and its replacement without ``bias_hh``.
    """

    file: str
    tools: tuple[str, ...]
    build: str
    run: str
    gates: tuple[str, str]
    bias: tuple[str, str]


C = Runner(
    "lstm.c", ("cc",), "cc -Wall -Wextra -Werror -o lstm SOURCE -lm", "./lstm",
    ("FORGET, CANDIDATE,", "CANDIDATE, FORGET,"), ("b_ih[k] + b_hh[k]", "b_ih[k] + 0 * b_hh[k]"),
)  # fmt: skip
RUST = Runner(
    "lstm.rs", ("rustc",), "rustc -D warnings -o lstm SOURCE", "./lstm",
    ('"forget", "candidate",', '"candidate", "forget",'), ('array("bias_hh")', 'array("none")'),
)  # fmt: skip
JAVA = Runner(
    "Lstm.java", ("java", "javac"), "", "java -XX:TieredStopAtLevel=1 SOURCE",
    ("FORGET = 1, CANDIDATE = 2", "FORGET = 2, CANDIDATE = 1"), ("bIh[k] + bHh[k]", "bIh[k]"),
)  # fmt: skip
JAVASCRIPT = Runner(
    "lstm.mjs", ("node",), "", "node SOURCE",
    ("FORGET, CANDIDATE, OUTPUT] =", "CANDIDATE, FORGET, OUTPUT] ="), ("bIh[k] + bHh[k]", "bIh[k]"),
)  # fmt: skip

each_runner = pytest.mark.parametrize("runner", [C, RUST, JAVA, JAVASCRIPT], ids=lambda runner: runner.file)


def run(runner: Runner, change: tuple[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Builds and runs a runner after a change of its source."""
    for tool in runner.tools:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    source = (RUNNERS / runner.file).read_text()
    assert source.count(change[0]) == 1
    (folder / runner.file).write_text(source.replace(*change))
    for command in filter(None, (runner.build, f"{runner.run} {VECTORS}")):
        words = command.replace("SOURCE", runner.file).split()
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=240)
        assert not done.stderr, done.stderr
    return done


@each_runner
@pytest.mark.parametrize(
    ("change", "mistake"), [("gates", "gates-read-igfo"), ("bias", "bias_hh-ignored")], ids=["gates", "bias"]
)
def test_a_runner_names_its_mistake(runner: Runner, change: str, mistake: str, tmp_path: Path) -> None:
    done = run(runner, getattr(runner, change), tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("FAIL ") == len(files.read(VECTORS).vectors)
    explanations = done.stdout.partition("mistakes that explain these results:\n")[2].splitlines()
    assert any(line.startswith(f"  {mistake}: An LSTM ") for line in explanations)
    assert len(explanations) <= len(files.read(VECTORS).mistakes) / 10


@each_runner
def test_a_runner_is_short(runner: Runner) -> None:
    lines = (RUNNERS / runner.file).read_text().splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120
    start, end = (next(i for i, line in enumerate(lines) if f"---- {part}" in line) for part in ("The LSTM", "Vectors"))
    assert end - start <= 60
