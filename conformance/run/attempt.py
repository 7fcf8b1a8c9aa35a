"""One attempt at a case on an implementation: CPU seconds by phase, warnings, and errors of the implementation."""

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from conformance.adapters import Adapter, Solution
from conformance.adapters.adapter import as_arrays
from conformance.adapters.origin import raised_by_adapter
from conformance.errors import message_of
from conformance.verdict.problem import Problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import Raised, WorkerError


class RaisedError(Exception):
    """Wraps an error of the implementation, to distinguish it from the suite's own errors.

    Attributes:
        error: the original error.
        by_adapter: whether the adapter raised it, instead of the implementation.
    """

    def __init__(self, error: BaseException, by_adapter: bool) -> None:
        super().__init__(message_of(error))
        self.error = error
        self.by_adapter = by_adapter

    @property
    def is_refusal(self) -> bool:
        """Whether the implementation refused its arguments, which leaves its process alive."""
        lives = isinstance(self.error, Raised) or not isinstance(self.error, WorkerError)
        return lives and not self.by_adapter

    @property
    def message(self) -> str:
        """Class and message of the error."""
        if isinstance(self.error, WorkerError):
            return str(self.error)
        return f"{type(self.error).__name__}: {message_of(self.error)}"


class Attempt:
    """Calls an implementation for one case. Measures CPU time and records warnings.

    Attributes:
        seconds: CPU seconds by phase, in this process and in the implementation's own.
        warnings: warnings of the implementation.
        notes: remarks about results that conform.
        unchecked: features of the case that are left out, with the reason.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.unchecked: dict[str, str] = {}
        self._adapter = adapter
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

    def solve(self, problem: Problem) -> Solution:
        """Solves a problem.

        Raises:
            RaisedError: the implementation raised an error.
        """
        return self.call(_solve, self._adapter, problem)  # type: ignore[no-any-return]

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a method of the adapter and records its warnings.

        Raises:
            RaisedError: the implementation raised an error, or asked to exit. An interrupt by the user is not wrapped.
        """
        if self._worker:
            try:
                return function(*arguments)
            except WorkerError as error:
                raise RaisedError(error, isinstance(error, Raised) and error.by_adapter) from error
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                return function(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise RaisedError(error, raised_by_adapter(error, self._adapter)) from error
            finally:
                self.warnings += [f"{item.category.__name__}: {item.message}" for item in caught]


def _solve(adapter: Adapter, problem: Problem) -> Solution:
    return as_arrays(adapter.solve(problem))
