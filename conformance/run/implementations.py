"""Implementations as the command line names them: adapters, and processes of their own.

``cmd:./program args`` is a program that speaks the worker protocol. ``python:/path/to/python:NAME`` is an adapter that
the interpreter of another environment runs. Everything else is loaded by ``conformance.adapters.registry``.
"""

from collections.abc import Sequence

from conformance.adapters import Adapter, registry
from conformance.adapters.installed import missing
from conformance.adapters.registry import registered
from conformance.errors import UserError
from conformance.worker.client import Limits, WorkerAdapter, elsewhere, isolated, program


def load(name: str) -> Adapter:
    """Loads an implementation.

    Args:
        name: a registered name, ``path/file.py:Class``, ``package.module:Class``, ``cmd:./program args`` or
            ``python:/path/to/python:NAME``. The last two start a process and ask it for its name.

    Raises:
        UserError: no implementation has that name, or the named object is not a valid adapter.
    """
    kind, _, rest = name.partition(":")
    if kind == "cmd":
        return program(rest)
    if kind == "python":
        python, _, served = rest.partition(":")
        return elsewhere(python, served)
    return registry.load(name)


def load_all(names: Sequence[str] = (), isolate: bool = False, limits: Limits | None = None) -> list[Adapter]:
    """The named adapters, or all registered ones.

    Args:
        names: see ``load``.
        isolate: whether each gets a process of its own, not only those that cannot do without.
        limits: what such processes may take.

    Raises:
        UserError: one of them cannot be had, or two have the same name.
    """
    adapters: dict[str, Adapter] = {}
    for name in names or registered():
        adapter = load(name)
        if (isolate or adapter.own_process or adapter.environment) and not isinstance(adapter, WorkerAdapter):
            adapter = isolated(adapter, registered().get(name, name))
        if isinstance(adapter, WorkerAdapter):
            adapter.limits = limits or adapter.limits
        if adapter.name in adapters:
            raise UserError(f"two implementations are named {adapter.name}: give one of them another name")
        adapters[adapter.name] = adapter
    return list(adapters.values())


def split(adapters: Sequence[Adapter]) -> tuple[list[Adapter], dict[str, str]]:
    """The adapters of which everything is installed, and by the others' names what they need."""
    absent = {adapter.name: reason for adapter in adapters if (reason := missing(adapter))}
    return [adapter for adapter in adapters if adapter.name not in absent], absent
