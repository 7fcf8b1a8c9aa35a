"""Adapters whose implementations run in other processes. The runner uses them like any other adapter."""

import contextlib
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from conformance import threads
from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.cases.features import ADDED, features, lack
from conformance.verdict import declared, tensors
from conformance.verdict.problem import Problem, Tensors
from conformance.worker import protocol
from conformance.worker.failures import Raised, Unsupported, WorkerCrash, WorkerError
from conformance.worker.process import Process
from conformance.worker.protocol import Failed, Masks, Refused, Solve, Solved, Start, Started, Supported, Supports
from reference import PROFILES, Dialect, Profile

MAX_FAILED_STARTS = 3
"""Number of failed starts in a row after which a worker is not started again."""
_WARM_UP_SOLUTIONS = 50
"""Number of solutions after which the growth of a worker's memory is measured."""
_MAX_GROWTH_MIB = 1024
"""Growth of a worker's memory after the warm-up, in MiB, above which the worker is restarted."""
_MAX_EXTRA_BYTES = 2**26
"""Bytes of tensors that an answer may have in addition to 16 times the bytes of the problem's tensors."""

_T = TypeVar("_T", Started, Supported, Solved)


@dataclass(frozen=True)
class Limits:
    """Limits of a worker. It is also restarted after its memory has grown by 1 GiB.

    Attributes:
        start: seconds for the start, which imports the framework.
        request: seconds for any other request.
        memory: resident memory in MiB; 0 for no limit.
        solutions: number of solutions after which the worker is restarted.
    """

    start: float = 300.0
    request: float = 60.0
    memory: int = 0
    solutions: int = 10_000


