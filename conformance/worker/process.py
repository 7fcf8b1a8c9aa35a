"""A child process that answers requests within a time limit. Every failure is a ``WorkerError``."""

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from conformance import system
from conformance.worker.failures import WorkerCrash, WorkerTimeout
from conformance.worker.protocol import MAX_LINE_BYTES

_MIB = 2**20
_CHUNK_BYTES = 2**16
_MAX_LOG_BYTES = 4000
_MEMORY_CHECK_SECONDS = 0.02
"""Time between two checks of a process's memory, if its memory is limited."""
_EXIT_SECONDS = 5.0
"""Time limit for the exit of a process that was asked to stop or closed its output."""
_LOG_SECONDS = 30.0
"""Time limit for reading the rest of a dead process's standard error.

On a busy machine the reading thread may not run for seconds. Only a descendant in another session that keeps the stream
open reaches the limit.
"""


class Process:
    """A child process in its own session: Ctrl-C does not reach it, and its children are killed with it.

    Args:
        command: command line.
        environment: environment variables.

    Raises:
        WorkerCrash: the process cannot be started.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        if not system.has_workers():
            raise WorkerCrash("this system cannot give an implementation its own process; Linux and macOS can")
        self._asked = False
        self._memory_limit = 0
        self._deadline = 0.0
        self._time_limit = 0.0
        self._buffer = bytearray()
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=dict(environment), start_new_session=True
            )
        except OSError as error:
            raise WorkerCrash(f"cannot start {command[0]}: {error.strerror}") from error
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._in.fileno(), False)
        self._log = _Tail(self._process.stderr)

    @property
    def is_idle(self) -> bool:
        """Whether the process runs and has written nothing since its last answer."""
        return not (self._out.closed or self._buffer or _is_ready(self._out.fileno(), select.POLLIN, 0.0))

    def log(self) -> str:
        """Returns the end of standard error since the last request; for the first request, since the start."""
        return self._log.text()

    def ask(self, request: bytes, seconds: float, memory: int = 0) -> bytes:
        """Sends a request and returns the first line of the answer.

        Args:
            request: the request, with its tensors.
            seconds: time limit for the whole answer.
            memory: limit of the process's resident memory in MiB; 0 for no limit.

        Raises:
            WorkerCrash: the process died, exceeded the memory limit, or sent too long a line.
            WorkerTimeout: the process did not answer in time.
        """
        if self._asked:
            self._log.clear()
        self._asked = True
        self._memory_limit, self._time_limit, self._deadline = memory, seconds, time.monotonic() + seconds
        self._send(memoryview(request))
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE_BYTES:
                start = bytes(self._buffer[:60])
                raise self.protocol_error(f"sent a line of more than {MAX_LINE_BYTES} bytes: {start!r}…")
            self._receive()
        return self._take(end + 1)

    def read(self, count: int) -> bytes:
        """Returns the bytes that follow the line of an answer, within the time limit of the request.

        Raises:
            WorkerCrash: the process died or exceeded the memory limit.
            WorkerTimeout: the process did not send them in time.
        """
        while len(self._buffer) < count:
            self._receive()
        return self._take(count)

    def check_end_of_answer(self) -> None:
        """Raises WorkerCrash if bytes follow an answer."""
        if self._buffer:
            start = bytes(self._buffer[:60])
            raise self.protocol_error(f"sent {len(self._buffer)} bytes after the end of its answer: {start!r}")

    def protocol_error(self, what: str) -> WorkerCrash:
        """Kills the process and returns the error that says how it violated the protocol."""
        self.kill()
        return WorkerCrash(f"its process violated the protocol: it {what}", self.log())

    def resident(self) -> int:
        """Returns the resident memory in MiB; 0 if the system does not report it."""
        return system.resident_memory(self._process.pid) // _MIB

    def stop(self) -> None:
        """Asks the process to stop, and kills it if it does not."""
        if self._in.closed:
            return
        with contextlib.suppress(OSError):
            self._in.write(b'{"cmd":"stop"}\n')
            self._in.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_SECONDS)
        self.kill()

    def send_kill(self) -> None:
        """Kills the process and its children without waiting, so that any thread may call it.

        A thread that waits for an answer then raises WorkerCrash.
        """
        system.kill_group(self._process)

    def kill(self) -> None:
        """Kills the process and its children, waits for the process and releases its pipes."""
        self.send_kill()
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
                return  # The process died. Its earlier output can still be read.
            if data:
                self._wait(self._in.fileno(), select.POLLOUT)

    def _receive(self) -> None:
        self._wait(self._out.fileno(), select.POLLIN)
        chunk = os.read(self._out.fileno(), _MIB)
        if not chunk:
            raise self._died()
        self._buffer += chunk

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _wait(self, descriptor: int, event: int) -> None:
        """Waits until a descriptor is ready. Kills the process if it exceeds a limit while waiting."""
        while True:
            left = self._deadline - time.monotonic()
            if _is_ready(descriptor, event, min(left, _MEMORY_CHECK_SECONDS) if self._memory_limit else left):
                return
            if self._memory_limit and (used := self.resident()) > self._memory_limit:
                self.kill()
                limit = f"the limit is {self._memory_limit} MiB"
                raise WorkerCrash(f"its process used {used} MiB of memory and was killed; {limit}", self.log())
            if left <= 0:
                self.kill()
                raise WorkerTimeout(f"no answer within {self._time_limit:g} s; its process was killed", self.log())

    def _died(self) -> WorkerCrash:
        """Returns the error for a process that closed its output."""
        try:
            code = self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerCrash("its process closed its output without an answer and was killed", self.log())
        self.kill()
        return WorkerCrash(f"its process {describe_exit(code)}", self.log())


class _Tail:
    """Reads a stream to its end in a thread, so that its writer never blocks, and keeps the last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._follow, args=(stream,), daemon=True)
        self._thread.start()

    def _follow(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
                self._kept = (self._kept + chunk)[-_MAX_LOG_BYTES:]

    def text(self) -> str:
        return self._kept.decode(errors="replace").strip()

    def clear(self) -> None:
        self._kept = bytearray()

    def join(self) -> None:
        self._thread.join(_LOG_SECONDS)


def _is_ready(descriptor: int, event: int, seconds: float) -> bool:
    """Returns whether a descriptor becomes readable or writable within a time, or its other end is closed."""
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def describe_exit(code: int) -> str:
    """Describes a return code of ``subprocess``."""
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"died of signal {-code}"
    words = (signal.strsignal(-code) or "").lower()
    hint = "; the system may be out of memory" if name == "SIGKILL" else ""
    return f"died of {name} ({words}){hint}"
