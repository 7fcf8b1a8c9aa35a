"""Errors of a request to a worker. The runner turns each into a status; none is an error of the suite."""

from typing import ClassVar, Literal


class WorkerError(Exception):
    """An error in an implementation's process.

    Attributes:
        status: status of the case.
        log: traceback of the implementation, or the last lines of the process's standard error.
    """

    status: ClassVar[Literal["crash", "timeout", "error", "unsupported"]]

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class WorkerCrash(WorkerError):  # noqa: N818
    """The process died, violated the protocol, or exceeded its memory limit."""

    status = "crash"


class WorkerTimeout(WorkerError):  # noqa: N818
    """The process did not answer in time and was killed."""

    status = "timeout"


class Raised(WorkerError):  # noqa: N818
    """The implementation or its adapter raised an error. The process continues.

    Attributes:
        by_adapter: whether the adapter raised it.
    """

    status = "error"

    def __init__(self, reason: str, log: str = "", by_adapter: bool = False) -> None:
        super().__init__(reason, log)
        self.by_adapter = by_adapter


class Unsupported(WorkerError):  # noqa: N818
    """The implementation accepted a case, but reported it as unsupported when asked to solve it."""

    status = "unsupported"