class WorkerAdapter(Adapter):
    """Adapter for a process that speaks the worker protocol. The process starts on demand, and again after it dies.

    A problem whose case requires a number of threads is solved in a process with that number.

    Args:
        command: command line of the process.
        environment: environment variables of the process; by default, those of this process.
        like: adapter whose name, requirements and default tag this adapter copies.

    Attributes:
        limits: limits of the process.
        packages: versions of the packages that the implementation consists of.
        seconds: CPU seconds of the process since the last call of ``take_usage``.
        warnings: warnings of the implementation since the last call of ``take_usage``.
        while_waiting: factory of a context that is active during each wait for the process.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, like: Adapter | None = None
    ) -> None:
        if like:
            self.name, self.requires = like.name, like.requires
            self.install, self.default_tag = like.install, like.default_tag
        self._features = like.features if like else frozenset[str]()
        self.limits = Limits()
        self.seconds = 0.0
        self.warnings: list[str] = []
        self.while_waiting: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        self._command = list(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._threads: int | None = None
        self._abandoned = False
        self._process: Process | None = None
        self._at_exit: weakref.finalize[..., WorkerAdapter]
        self._started: Started | None = None
        self._failed_starts: list[WorkerError] = []
        self._solved = 0
        self._warm_memory = 0
        self._last: tuple[Case, Supported] | None = None

    @property
    def gave_up(self) -> bool:
        """Whether the process has failed to start so often that it is not started again."""
        return len(self._failed_starts) >= MAX_FAILED_STARTS

    def describe(self) -> dict[str, str]:
        """Returns the implementation's description of itself. Starts the process."""
        return dict(self.start().describe)

    def declared_features(self) -> Set[str] | None:
        """Returns the features that the implementation declares, without starting the process; None if unknown."""
        listed = self._started.features if self._started else None
        return frozenset(listed) if listed is not None else self._features or None

    def supports(self, case: Case) -> str | None:
        """Returns the first feature that the process did not list, or else the process's own answer.

        A process that lists no features is asked about every case, but about those with features in ``ADDED`` only if
        it lists them as known.
        """
        started = self.start()
        required, listed = features(case), started.features
        if listed is None:
            required, listed = [feature for feature in required if feature in ADDED], started.uses
        if lacking := [feature for feature in required if feature not in listed]:
            return f"{self.name} {lack(lacking[0])}"
        return self._ask_support(case).reason

    def dialect(self, case: Case) -> Dialect:
        """Returns the dialect that the process declares."""
        return self._ask_support(case).dialect

    def profile(self, case: Case) -> Profile:
        """Returns the profile that the process declares, by default the generic profile of the dtype."""
        return self._ask_support(case).profile or PROFILES[case.dtype]

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the masks that the implementation draws, or the problem's own if it draws none."""
        if not problem.case.drops or not self.start().draws_dropout:
            return problem.dropout_masks
        block = tensors.dumps(protocol.to_tensors(problem))
        return self._ask_tensors(Masks(case=problem.case, draw=problem.draw, n=len(block)), block)

    def solve(self, problem: Problem) -> Solution:
        """Returns the process's solution.

        Raises:
            WorkerError: the process did not return a solution.
        """
        block = tensors.dumps(protocol.to_tensors(problem))
        wants = {name: list(shape) for name, shape in problem.expected_shapes().items()}
        request = Solve.model_construct(case=problem.case, draw=problem.draw, wants=wants, n=len(block))
        solution = self._ask_tensors(request, block)
        self._recycle()
        return solution

    def start(self) -> Started:
        """Starts the process if it does not run. Returns its answer to the ``start`` request.

        Raises:
            WorkerError: the process does not start.
        """
        if self._process and self._started and self._process.is_idle:
            return self._started
        self.close()
        if self._abandoned:
            raise WorkerCrash("the run was stopped")
        if self.gave_up:
            raise self._failed_starts[-1]
        try:
            own = threads.variables(self._threads) if self._threads else {}
            self._process = Process(self._command, self._environment | own)
            self._at_exit = weakref.finalize(self, self._process.kill)
            self._started = self._ask(Start(), b"", Started, self.limits.start)
            if self._started.missing:
                raise WorkerCrash(self._started.missing)
        except WorkerError as error:
            self._failed_starts.append(error)
            self.close()
            raise
        self._failed_starts.clear()
        self._solved = self._warm_memory = 0
        self.packages = self._started.packages or self.packages
        self.repeats_exactly = self._started.repeats_exactly
        return self._started

    def close(self) -> None:
        """Stops the process."""
        if self._process:
            self._process.stop()
            self._at_exit.detach()
        self._process = self._started = None

    def abandon(self) -> None:
        """Kills the process, even while another thread waits for it, and does not start it again."""
        self._abandoned = True
        if process := self._process:
            process.send_kill()

    def take_usage(self) -> tuple[float, list[str]]:
        """Returns the CPU seconds of the process and the warnings of the implementation since the last call."""
        usage = self.seconds, self.warnings
        self.seconds, self.warnings = 0.0, []
        return usage

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps other threads from running during the ``with`` block, even while it waits for the process."""
        while_waiting, self.while_waiting = self.while_waiting, contextlib.nullcontext
        try:
            yield
        finally:
            self.while_waiting = while_waiting

    def _ask_support(self, case: Case) -> Supported:
        if self._last is None or self._last[0] is not case:
            self.start()
            self._last = (case, self._ask(Supports.model_construct(case=case), b"", Supported, self.limits.request))
        return self._last[1]

    def _ask_tensors(self, request: Solve | Masks, block: bytes) -> Tensors:
        if request.case.threads != self._threads:
            # Libraries read the number of threads when they are loaded.
            self.close()
            self._threads = request.case.threads
        self.start()
        answer = self._ask(request, block, Solved, self.limits.request)
        assert self._process
        limit = _MAX_EXTRA_BYTES + 16 * len(block)
        if answer.n > limit:
            raise self._process.protocol_error(f"announced {answer.n} bytes of tensors, more than {limit}")
        with self.while_waiting():
            data = self._process.read(answer.n)
        self._process.check_end_of_answer()
        for shape in answer.shapes:
            declared.record_shape(shape.name, shape.declared, shape.returned)
        try:
            return tensors.loads(data)[0]
        except ValueError as error:
            raise self._process.protocol_error(f"sent unreadable tensors: {error}") from error

    def _ask(self, request: BaseModel, block: bytes, kind: type[_T], seconds: float) -> _T:
        process = self._process
        assert process
        with self.while_waiting():
            line = process.ask(protocol.encode(request) + block, seconds, self.limits.memory)
        try:
            answer = protocol.read_answer(line, kind)
        except ValueError as error:
            raise process.protocol_error(f"sent {line[:200]!r} ({error})") from error
        self.seconds += answer.seconds
        self.warnings += answer.warnings
        if isinstance(answer, Solved):
            return answer  # type: ignore[return-value]
        process.check_end_of_answer()
        if isinstance(answer, Failed):
            raised = answer.error
            raise Raised(f"{raised.type}: {raised.message}", raised.traceback or process.log(), raised.by_adapter)
        if isinstance(answer, Refused):
            raise Unsupported(answer.unsupported)
        return answer

    def _recycle(self) -> None:
        """Stops a process that has solved many problems or uses much more memory. The next request restarts it."""
        assert self._process
        self._solved += 1
        resident = self._process.resident()
        if self._solved == _WARM_UP_SOLUTIONS:
            self._warm_memory = resident
        grown = self._warm_memory and resident > self._warm_memory + _MAX_GROWTH_MIB
        if self._solved >= self.limits.solutions or grown:
            self.close()
