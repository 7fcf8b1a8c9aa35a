"""One attempt at a case on an implementation: CPU seconds by phase, warnings, and errors of the implementation."""

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from conformance.adapters import Adapter
from conformance.errors import message_of
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError


class RaisedError(Exception):
    """Wraps an error of the implementation, to distinguish it from the suite's own errors.

    Attributes:
        error: the original error.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(message_of(error))
        self.error = error


class Attempt:
    """Calls an implementation for one case. Measures CPU time and records warnings.

    Attributes:
        seconds: CPU seconds by phase, in this process and in the implementation's own.
        warnings: warnings of the implementation.
        unchecked: features of the case that are left out, with the reason.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.unchecked: dict[str, str] = {}
        self._worker = adapter if isinstance(adapter, WorkerAdapter) else None
        # If implementations have their own processes, other threads run other cases and must not count. In this
        # process, the framework's threads count too.
        self._clock = time.thread_time if self._worker else time.process_time
        self._last = self._clock()

    def charge(self, phase: str) -> None:
        """Adds the CPU time since the last charge to a phase, including that of the worker process."""
        now = self._clock()
        worker_seconds, worker_warnings = self._worker.take_usage() if self._worker else (0.0, [])
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._last + worker_seconds
        self.warnings += worker_warnings
        self._last = now

    def charge_parts(self, parts: Mapping[str, float]) -> None:
        """Replaces the CPU time since the last charge by times that were measured per phase."""
        for phase, seconds in parts.items():
            self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds
        self._last = self._clock()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a method of the adapter and records its warnings.

        Raises:
            RaisedError: the implementation raised an error, or asked to exit. An interrupt by the user is not wrapped.
        """
        if self._worker:
            try:
                return function(*arguments)
            except WorkerError as error:
                raise RaisedError(error) from error
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return function(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise RaisedError(error) from error
            finally:
                self.warnings += [f"{item.category.__name__}: {item.message}" for item in caught]
