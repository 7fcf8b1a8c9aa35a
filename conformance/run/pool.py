"""Several implementations at once, a thread for each: while one waits for its process, another judges.

The suite's own work is done by one thread at a time, so that nothing else needs to know of threads.
"""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator, Sequence

from conformance.adapters import Adapter
from conformance.cases.case import Case
from conformance.results.record import Result
from conformance.run.plan import Plan
from conformance.run.runner import Runner
from conformance.worker.client import WorkerAdapter


def run(runner: Runner, plan: Plan, jobs: int = 1) -> Generator[Result, None, None]:
    """All results of a plan, up to ``jobs`` implementations at once; those of each in the same order as one at a time.

    Workers are ended at the end, or at once when the caller stops or an error is raised.
    """
    workers = [adapter for adapter, _ in plan if isinstance(adapter, WorkerAdapter)]
    try:
        if jobs == 1 or len(plan) == 1:
            for adapter, cases in plan:
                yield from runner.run([(adapter, cases)])
                _done_with(adapter)
        else:
            yield from _several(runner, plan, jobs)
    except BaseException:
        for worker in workers:
            worker.abandon()
        raise
    finally:
        for worker in workers:
            worker.close()


def _several(runner: Runner, plan: Plan, jobs: int) -> Iterator[Result]:
    found: queue.Queue[Result | BaseException | None] = queue.Queue()
    left: queue.SimpleQueue[tuple[Adapter, Sequence[Case]]] = queue.SimpleQueue()
    turn, stopped = threading.Lock(), threading.Event()
    for adapter, cases in plan:
        if isinstance(adapter, WorkerAdapter):
            adapter.waiting = lambda: _let_others(turn)
        left.put((adapter, cases))

    def work() -> None:
        try:
            with turn, contextlib.suppress(queue.Empty):
                while True:
                    adapter, cases = left.get_nowait()
                    for result in runner.run([(adapter, cases)]):
                        found.put(result)
                        if stopped.is_set():
                            return
                    _done_with(adapter)
        except BaseException as error:
            found.put(error)
        finally:
            found.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(plan)))]
    for thread in threads:
        thread.start()
    try:
        working = len(threads)
        while working:
            match found.get():
                case None:
                    working -= 1
                case BaseException() as error:
                    raise error
                case result:
                    yield result
    finally:
        stopped.set()
        for adapter, _ in plan:
            if isinstance(adapter, WorkerAdapter):
                adapter.abandon()
        for thread in threads:
            thread.join()


def _done_with(adapter: Adapter) -> None:
    """Ends its process: dozens of frameworks at once would fill the memory."""
    if isinstance(adapter, WorkerAdapter):
        adapter.close()


@contextlib.contextmanager
def _let_others(turn: threading.Lock) -> Iterator[None]:
    """Gives the turn away for as long as a process is waited for."""
    turn.release()
    try:
        yield
    finally:
        turn.acquire()
