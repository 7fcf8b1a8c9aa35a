"""Runs several implementations at once, in one thread each.

A lock lets only one thread at a time execute the suite's own code, so the rest of the suite need not be thread-safe.
A thread releases the lock while it waits for its worker process.
"""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Protocol, TypeVar

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.run.plan import Plan
from conformance.worker.client import WorkerAdapter

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_JOIN_SECONDS = 1.0
"""Time to wait for a thread after an interrupt or an error."""


class Runs(Protocol[_T_co]):
    """Anything that runs a plan, such as a ``Runner``."""

    def run(self, plan: Plan) -> Iterator[_T_co]:
        """Yields results, one implementation after the other."""


def run(runner: Runs[_T], plan: Plan, jobs: int = 1) -> Generator[_T, None, None]:
    """Yields the results of a plan, with up to ``jobs`` implementations running at once.

    The results of each implementation have the same order as with one job. The process of each worker is stopped after
    its last case. If the caller stops or an error is raised, all processes are killed immediately.
    """
    workers = [adapter for adapter, _ in plan if isinstance(adapter, WorkerAdapter)]
    try:
        if jobs == 1 or len(plan) == 1:
            for adapter, cases in plan:
                yield from runner.run([(adapter, cases)])
                _stop_process(adapter)
        else:
            yield from _run_in_threads(runner, plan, jobs)
    except BaseException:
        for worker in workers:
            worker.abandon()
        raise
    finally:
        for worker in workers:
            worker.close()


def _run_in_threads(runner: Runs[_T], plan: Plan, jobs: int) -> Iterator[_T]:
    found: queue.Queue[_T | BaseException | None] = queue.Queue()
    todo: queue.SimpleQueue[tuple[Adapter, Sequence[Case]]] = queue.SimpleQueue()
    lock, stopped = threading.Lock(), threading.Event()
    for adapter, cases in plan:
        if isinstance(adapter, WorkerAdapter):
            adapter.while_waiting = lambda: released(lock)
        todo.put((adapter, cases))

    def work() -> None:
        """Runs implementations until none are left. Puts their results, or an error, and a final None in the queue."""
        try:
            with lock, contextlib.suppress(queue.Empty):
                while True:
                    adapter, cases = todo.get_nowait()
                    for result in runner.run([(adapter, cases)]):
                        found.put(result)
                        if stopped.is_set():
                            return
                    _stop_process(adapter)
        except BaseException as error:
            found.put(error)
        finally:
            found.put(None)

    complete = False
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(plan)))]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            match found.get():
                case None:
                    running -= 1
                case BaseException() as error:
                    raise error
                case result:
                    yield result
        complete = True
    finally:
        stopped.set()
        for adapter, _ in plan:
            if isinstance(adapter, WorkerAdapter):
                adapter.abandon()
        for thread in threads:
            # An interrupted thread may compute for minutes. It ends with this process, and its result is not used.
            thread.join(None if complete else _JOIN_SECONDS)


def _stop_process(adapter: Adapter) -> None:
    """Stops an adapter's process: dozens of frameworks at once would not fit into memory."""
    if isinstance(adapter, WorkerAdapter):
        adapter.close()


@contextlib.contextmanager
def released(lock: threading.Lock) -> Iterator[None]:
    """Releases a lock during the block."""
    lock.release()
    try:
        yield
    finally:
        lock.acquire()
