import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import system
from conformance.worker.failures import WorkerCrash
from conformance.worker.process import Process


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no processor affinity")
def test_only_the_processors_of_the_process_count() -> None:
    code = (
        "import os; from conformance import system; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(system.available_cpus())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_system_that_reports_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none of these functions, and macOS only sysconf."""
    for name in ("sched_getaffinity", "sysconf"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert system.available_cpus() == 6
    assert system.physical_memory() is None


def test_the_resident_memory_of_a_process() -> None:
    assert 2**20 < system.resident_memory(os.getpid()) < (system.physical_memory() or 0)
    assert system.resident_memory(2**30) == 0


def test_without_pipes_that_can_be_polled_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "poll")
    assert not system.has_workers()
    with pytest.raises(WorkerCrash, match="Linux and macOS can"):
        Process([sys.executable], os.environ)


@pytest.mark.parametrize("has_groups", [True, False])
def test_a_process_is_killed_with_or_without_groups(monkeypatch: pytest.MonkeyPatch, has_groups: bool) -> None:
    if not has_groups:
        monkeypatch.delattr(os, "killpg")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    with process:
        system.kill_group(process)
        assert process.wait() == -signal.SIGKILL
        system.kill_group(process)


def test_a_file_is_locked_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as first, path.open("wb") as second:
        assert system.lock(first)
        assert not system.lock(second)
    with path.open("wb") as third:
        assert system.lock(third)


def test_sigterm_interrupts() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), system.terminated_like_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_handler_of_sigterm_stays() -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with system.terminated_like_interrupted():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
