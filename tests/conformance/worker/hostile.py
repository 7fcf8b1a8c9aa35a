"""Implementations that crash, hang or corrupt their process, as released ones have done."""

import ctypes
import gc
import os
import signal
import sys
import threading
from pathlib import Path
from typing import ClassVar

import numpy as np

from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors
from conformance.worker.protocol import MAX_LINE_BYTES
from tests.fakes import Faithful, Zeros


def _segfault() -> None:
    ctypes.string_at(0)


def _loop_in_c() -> None:
    # One call that does not release the GIL for hours.
    sum(range(10**15))


def _allocate() -> None:
    """Exceeds a memory limit of 300 MiB, but not the memory of the machine."""
    kept = [np.ones(2**22) for _ in range(12)]
    threading.Event().wait()
    del kept


def _answer(data: bytes) -> None:
    """Writes an answer and waits, so that no bytes follow it."""
    _write_answer(data)
    threading.Event().wait()


def _write_answer(data: bytes) -> None:
    descriptor = _answer_descriptor()
    while data:
        data = data[os.write(descriptor, data) :]


def _answer_descriptor() -> int:
    """Returns the first descriptor that is open for writing and is not the log."""
    import fcntl

    log = os.fstat(2).st_ino
    for descriptor in range(3, 64):
        try:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        except OSError:
            continue
        if flags & os.O_ACCMODE == os.O_WRONLY and os.fstat(descriptor).st_ino != log:
            return descriptor
    raise LookupError("found no descriptor for answers")


def _close_output() -> None:
    os.close(_answer_descriptor())
    threading.Event().wait()


def _half_an_answer() -> None:
    _write_answer(b'{"ok":true,"n":1000}\nabc')
    os._exit(0)


def _print_and_exit() -> None:
    print("cannot open kernel cache", file=sys.stderr, flush=True)
    os._exit(7)


FAULTS = {
    "segfault": _segfault,
    "floating-point": lambda: os.kill(os.getpid(), signal.SIGFPE),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(3),
    "prints-and-exits": _print_and_exit,
    "loops": _loop_in_c,
    "allocates": _allocate,
    "garbage": lambda: _answer(b"W tensorflow/core: hello\n"),
    "megabytes": lambda: _answer(b"x" * (4 * MAX_LINE_BYTES)),
    "not-utf-8": lambda: _answer(b"\xff\xfe\x00\n"),
    "wrong-answer": lambda: _answer(b'{"ok":true}\n'),
    "not-tensors": lambda: _answer(b'{"ok":true,"n":9}\n123456789'),
    "too-many-bytes": lambda: _answer(b'{"ok":true,"n":1000000000000}\n'),
    "half-an-answer": _half_an_answer,
    "closes": _close_output,
}
"""Faults by the name of the case in which ``Hostile`` commits them."""


class Hostile(Faithful):
    """Correct, except in the cases that are named after a fault."""

    name = "hostile"

    def solve(self, problem: Problem) -> Solution:
        if fault := FAULTS.get(problem.case.name):
            fault()
        return super().solve(problem)


class KillsTheRun(Zeros):
    """Kills its parent process and loops for hours."""

    name = "kills-the-run"

    def solve(self, problem: Problem) -> Solution:
        os.kill(os.getppid(), signal.SIGKILL)
        _loop_in_c()
        return super().solve(problem)


class InterruptsTheRun(Zeros):
    """Interrupts its parent process, as Ctrl-C does, and loops for hours."""

    name = "interrupts-the-run"
    number = signal.SIGINT

    def solve(self, problem: Problem) -> Solution:
        os.kill(os.getppid(), self.number)
        _loop_in_c()
        return super().solve(problem)


class TerminatesTheRun(InterruptsTheRun):
    """Terminates its parent process, as a CI server does with a cancelled job, and loops for hours."""

    name = "terminates-the-run"
    number = signal.SIGTERM


class DiesOnSupports(Zeros):
    name = "dies-on-supports"

    def supports(self, case: Case) -> str | None:
        if case.name == "plain":
            os._exit(4)
        return super().supports(case)


class DiesAtStart(Zeros):
    """Dies at as many starts as the file ``deaths`` in the working directory says."""

    name = "dies-at-start"

    def describe(self) -> dict[str, str]:
        left = Path("deaths")
        deaths = int(left.read_text())
        if deaths:
            left.write_text(str(deaths - 1))
            os._exit(5)
        return super().describe()


class RaisesAtStart(Zeros):
    name = "raises-at-start"

    def describe(self) -> dict[str, str]:
        raise OSError("no device")


class PrintsEverywhere(Zeros):
    """Prints to standard output from Python, from C and from a child process."""

    name = "prints-everywhere"

    def describe(self) -> dict[str, str]:
        print("hello")
        return {}

    def solve(self, problem: Problem) -> Solution:
        print("from Python")
        os.write(1, b"x" * 2**21)
        os.system("echo from a child")
        return super().solve(problem)


class ShowsCollector(Faithful):
    """Refuses a case with the settings of the garbage collector."""

    name = "shows-collector"

    def supports(self, case: Case) -> str | None:
        del case
        return f"{gc.get_threshold()[0]} new objects, present objects ignored: {gc.get_freeze_count() > 0}"


class ShowsEnvironment(Zeros):
    """Describes its environment variables."""

    name = "shows-environment"

    def describe(self) -> dict[str, str]:
        return {"threads": os.environ["OMP_NUM_THREADS"], "backend": os.environ.get("KERAS_BACKEND", "")}


class DrawsDropout(Zeros):
    """Draws its own dropout masks, and returns those of layer 0 as its output."""

    name = "draws-dropout"

    def dropout_masks(self, problem: Problem) -> Tensors:
        return {name: mask * 0.5 for name, mask in problem.dropout_masks.items()}

    def solve(self, problem: Problem) -> Solution:
        return dict(super().solve(problem)) | {"output": problem.dropout_masks["l0"]}


class ReturnsProcessId(Zeros):
    """Returns tensors that are filled with the id of its process."""

    name = "returns-process-id"

    def solve(self, problem: Problem) -> Solution:
        return {name: np.full_like(value, os.getpid()) for name, value in super().solve(problem).items()}


class Leaks(ReturnsProcessId):
    """Leaks 8 MiB for each solution."""

    name = "leaks"
    kept: ClassVar[list[object]] = []

    def solve(self, problem: Problem) -> Solution:
        self.kept.append(np.ones(2**20))
        return super().solve(problem)


class HalfPrecise(Zeros):
    """Returns strided arrays of another floating-point dtype than the case's; both are allowed."""

    name = "half-precise"

    def solve(self, problem: Problem) -> Solution:
        value = np.float16(0.5)
        return {name: np.full(shape, value).T.copy().T for name, shape in problem.expected_shapes().items()}
