"""Errors that a user can put right. The command line prints their message and exits with their code."""

import traceback

WRONG_USE = 2
MISSING = 3


class UserError(Exception):
    """What is wrong, where, and what to do about it. Never shown with a traceback.

    Attributes:
        exit_code: 2 for a wrong command line or case file, 3 where an implementation or the environment is missing.
    """

    def __init__(self, message: str, exit_code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def short_traceback(error: BaseException, frames: int = 6, characters: int = 4000) -> str:
    """The last frames of where an implementation raised; the first ones are the suite's own."""
    return "".join(traceback.format_exception(error, limit=-frames))[-characters:]


def message_of(error: object) -> str:
    """An error's message; what cannot even say what is wrong is not trusted to."""
    try:
        return str(error)
    except Exception as other:
        return f"(its message cannot be had: {type(other).__name__})"
