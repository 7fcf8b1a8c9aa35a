"""A differential conformance suite for LSTM implementations.

The public names are those that the author of an adapter needs. They are imported when first used, because the number of
threads must be set before anything imports NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.adapters.adapter import Adapter, Solution
    from conformance.adapters.check import check_adapter, check_adapters
    from conformance.adapters.layout import Layout, layer_parameters
    from conformance.cases.case import Case
    from conformance.conversion.convert import convert
    from conformance.verdict.declared import record_shape
    from conformance.verdict.problem import Problem
    from reference import PROFILES, Dialect

__version__ = "0.2.0"
__all__ = [
    "PROFILES",
    "Adapter",
    "Case",
    "Dialect",
    "Layout",
    "Problem",
    "Solution",
    "check_adapter",
    "check_adapters",
    "convert",
    "layer_parameters",
    "record_shape",
]

_MODULES = {
    "Adapter": "conformance.adapters.adapter",
    "Case": "conformance.cases.case",
    "Dialect": "reference",
    "Layout": "conformance.adapters.layout",
    "PROFILES": "reference",
    "Problem": "conformance.verdict.problem",
    "Solution": "conformance.adapters.adapter",
    "check_adapter": "conformance.adapters.check",
    "check_adapters": "conformance.adapters.check",
    "convert": "conformance.conversion.convert",
    "layer_parameters": "conformance.adapters.layout",
    "record_shape": "conformance.verdict.declared",
}


def __getattr__(name: str) -> object:
    """Imports a public name."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
