"""An adapter whose implementation runs in another process: to the runner it is like any other."""

import contextlib
import os
import shlex
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from conformance.adapters import Adapter, Solution
from conformance.cases.case import Case
from conformance.cases.features import features, lack
from conformance.errors import MISSING, UserError
from conformance.verdict import tensors
from conformance.verdict.problem import Problem, Tensors
from conformance.worker import protocol
from conformance.worker.failures import Raised, Unsupported, WorkerCrash, WorkerError
from conformance.worker.process import Process
from conformance.worker.protocol import Failed, Masks, Refused, Solve, Solved, Start, Started, Supported, Supports
from reference import PROFILES, Dialect, Profile

MAIN = Path(__file__).with_name("__main__.py")
MOST_STARTS = 3
"""Times in a row that starting may fail; after that it is not tried again."""
_GROWTH = 1024
_SETTLED = 50
_SPARE_BYTES = 2**26

_T = TypeVar("_T", Started, Supported, Solved)


@dataclass(frozen=True)
class Limits:
    """What a worker may take.

    Attributes:
        start: seconds for starting, which imports the framework.
        request: seconds for any other request.
        memory: MiB that it may have resident; 0 for any.
        solutions: after so many it is started anew, and also when it has grown by a GiB.
    """

    start: float = 300.0
    request: float = 60.0
    memory: int = 0
    solutions: int = 10_000


