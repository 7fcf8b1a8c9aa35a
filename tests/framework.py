"""A framework that checks its arguments, for fake adapters. It has its own module, as a real framework does."""

from collections.abc import Callable, Mapping
from typing import Any


class CompiledError(Exception):
    """Error that compiled code raises, which leaves no frame in the traceback."""


def check(given: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuses arguments of another shape or dtype than the expected ones."""
    for name, array in expected.items():
        found, wanted = ((each.dtype.name, each.shape) for each in (given[name], array))
        if found != wanted:
            raise ValueError(f"{name} must be {wanted}, got {found}")


def fail() -> None:
    """Refuses everything."""
    raise ValueError("this kernel never runs")


def trace(function: Callable[[], object]) -> None:
    """Calls an adapter's function, as frameworks do that trace it."""
    function()
