"""A Dask cluster that runs batches of cases (``--dask``).

Dask distributes the batches, and runs a batch again if its worker dies. A worker declares a resource for each
implementation whose packages it has in the right versions, so that it gets batches of these implementations only. A
worker that joins later does the same. The import of this module needs ``distributed``.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from distributed import Client, Future, KilledWorker, WorkerPlugin, wait

from conformance import __version__
from conformance.adapters import Adapter, installed
from conformance.cache import default_cache
from conformance.errors import MISSING, UserError
from conformance.run import implementations
from conformance.run.pool import released
from conformance.worker.client import Limits, WorkerAdapter

CONNECT_SECONDS = 10
"""Time limit for the connection to the scheduler."""
_POLL_SECONDS = 5.0
"""Time after which to look for batches that no worker could run when they were submitted."""


class Batch(Protocol):
    """Cases of one implementation, which can be pickled."""

    @property
    def implementation(self) -> str:
        """Name of the implementation."""

    def run(self, adapter: WorkerAdapter) -> Any:
        """Runs the cases. Called on a worker of the cluster."""


@dataclass(frozen=True)
class Setup:
    """Settings that workers need to drive the implementations.

    Attributes:
        specs: names of the implementations on the command line, by their names.
        limits: limits of their processes.
        cached: whether workers keep compiled programs in their caches.
        run: unique name of the run.
    """

    specs: Mapping[str, str]
    limits: Limits
    cached: bool
    run: str = field(default_factory=lambda: f"conformance-{uuid.uuid4().hex[:8]}")

    def load(self, name: str) -> WorkerAdapter:
        """Loads an implementation, which gets its own process.

        Raises:
            UserError: the implementation cannot be loaded, or a package is missing.
        """
        folder = default_cache() if self.cached else None
        [adapter] = implementations.load_all([self.specs[name]], isolated=True, limits=self.limits, cache=folder)
        if absent := installed.missing(adapter):
            raise UserError(absent, MISSING)
        if not isinstance(adapter, WorkerAdapter):
            raise UserError("this system cannot give an implementation its own process", MISSING)
        return adapter

    def resource(self, name: str) -> str:
        """Returns the Dask resource of workers that can run an implementation."""
        return f"{self.run}/{name}"


@dataclass(frozen=True)
class Survey:
    """Implementations that a worker can run.

    Attributes:
        suite: version of the suite.
        packages: versions of packages, by the implementations that the worker can run.
        missing: the reason for each implementation that it cannot run.
    """

    suite: str
    packages: Mapping[str, Mapping[str, str]]
    missing: Mapping[str, str]

    def differences(self, packages: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
        """Returns for some implementations why this worker gets no work for them.

        Args:
            packages: the versions with which the run began, by implementation.
        """
        if self.suite != __version__:
            return dict.fromkeys(packages, f"has version {self.suite} of the suite, not {__version__}")
        reasons = {}
        for name, wanted in packages.items():
            if name in self.missing:
                reasons[name] = self.missing[name]
            elif self.packages[name] != wanted:
                reasons[name] = f"has {_versions(self.packages[name])}, not {_versions(wanted)}"
        return reasons


class Cluster:
    """A connection to a cluster. Waits for the first worker.

    Args:
        address: address of the scheduler.
        adapters: the implementations to run.
        setup: what workers need to drive them.

    Attributes:
        usable: the implementations that some worker can run, with the versions of packages that most workers have.
        absent: the reasons why no worker can run the others.
        lacking: for each worker, why it gets no cases of some usable implementations.

    Raises:
        UserError: there is no scheduler at the address.
    """

    def __init__(self, address: str, adapters: Sequence[Adapter], setup: Setup) -> None:
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            hint = "Start one with `dask scheduler`, which prints its address."
            raise UserError(f"--dask {address}: cannot connect to a scheduler: {error}. {hint}", MISSING) from error
        self._setup = setup
        self._batches: dict[Future, Batch] = {}
        # An adaptive cluster starts its first worker for a task, and may stop it again.
        first = self._client.submit(survey, setup, pure=False).result()
        surveys: dict[str, Survey] = self._client.run(survey, setup, on_error="ignore") or {"the first worker": first}
        packages = _most_common(surveys)
        self.usable = [adapter for adapter in adapters if adapter.name in packages]
        for adapter in self.usable:
            adapter.packages = packages[adapter.name]
        reasons = {name: reason for each in surveys.values() for name, reason in each.missing.items()}
        self.absent = {each.name: reasons[each.name] for each in adapters if each.name not in packages}
        lacking = {worker: each.differences(packages) for worker, each in sorted(surveys.items())}
        self.lacking = {worker: reasons for worker, reasons in lacking.items() if reasons}
        self._client.register_plugin(_Declares(setup, packages), name=setup.run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Cancels all batches, ends the implementations' processes and closes the connection."""
        with suppress(Exception):  # The scheduler may be gone.
            self._client.cancel(list(self._batches), force=True)
            self._client.unregister_worker_plugin(self._setup.run)
        self._client.close()

    @property
    def threads(self) -> int:
        """Number of batches that the workers run at once, at least 1."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    @property
    def pending(self) -> int:
        """Number of batches that have no result yet."""
        return len(self._batches)

    def submit(self, batch: Batch) -> None:
        """Submits a batch."""
        resources = {self._setup.resource(batch.implementation): 1}
        self._batches[self._client.submit(run_batch, batch, self._setup, resources=resources, pure=False)] = batch

    def next(self) -> tuple[Any, Any]:
        """Returns a batch that has finished, and its result.

        Raises:
            UserError: the connection to the scheduler is lost, or several workers died while they ran a batch.
        """
        done = self._wait()
        batch = self._batches.pop(done)
        try:
            return batch, done.result()
        except KilledWorker as error:
            raise UserError(
                f"--dask: several workers died while they ran {batch.implementation}: {error}. Give them more "
                "memory or fewer threads, and continue with --resume.",
                MISSING,
            ) from error
        except Exception:
            if done.status in ("cancelled", "lost"):
                raise UserError("--dask: lost the scheduler. Start it, and continue with --resume.", MISSING) from None
            raise

    def _wait(self) -> Future:
        while True:
            with suppress(TimeoutError):
                return wait(list(self._batches), timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED").done.pop()
            self._submit_stranded()

    def _submit_stranded(self) -> None:
        """Submits again what no worker could run at first. The scheduler ignores resources that are declared later."""
        processing = {key for keys in self._client.processing().values() for key in keys}
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        declared = {name for worker in workers for name, amount in worker["resources"].items() if amount}
        for future, batch in list(self._batches.items()):
            runnable = self._setup.resource(batch.implementation) in declared
            if runnable and future.status == "pending" and future.key not in processing:
                del self._batches[future]
                future.cancel()
                self.submit(batch)


class _Declares(WorkerPlugin):  # type: ignore[misc]
    """Declares a resource for each implementation that a worker can run."""

    def __init__(self, setup: Setup, packages: Mapping[str, Mapping[str, str]]) -> None:
        self._setup = setup
        self._packages = packages

    async def setup(self, worker: Any) -> None:
        """Declares the resources when a worker starts."""
        reasons = survey(self._setup).differences(self._packages)
        names = [self._setup.resource(name) for name in self._packages if name not in reasons]
        await worker.set_resources(**dict.fromkeys(names, worker.state.nthreads))

    async def teardown(self, worker: Any) -> None:
        """Ends the processes of the run. Its last batches then end at once."""
        for run, name in [place for place in _LOADED if place[0] == self._setup.run]:
            _LOADED.pop((run, name)).abandon()
        if worker.status.name == "running":  # The scheduler does not know a worker that closes.
            await worker.set_resources(**{self._setup.resource(name): 0 for name in self._packages})


def survey(setup: Setup) -> Survey:
    """Finds out which implementations this process can load."""
    packages, missing = {}, {}
    for name in setup.specs:
        try:
            packages[name] = installed.versions(setup.load(name))
        except UserError as error:
            missing[name] = str(error)
    return Survey(__version__, packages, missing)


_LOCK = threading.Lock()
_LOADED: dict[tuple[str, int], WorkerAdapter] = {}
"""The implementation that each thread ran last, by run and thread: dozens of frameworks would not fit into memory."""


def run_batch(batch: Batch, setup: Setup) -> Any:
    """Runs a batch on a worker of the cluster.

    The implementation's process stays for the next batch of the thread. As in ``conformance.run.pool``, a lock lets one
    thread at a time execute the suite's own code.
    """
    with _LOCK:
        return batch.run(_loaded(batch.implementation, setup))


def _loaded(name: str, setup: Setup) -> WorkerAdapter:
    thread = threading.get_ident()
    adapter = _LOADED.get((setup.run, thread))
    if adapter is None or adapter.name != name:
        for place in [place for place in _LOADED if place[1] == thread]:
            _LOADED.pop(place).close()
        adapter = _LOADED[setup.run, thread] = setup.load(name)
        adapter.while_waiting = lambda: released(_LOCK)
    return adapter


def absolute(spec: str) -> str:
    """Returns a name on the command line with an absolute path, because workers run in other folders."""
    path, colon, name = spec.rpartition(":")
    return f"{Path(path).absolute()}:{name}" if colon and path.endswith(".py") else spec


def _most_common(surveys: Mapping[str, Survey]) -> dict[str, Mapping[str, str]]:
    """Returns the versions that most workers have, by implementation."""
    found: dict[str, Counter[tuple[tuple[str, str], ...]]] = {}
    for _, each in sorted(surveys.items()):
        for name, packages in each.packages.items() if each.suite == __version__ else ():
            found.setdefault(name, Counter())[tuple(sorted(packages.items()))] += 1
    return {name: dict(versions.most_common(1)[0][0]) for name, versions in found.items()}


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in packages.items()) or "no packages"
