"""How a request to a worker can fail. The runner turns each into a status; none is an error of the suite."""

from typing import ClassVar, Literal


class WorkerError(Exception):
    """Something went wrong in the process of an implementation.

    Attributes:
        status: what the case comes to.
        log: where it went wrong, or the last lines of the process's standard error.
    """

    status: ClassVar[Literal["crash", "timeout", "error", "unsupported"]]

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class WorkerCrash(WorkerError):  # noqa: N818 (a crash is one)
    """The process died, said what is no answer, or took more memory than it may."""

    status = "crash"


class WorkerTimeout(WorkerError):  # noqa: N818 (a timeout is one)
    """No answer in time; the process was ended."""

    status = "timeout"


class Raised(WorkerError):  # noqa: N818 (it carries an error)
    """The implementation raised; the process goes on."""

    status = "error"


class Unsupported(WorkerError):  # noqa: N818 (it is no error)
    """The implementation says, when it is to solve a problem, that it cannot."""

    status = "unsupported"
