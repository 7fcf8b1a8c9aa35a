"""Errors that a user can correct, and helpers to show errors of implementations."""

import re
import traceback

WRONG_USE = 2
MISSING = 3


class UserError(Exception):
    """An error that the user can correct. The command line prints its message without a traceback.

    The message says what is wrong, where, and what to do.

    Attributes:
        exit_code: exit code of the command: 2 for a wrong command line or case file, 3 for a missing implementation or
            an environment in which something does not work.
    """

    def __init__(self, message: str, exit_code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def short_traceback(error: BaseException, frames: int = 6, characters: int = 4000) -> str:
    """Formats the last frames of a traceback. The first frames belong to the suite, not to the implementation."""
    return "".join(traceback.format_exception(error, limit=-frames))[-characters:]


def message_of(error: object) -> str:
    """Returns the message of an error. Does not raise, even if the error's ``__str__`` does."""
    try:
        return str(error)
    except Exception as other:
        return f"(no message: __str__ raised {type(other).__name__})"


def abridge(message: str, characters: int = 300) -> str:
    """Returns an error's message in one line, without the middle of a long one."""
    line = " ".join(_ESCAPES.sub("", message).split())
    half = characters // 2
    return line if len(line) <= characters else f"{line[:half]} … {line[-half:]}"


def first_line(message: str) -> str:
    """Returns the first line of an error's message.

    If a blank line follows, as in Keras's messages, the first line is only a heading. The next line is then added.
    """
    heading, _, rest = message.strip().partition("\n\n")
    lines = heading.splitlines()
    if len(lines) == 1:
        lines += rest.strip().splitlines()[:1]
        return _ESCAPES.sub("", " ".join(lines))
    return lines[0] if lines else ""


_ESCAPES = re.compile(r"\x1b\[[\d;]*m")
