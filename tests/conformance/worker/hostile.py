"""Implementations that do to their process what released ones have done; each on the case of that name only."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

import numpy as np

from conformance.adapters import Solution
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors
from conformance.worker.protocol import LONGEST_LINE
from tests.fakes import Faithful, Zeros


def _segfault() -> None:
    ctypes.string_at(0)


def _loop_in_c() -> None:
    # One call that holds the interpreter for hours.
    sum(range(10**15))


def _allocate() -> None:
    kept = []
    while True:
        kept.append(np.ones(2**22))


def _answer(data: bytes) -> None:
    """Writes where answers go: the first pipe among the descriptors that is open for writing and is no log."""
    descriptor = _answers()
    while data:
        data = data[os.write(descriptor, data) :]


def _answers() -> int:
    import fcntl

    log = os.fstat(2).st_ino
    for descriptor in range(3, 64):
        try:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        except OSError:
            continue
        if flags & os.O_ACCMODE == os.O_WRONLY and os.fstat(descriptor).st_ino != log:
            return descriptor
    raise LookupError("there is no pipe to answer on")


def _close_output() -> None:
    os.close(_answers())
    time.sleep(600)


def _half_an_answer() -> None:
    _answer(b'{"ok":true,"n":1000}\nabc')
    os._exit(0)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
    os._exit(7)


DEEDS = {
    "segfault": _segfault,
    "floating-point": lambda: os.kill(os.getpid(), signal.SIGFPE),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(3),
    "last-words": lambda: _say("cannot open kernel cache"),
    "loops": _loop_in_c,
    "allocates": _allocate,
    "garbage": lambda: _answer(b"W tensorflow/core: hello\n"),
    "megabytes": lambda: _answer(b"x" * (4 * LONGEST_LINE)),
    "no-text": lambda: _answer(b"\xff\xfe\x00\n"),
    "wrong-answer": lambda: _answer(b'{"ok":true}\n'),
    "not-tensors": lambda: _answer(b'{"ok":true,"n":9}\n123456789'),
    "too-many-bytes": lambda: _answer(b'{"ok":true,"n":1000000000000}\n'),
    "half-an-answer": _half_an_answer,
    "closes": _close_output,
}
"""What each does, by the name of the case on which it does it."""


class Hostile(Faithful):
    """Right, but where it is told not to be."""

    name = "hostile"

    def solve(self, problem: Problem) -> Solution:
        deed = DEEDS.get(problem.case.name)
        if deed:
            deed()
        return super().solve(problem)


class KillsTheRun(Zeros):
    """What uses it is killed, and it goes on for hours."""

    name = "kills-the-run"

    def solve(self, problem: Problem) -> Solution:
        os.kill(os.getppid(), signal.SIGKILL)
        _loop_in_c()
        return super().solve(problem)


class InterruptsTheRun(Zeros):
    """Ctrl-C in the middle of a call that would go on for hours."""

    name = "interrupts-the-run"

    def solve(self, problem: Problem) -> Solution:
        os.kill(os.getppid(), signal.SIGINT)
        _loop_in_c()
        return super().solve(problem)


class DiesOnSupports(Zeros):
    name = "dies-on-supports"

    def supports(self, case: Case) -> str | None:
        if case.name == "plain":
            os._exit(4)
        return super().supports(case)


class DiesAtStart(Zeros):
    """As often as the file ``deaths`` in the working directory says."""

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


class Talks(Zeros):
    """Prints to standard output by every way there is."""

    name = "talks"

    def describe(self) -> dict[str, str]:
        print("hello")
        return {}

    def solve(self, problem: Problem) -> Solution:
        print("from Python")
        os.write(1, b"x" * 2**21)
        os.system("echo from a child")
        return super().solve(problem)


class Inherits(Zeros):
    """Says what it was given."""

    name = "inherits"

    def describe(self) -> dict[str, str]:
        return {"threads": os.environ["OMP_NUM_THREADS"], "backend": os.environ.get("KERAS_BACKEND", "")}


class DrawsDropout(Zeros):
    """Masks of its own, and they come back as the solution."""

    name = "draws-dropout"

    def dropout_masks(self, problem: Problem) -> Tensors:
        return {name: mask * 0.5 for name, mask in problem.dropout_masks.items()}

    def solve(self, problem: Problem) -> Solution:
        return dict(super().solve(problem)) | {"output": problem.dropout_masks["l0"]}


class Counts(Zeros):
    """Its solutions hold its process's id."""

    name = "counts"

    def solve(self, problem: Problem) -> Solution:
        return {name: np.full_like(value, os.getpid()) for name, value in super().solve(problem).items()}


class Leaks(Counts):
    """Never gives back what it takes."""

    name = "leaks"
    kept: ClassVar[list[object]] = []

    def solve(self, problem: Problem) -> Solution:
        self.kept.append(np.ones(2**20))
        return super().solve(problem)


class HalfPrecise(Zeros):
    """Another floating-point type than the case's, and strided: both are allowed."""

    name = "half-precise"

    def solve(self, problem: Problem) -> Solution:
        value = np.float16(0.5)
        return {name: np.full(shape, value).T.copy().T for name, shape in problem.expected_shapes().items()}
