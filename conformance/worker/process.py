"""A child process that is asked and answers within a time. Whatever it does comes to an answer or a WorkerError."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from conformance.worker.failures import WorkerCrash, WorkerTimeout
from conformance.worker.protocol import LONGEST_LINE

_CHUNK = 2**16
_KEPT_LOG = 4000
_GLANCE = 0.02
"""Seconds between two looks at how much memory a process has that may have only so much."""
_GRACE = 5.0
"""Seconds in which a process that is told to stop, or has closed its output, must end."""
_MIB = 2**20


class Process:
    """A child process in a session of its own, so that Ctrl-C does not reach it and its own children end with it.

    Args:
        command: its command line.
        environment: its environment.

    Raises:
        WorkerCrash: it cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._asked = False
        self._memory = 0
        self._deadline = 0.0
        self._limit = 0.0
        self._buffer = bytearray()
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=dict(environment), start_new_session=True
            )
        except OSError as error:
            raise WorkerCrash(f"{command[0]} cannot be started: {error.strerror}") from error
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        self._log = _Tail(self._process.stderr)

    @property
    def quiet(self) -> bool:
        """Whether it lives and has said nothing that it was not asked for."""
        return not (self._out.closed or self._buffer or _ready(self._out.fileno(), select.POLLIN, 0.0))

    def log(self) -> str:
        """The last lines of its standard error since the last request, or since its start where that is the first."""
        return self._log.text()

    def ask(self, request: bytes, seconds: float, memory: int = 0) -> bytes:
        """Sends a request and reads the line that answers it.

        Args:
            request: all bytes of it.
            seconds: in which the whole answer must come.
            memory: MiB of memory that the process may have resident meanwhile; 0 for any.

        Raises:
            WorkerCrash: the process died, or its line does not end.
            WorkerTimeout: it did not answer within that time.
        """
        if self._asked:
            self._log.clear()
        self._asked = True
        self._memory, self._limit, self._deadline = memory, seconds, time.monotonic() + seconds
        self._send(memoryview(request))
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > LONGEST_LINE:
                raise self.violation(f"a line of more than {LONGEST_LINE} bytes: {bytes(self._buffer[:60])!r}…")
            self._read()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def take(self, count: int) -> bytes:
        """The bytes that follow an answer, in what is left of the same time."""
        while len(self._buffer) < count:
            self._read()
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def end_of_answer(self) -> None:
        """Nothing may follow an answer.

        Raises:
            WorkerCrash: something does.
        """
        if self._buffer:
            raise self.violation(f"{len(self._buffer)} bytes more than it announced: {bytes(self._buffer[:60])!r}")

    def violation(self, what: str) -> WorkerCrash:
        """The process is ended: it said what the protocol has no place for."""
        self.kill()
        return WorkerCrash(f"its process broke the protocol with {what}", self.log())

    def resident(self) -> int:
        """MiB of memory that it has resident; 0 where the system does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as file:  # noqa: PTH123 (called 50 times a second)
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // _MIB
        except (OSError, IndexError):
            return 0

    def stop(self) -> None:
        """Tells it to end, and ends it if it does not."""
        if self._in.closed:
            return
        with contextlib.suppress(OSError):
            self._in.write(b'{"cmd":"stop"}\n')
            self._in.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        self.kill()

    def end(self) -> None:
        """Ends it and its children at once; whoever waits for its answer finds it dead."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Ends it and its children at once, and gives back what it held."""
        self.end()
        self._process.wait()
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):
                pipe.close()
        self._log.join()

    def _send(self, data: memoryview) -> None:
        while data:
            try:
                data = data[self._in.write(data) or 0 :]
            except BrokenPipeError:
                return  # It is gone; what it said before is still to be read.
            if data:
                self._wait(self._in.fileno(), select.POLLOUT)

    def _read(self) -> None:
        self._wait(self._out.fileno(), select.POLLIN)
        chunk = os.read(self._out.fileno(), max(_CHUNK, _MIB))
        if not chunk:
            raise self._died()
        self._buffer += chunk

    def _wait(self, descriptor: int, event: int) -> None:
        while True:
            left = self._deadline - time.monotonic()
            if _ready(descriptor, event, min(left, _GLANCE) if self._memory else left):
                return
            if self._memory and (used := self.resident()) > self._memory:
                self.kill()
                raise WorkerCrash(
                    f"its process had {used} MiB of memory, {self._memory} MiB are allowed, and was ended", self.log()
                )
            if left <= 0:
                self.kill()
                raise WorkerTimeout(f"no answer within {self._limit:g} s; its process was ended", self.log())

    def _died(self) -> WorkerCrash:
        try:
            code = self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerCrash("its process closed its output without an answer, and was ended", self.log())
        self.kill()
        return WorkerCrash(f"its process {_ending(code)}", self.log())


class _Tail:
    """Reads a stream to its end, so that who writes to it never waits, and keeps what came last."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._follow, args=(stream,), daemon=True)
        self._thread.start()

    def _follow(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), _CHUNK):
                kept = self._kept + chunk
                self._kept = kept[-_KEPT_LOG:]

    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()

    def clear(self) -> None:
        self._kept = bytearray()

    def join(self) -> None:
        self._thread.join(1.0)  # A child of the process may have the stream open still.


def _ready(descriptor: int, event: int, seconds: float) -> bool:
    """Whether a descriptor can be read or written within a time; also when its other end is gone."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _ending(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended by itself, with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"died of signal {-code}"
    words = (signal.strsignal(-code) or "").lower()
    hint = ": was the system out of memory?" if name == "SIGKILL" else ""
    return f"died of {name} ({words}){hint}"
