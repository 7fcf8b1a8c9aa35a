"""Workers for an adapter of this process, for a program, and for an adapter of another environment."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from conformance.adapters import Adapter, registry
from conformance.errors import MISSING, UserError
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerError

MAIN = Path(__file__).with_name("__main__.py")


def isolate(adapter: Adapter, place: str, environment: Mapping[str, str] | None = None) -> WorkerAdapter:
    """Returns an adapter that runs another adapter in its own process, with this interpreter.

    Args:
        adapter: the adapter.
        place: location of its class, ``path/file.py:Class`` or ``package.module:Class``.
        environment: additional environment variables of the process.
    """
    # The process must be able to import everything that this one can, from any folder and under any program.
    path = os.pathsep.join(path for path in sys.path if path)
    variables = {**os.environ, "PYTHONPATH": path, **(environment or {}), **adapter.environment}
    return WorkerAdapter([sys.executable, str(MAIN), place], variables, like=adapter)


def start_program(command: str) -> WorkerAdapter:
    """Starts a program that speaks the protocol and asks for its name.

    Raises:
        UserError: the program cannot be started or does not speak the protocol.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"cmd:{command}: {error}") from error
    if not words:
        raise UserError("cmd: needs a program, such as cmd:./harness")
    return _start(WorkerAdapter(words), f"cmd:{command}")


def start_in_environment(python: str, name: str) -> WorkerAdapter:
    """Starts an adapter of this package with the interpreter of another environment.

    The name of the returned adapter ends with the version of its first package, which defines the implementation:
    ``torch.nn.LSTM@2.9``. A package of the wrong version is not an error here: ``installed.missing`` reports it.

    Raises:
        UserError: the process cannot be started, or a package that the adapter requires is not installed there.
    """
    if not name:
        raise UserError(f"python:{python} needs an implementation, such as python:{python}:torch.nn.LSTM")
    # A registered adapter can be loaded without its framework. A file of another environment perhaps cannot.
    variables = registry.load(name).environment if name in registry.registered() else {}
    worker = WorkerAdapter([python, str(MAIN), name], {**os.environ, **variables})
    _start(worker, f"python:{python}:{name}")
    version = next(iter(worker.packages.values()), "").partition("+")[0].removesuffix(".0")
    worker.name += f"@{version}" if version else ""
    return worker


def _start(worker: WorkerAdapter, spec: str) -> WorkerAdapter:
    try:
        started = worker.start()
    except WorkerError as error:
        worker.close()
        log = f"\n{error.log}" if error.log else ""
        raise UserError(f"{spec} cannot be used: {error}{log}", MISSING) from error
    worker.name = started.name
    return worker
