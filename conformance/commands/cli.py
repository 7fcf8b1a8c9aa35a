"""Parses the command line and runs a command. Each command is a module of this package."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from conformance import system
from conformance.commands.parser import make_parser
from conformance.errors import MISSING, UserError

INTERRUPTED = 130
BROKEN_PIPE = 141
"""Exit status after SIGPIPE (128 + 13): the reader closed the pipe."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    args = make_parser().parse_args(arguments)
    args.typed = arguments
    try:
        with _standard_output(), system.terminated_like_interrupted():
            code: int = import_module(f"conformance.commands.{args.command}").execute(args)
    except UserError as error:
        if str(error):
            print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


@contextmanager
def _standard_output() -> Iterator[None]:
    """Reports errors of the standard output, whenever they occur.

    Raises:
        UserError: the reader closed the pipe, or the standard output cannot be written.
    """
    if sys.stdout is None:  # It was closed before the start.
        with open(os.devnull, "w", encoding="utf-8") as sys.stdout:  # noqa: PTH123
            yield
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Reports hold characters that an ASCII terminal or a file in another encoding cannot show.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        # Keep Python from flushing again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise UserError("", BROKEN_PIPE) from error
        raise UserError(f"standard output: cannot be written: {error.strerror}", MISSING) from error


if __name__ == "__main__":
    sys.exit(main())
