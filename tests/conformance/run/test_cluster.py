"""Runs on a Dask cluster: a real scheduler, and workers that are started from their command lines."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance import __version__
from conformance.cases.case import Case
from conformance.commands.cli import main
from conformance.results.reader import Report, read
from conformance.run.settings import Settings
from tests.conftest import FAKES, ROOT

pytest.importorskip("distributed", reason="needs the extra dask", exc_type=ImportError)

from conformance.run import batches
from conformance.run import cluster as cluster_module
from conformance.run.cluster import Survey

PACKAGE = "only_on_some_workers"
ADAPTERS = f"""\
import os, signal
from pathlib import Path
from tests.fakes import Faithful

KILLED = Path(__file__).with_name("killed")


class Needs(Faithful):
    '''Kills the worker of the cluster in the middle of the first batch.'''

    name = "needs"
    requires = ("{PACKAGE}",)

    def solve(self, problem):
        if "lengths" in problem.case.name and not KILLED.exists():
            KILLED.touch()
            os.kill(os.getppid(), signal.SIGKILL)
        return super().solve(problem)
"""
CASES = """\
defaults: {input_size: 2, hidden_size: 3, seq_len: 2, batch: 2}
cases:
  plain: {}
  reverse: {direction: reverse}
  with-lengths: {lengths: [1, 2]}
  both-ways: {direction: bidirectional}
"""


@dataclass
class Processes:
    """A scheduler and its workers.

    Attributes:
        folder: folder of the processes, with the package that only some workers have.
        address: address of the scheduler.
    """

    folder: Path
    address: str
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, *words: str, package: bool = False) -> None:
        paths = [str(ROOT), *([str(self.folder / "packages")] if package else [])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        with (self.folder / "log").open("ab") as log:
            self.started.append(subprocess.Popen(command, cwd=self.folder, env=environment, stderr=log))


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / f"{PACKAGE}.py").write_text("")
    (tmp_path / "adapters.py").write_text(ADAPTERS)
    (tmp_path / "small.yaml").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = Processes(tmp_path, f"tcp://127.0.0.1:{port}")
    found.start("scheduler", "--host", "127.0.0.1", "--port", str(port))
    try:
        yield found
    finally:
        for process in reversed(found.started):
            process.kill()
            process.wait()


def facts(report: Report) -> list[dict[str, Any]]:
    """Returns the rows without their CPU times."""
    return [{name: value for name, value in row.to_row().items() if name != "seconds"} for row in report.results]


def campaign(*arguments: str) -> int:
    return main(["campaign", "-i", f"{FAKES}:Declares", "--cases", "30", "--max-seconds", "0.05", *arguments])


def test_results_equal_those_of_this_machine_although_a_worker_is_killed(
    processes: Processes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processes.start("worker", processes.address, "--nthreads", "1", "--no-nanny")
    processes.start("worker", processes.address, "--nthreads", "1", package=True)  # With a nanny, which starts another.
    monkeypatch.setattr(cluster_module, "_POLL_SECONDS", 0.2)
    monkeypatch.setattr("conformance.campaign.batches.FIRST_NUMBERS", 7)
    assert campaign("--dask", processes.address, "--output", "there") == 0
    assert campaign("--output", "here") == 0
    here, there = read(Path("here/results.jsonl")), read(Path("there/results.jsonl"))
    assert facts(there) == facts(here)
    assert there.implementations == here.implementations
    assert Path("there/campaign.json").read_text() == Path("here/campaign.json").read_text()
    names = ["-i", "adapters.py:Needs", "-i", f"{FAKES}:Faithful"]
    assert main(["run", "small.yaml", "--power", "off", *names, "--dask", processes.address, "--output", "run"]) == 0
    report = read(Path("run/results.jsonl"))
    assert (report.complete, len(report.results)) == (True, 8)
    assert {row.status for row in report.results} == {"pass"}
    assert Path("killed").exists()
    [(worker, reasons)] = report.header.lacking.items()
    assert list(reasons) == ["needs"]
    assert PACKAGE in reasons["needs"]
    assert f"{worker} gets no cases of needs" in capsys.readouterr().out
    assert worker in Path("run/report.md").read_text()


def test_an_address_without_a_scheduler_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 0.1)
    assert main(["run", "--dask", "tcp://127.0.0.1:9"]) == 3
    assert "cannot connect to a scheduler" in capsys.readouterr().err


def test_a_worker_with_other_versions_gets_no_cases() -> None:
    wanted = {"a": {"torch": "2"}, "b": {"jax": "1"}, "c": {"onnx": "3"}}
    found = Survey(__version__, {"a": {"torch": "1"}, "b": {"jax": "1"}}, {"c": "c needs onnx"})
    assert found.differences(wanted) == {"a": "has torch 1, not torch 2", "c": "c needs onnx"}
    assert set(Survey("0", {}, {}).differences(wanted)) == {"a", "b", "c"}


def test_batches_hold_what_is_left_of_their_planned_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_CASES", 2)
    cases = [Case(name=str(size), input_size=1, hidden_size=size, seq_len=1, batch=1) for size in (1, 2, 3, 4, 5)]
    settings = Settings(rejected={cases[4].key: "too large"})
    found = list(batches.split("a", cases, [cases[1], cases[4]], settings))
    assert [(batch.cases, batch.planned) for batch in found] == [([cases[1]], cases[:2]), ([cases[4]], cases[4:])]
    assert [batch.settings.rejected for batch in found] == [{}, settings.rejected]