class WorkerAdapter(Adapter):
    """Asks a process that speaks the worker protocol. It is started when first needed, and again after it died.

    Attributes:
        limits: what the process may take.
        packages: versions of what the implementation consists of.
        seconds: CPU seconds of the process, until they are taken.
        heard: what the implementation warned of, until it is taken.
        waiting: entered around each wait for the process.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, like: Adapter | None = None
    ) -> None:
        if like:
            self.name, self.requires = like.name, like.requires
            self.install, self.default_tag = like.install, like.default_tag
        self.limits = Limits()
        self.seconds = 0.0
        self.heard: list[str] = []
        self.waiting: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        self._command = list(command)
        self._environment = dict(os.environ if environment is None else environment)
        self._abandoned = False
        self._process: Process | None = None
        self._at_exit: weakref.finalize[..., WorkerAdapter]
        self._started: Started | None = None
        self._failed_starts: list[WorkerError] = []
        self._solved = 0
        self._settled = 0
        self._last: tuple[Case, Supported] | None = None

    def describe(self) -> dict[str, str]:
        """What the process says about the implementation; this starts it."""
        return dict(self.start().describe)

    def supports(self, case: Case) -> str | None:
        """Why not, where a feature is missing from those that the process listed; else what it says."""
        listed = self.start().features
        if listed is not None and (lacking := [feature for feature in features(case) if feature not in listed]):
            return f"{self.name} {lack(lacking[0])}"
        return self._about(case).reason

    def dialect(self, case: Case) -> Dialect:
        """What the process says."""
        return self._about(case).dialect

    def profile(self, case: Case) -> Profile:
        """What the process says, or its dtype's generic profile."""
        return self._about(case).profile or PROFILES[case.dtype]

    def dropout_masks(self, problem: Problem) -> Tensors:
        """The problem's own, unless the implementation draws its own."""
        if not problem.case.drops or not self.start().draws_dropout:
            return problem.dropout_masks
        block = tensors.dumps(protocol.to_tensors(problem))
        return self._tensors(Masks(case=problem.case, draw=problem.draw, n=len(block)), block)

    def solve(self, problem: Problem) -> Solution:
        """The process's solution.

        Raises:
            WorkerError: there is none; its class says which status that is.
        """
        block = tensors.dumps(protocol.to_tensors(problem))
        wants = {name: list(shape) for name, shape in problem.expected_shapes().items()}
        request = Solve.model_construct(case=problem.case, draw=problem.draw, wants=wants, n=len(block))
        solution = self._tensors(request, block)
        self._recycle()
        return solution

    def start(self) -> Started:
        """Starts the process, unless it runs.

        Raises:
            WorkerError: it does not start.
        """
        if self._process and self._started and self._process.quiet:
            return self._started
        self.close()
        if self._abandoned:
            raise WorkerCrash("the run was stopped")
        if len(self._failed_starts) >= MOST_STARTS:
            raise self._failed_starts[-1]
        try:
            self._process = Process(self._command, self._environment)
            self._at_exit = weakref.finalize(self, self._process.kill)
            self._started = self._ask(Start(), b"", Started, self.limits.start)
            if self._started.missing:
                raise WorkerCrash(self._started.missing)
        except WorkerError as error:
            self._failed_starts.append(error)
            self.close()
            raise
        self._failed_starts.clear()
        self._solved = self._settled = 0
        self.packages = self._started.packages or self.packages
        return self._started

    def close(self) -> None:
        """Ends the process."""
        if self._process:
            self._process.stop()
            self._at_exit.detach()
        self._process = self._started = None

    def abandon(self) -> None:
        """Ends the process although another thread may be waiting for it, and starts no other."""
        self._abandoned = True
        if process := self._process:
            process.end()

    def take(self) -> tuple[float, list[str]]:
        """CPU seconds of the process, and what the implementation warned of, since the last call."""
        taken = self.seconds, self.heard
        self.seconds, self.heard = 0.0, []
        return taken

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other threads waiting, also while the process is waited for."""
        waiting, self.waiting = self.waiting, contextlib.nullcontext
        try:
            yield
        finally:
            self.waiting = waiting

    def _about(self, case: Case) -> Supported:
        if self._last is None or self._last[0] is not case:
            self.start()
            self._last = (case, self._ask(Supports.model_construct(case=case), b"", Supported, self.limits.request))
        return self._last[1]

    def _tensors(self, request: Solve | Masks, block: bytes) -> Tensors:
        self.start()
        answer = self._ask(request, block, Solved, self.limits.request)
        assert self._process
        most = _SPARE_BYTES + 16 * len(block)
        try:
            if answer.n > most:
                raise self._process.violation(f"{answer.n} bytes of tensors, where {most} are the most")
            with self.waiting():
                data = self._process.take(answer.n)
            self._process.end_of_answer()
            return tensors.loads(data)[0]
        except ValueError as error:
            raise self._process.violation(f"tensors that cannot be read: {error}") from error

    def _ask(self, request: BaseModel, block: bytes, kind: type[_T], seconds: float) -> _T:
        process = self._process
        assert process
        with self.waiting():
            line = process.ask(protocol.encode(request) + block, seconds, self.limits.memory)
        try:
            answer = protocol.read_answer(line, kind)
        except ValueError as error:
            raise process.violation(f"{line[:200]!r} ({error})") from error
        self.seconds += answer.seconds
        self.heard += answer.warnings
        if isinstance(answer, Solved):
            return answer  # type: ignore[return-value]
        process.end_of_answer()
        if isinstance(answer, Failed):
            raised = answer.error
            raise Raised(f"{raised.type}: {raised.message}", raised.traceback or process.log())
        if isinstance(answer, Refused):
            raise Unsupported(answer.unsupported)
        return answer

    def _recycle(self) -> None:
        """Ends a process that has solved much or grown; the next request starts another."""
        assert self._process
        self._solved += 1
        resident = self._process.resident()
        if self._solved == _SETTLED:
            self._settled = resident
        if self._solved >= self.limits.solutions or (self._settled and resident > self._settled + _GROWTH):
            self.close()


def isolated(adapter: Adapter, place: str) -> WorkerAdapter:
    """An adapter, run by this interpreter in a process of its own; ``place`` is where its class is."""
    # What can be imported here can be there: this process may have been started from another folder or by pytest.
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": path, **adapter.environment}
    return WorkerAdapter([sys.executable, str(MAIN), place], environment, like=adapter)


def program(command: str) -> WorkerAdapter:
    """A program that speaks the protocol, in any language; it is started to ask for its name.

    Raises:
        UserError: it cannot be started or does not speak it.
    """
    words = shlex.split(command)
    if not words:
        raise UserError("cmd: needs a program, such as cmd:./harness")
    return _introduced(WorkerAdapter(words), f"cmd:{command}")


def elsewhere(python: str, name: str) -> WorkerAdapter:
    """Returns an adapter that another environment's interpreter runs.

    Its name ends with the version of its first package, which defines the implementation: ``torch.nn.LSTM@2.9``. A
    package of the wrong version is no error here: ``installed.missing`` reports it.

    Raises:
        UserError: the process cannot be started, or a package that the adapter requires is not installed there.
    """
    if not name:
        raise UserError(f"python:{python} needs an implementation's name: python:{python}:torch.nn.LSTM")
    worker = _introduced(WorkerAdapter([python, str(MAIN), name]), f"python:{python}:{name}")
    version = next(iter(worker.packages.values()), "").partition("+")[0].removesuffix(".0")
    worker.name += f"@{version}" if version else ""
    return worker


def _introduced(worker: WorkerAdapter, spec: str) -> WorkerAdapter:
    try:
        started = worker.start()
    except WorkerError as error:
        worker.close()
        log = f"\n{error.log}" if error.log else ""
        raise UserError(f"{spec} cannot be used: {error}{log}", MISSING) from error
    worker.name = started.name
    return worker
