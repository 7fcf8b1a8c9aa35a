"""Loads implementations by their names on the command line.

``cmd:./program args`` is a program that speaks the worker protocol. ``python:/path/to/python:NAME`` is an adapter that
runs with the interpreter of another environment, and ``NAME@package==version`` one that runs in an environment that is
created for it. ``conformance.adapters.registry`` loads all other names.
"""

from collections.abc import Sequence
from pathlib import Path

from conformance import system
from conformance.adapters import Adapter, registry
from conformance.adapters.installed import missing
from conformance.environments import requirements
from conformance.errors import UserError
from conformance.run import compiled, on_demand
from conformance.worker.client import Limits, WorkerAdapter
from conformance.worker.start import isolate, start_in_environment, start_program


def load(name: str) -> Adapter:
    """Loads an implementation.

    Args:
        name: a registered name, ``path/file.py:Class``, ``package.module:Class``, ``cmd:./program args``,
            ``python:/path/to/python:NAME`` or ``NAME@package==version``. The last three start a process and ask it for
            its name.

    Raises:
        UserError: no implementation has that name, or the named object is not a valid adapter.
    """
    kind, _, rest = name.partition(":")
    if kind == "cmd":
        return start_program(rest)
    if kind == "python":
        python, _, served = rest.partition(":")
        return start_in_environment(python, served)
    if spec := requirements.parse(name):
        return on_demand.start(spec)
    return registry.load(name)


def specs(adapters: Sequence[Adapter], names: Sequence[str]) -> dict[str, str]:
    """Returns the names on the command line of implementations that have another name.

    Args:
        adapters: the implementations.
        names: their names on the command line; empty if none was named.
    """
    pairs = zip(adapters, names, strict=False)
    return {adapter.name: name for adapter, name in pairs if adapter.name != name}


def load_all(
    names: Sequence[str] = (), isolated: bool = False, limits: Limits | None = None, cache: Path | None = None
) -> list[Adapter]:
    """Loads several implementations.

    Args:
        names: names as in ``load``; empty for all registered implementations.
        isolated: whether each implementation runs in its own process, not only those that must.
        limits: limits of these processes; None for the defaults.
        cache: folder in which these processes keep compiled programs; None to keep none.

    Raises:
        UserError: an implementation cannot be loaded, or two have the same name.
    """
    adapters: dict[str, Adapter] = {}
    for name in names or registry.registered():
        adapter = load(name)
        own_process = isolated and system.has_workers()
        if (own_process or adapter.own_process or adapter.environment) and not isinstance(adapter, WorkerAdapter):
            kept = compiled.environment(adapter.name, cache) if cache and "jax" in adapter.requires else {}
            adapter = isolate(adapter, registry.registered().get(name, name), kept)
        if isinstance(adapter, WorkerAdapter):
            adapter.limits = limits or adapter.limits
        if adapter.name in adapters:
            raise UserError(f"two implementations are named {adapter.name}. Rename one of them.")
        adapters[adapter.name] = adapter
    return list(adapters.values())


def split(adapters: Sequence[Adapter]) -> tuple[list[Adapter], dict[str, str]]:
    """Returns the adapters that can run, and the reasons by name why the others cannot.

    An adapter can run if the packages that it requires are installed in a supported version.
    """
    absent = {adapter.name: reason for adapter in adapters if (reason := missing(adapter))}
    return [adapter for adapter in adapters if adapter.name not in absent], absent
