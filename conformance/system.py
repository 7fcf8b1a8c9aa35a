"""Differences between Linux, macOS and Windows: processors, memory, processes, signals and file locks."""

import os
import platform
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
if sys.platform != "win32":
    import fcntl

_PR_SET_PDEATHSIG = 1


def available_cpus() -> int:
    """Returns the number of processors that this process may use. ``taskset`` and containers can restrict it."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def physical_memory() -> int | None:
    """Returns the bytes of memory of the machine; None if unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf, and some systems lack a name.
        return None


def resident_memory(process: int) -> int:
    """Returns the resident memory of a process in bytes; 0 if the system does not report it."""
    try:
        with open(f"/proc/{process}/statm", "rb") as file:  # noqa: PTH123 - called 50 times a second
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def processor() -> str:
    """Describes the processor's model and instruction sets, as far as the system reports them."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    facts = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join([platform.machine(), platform.processor(), *sorted(facts)])


def has_workers() -> bool:
    """Returns whether an implementation can have a process of its own. It needs pipes that can be polled."""
    return hasattr(select, "poll")


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process that leads its own session, with its children. On Windows, its children survive."""
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()


def exit_with_parent() -> None:
    """Makes Linux kill this process when its parent dies, even during a call that never returns."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def lock(file: IO[bytes]) -> bool:
    """Locks a file until it is closed, if the operating system and the file system support locks.

    Returns:
        False if another process has locked it.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass
    return True


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Makes SIGTERM, which cancelled CI jobs send, raise ``KeyboardInterrupt`` during the ``with`` block.

    A program that handles SIGTERM in its own way, or ignores it, keeps its handler.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
