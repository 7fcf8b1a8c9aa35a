"""Origin of an error: an adapter, or the implementation that it drives."""

from traceback import walk_tb

from conformance.adapters.adapter import Adapter

_SUITE = "conformance"


class ReportedError(RuntimeError):
    """An error that an implementation reports without raising an exception, such as a return code other than 0."""


def raised_by_adapter(error: BaseException, adapter: Adapter) -> bool:
    """Returns whether an adapter raised an error itself.

    The implementation raised the error if the adapter's last call in the traceback led into a required package. Calls
    into other packages, such as NumPy, prepare arrays and are part of the adapter. Compiled code leaves no frame in the
    traceback. Its errors are the implementation's if a required package defines their class. An adapter without
    required packages is part of its implementation, so that the error is the implementation's.
    """
    if not adapter.requires or isinstance(error, ReportedError) or _is_in(type(error).__module__, adapter.requires):
        return False
    own = (_SUITE, *(kind.__module__ for kind in type(adapter).__mro__ if kind is not object))
    called: list[str] = []
    for frame, _ in walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        called = [] if _is_in(module, own) else [*called, module]
    return not any(_is_in(module, adapter.requires) for module in called)


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    """Returns whether a module is one of the packages or in one of them."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
