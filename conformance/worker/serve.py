"""The served side: drives one adapter by the messages that come on standard input."""

import ctypes
import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import IO, Any, TypeVar

from numpy.typing import NDArray

from conformance.adapters import Adapter, installed, registry
from conformance.adapters.adapter import as_arrays
from conformance.errors import UserError, message_of, short_traceback
from conformance.verdict import tensors
from conformance.worker import protocol
from conformance.worker.protocol import (
    Answer,
    Error,
    Failed,
    Masks,
    Solve,
    Solved,
    Start,
    Started,
    Stop,
    Supported,
    Supports,
)
from reference import Dialect, Profile

MOST_WARNINGS = 20
LONGEST_MESSAGE = 4000
"""Characters of what was raised, and of each warning."""
_PR_SET_PDEATHSIG = 1
_BUFFER = 2**18
_T = TypeVar("_T")
_Tensors = Mapping[str, NDArray[Any]]


def serve(arguments: Sequence[str]) -> int:
    """Serves the implementation that is named; returns when it is told to stop, or when the suite is gone."""
    if len(arguments) != 1:
        usage = "usage: python -m conformance.worker NAME (registered, path/file.py:Class or package.module:Class)"
        print(usage, file=sys.stderr)
        return 2
    _end_with_parent()
    requests, answers = _own_streams()
    try:
        adapter: Adapter | str = registry.load(arguments[0])
    except UserError as error:
        adapter = str(error)
    while line := requests.readline():
        try:
            request = protocol.read_request(line)
        except ValueError as error:
            print(f"this is no request: {line[:200]!r}: {error}", file=sys.stderr)
            return 2
        if isinstance(request, Stop):
            return 0
        block = requests.read(request.n) if isinstance(request, Masks | Solve) else b""
        answer, solution = _answered(adapter, request, block)
        answers.write(protocol.encode(answer))
        answers.write(solution)
        answers.flush()
    return 0


def _end_with_parent() -> None:
    """Where the system can: a call that never returns must not outlive a suite that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output for us alone: what a framework prints goes to standard error, from C as well."""
    sys.stdout.flush()
    # Buffers that hold what is usual: the other side wakes up once for each message.
    requests, answers = os.fdopen(os.dup(0), "rb", _BUFFER), os.fdopen(os.dup(1), "wb", _BUFFER)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def _answered(adapter: Adapter | str, request: Start | Supports | Masks | Solve, block: bytes) -> tuple[Answer, bytes]:
    """An answer, whatever the implementation does, with what it took and what it warned of."""
    start = time.process_time()
    data = b""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if isinstance(adapter, str):
                answer: Answer = Started(name="unknown", missing=adapter)
            else:
                answer, found = _answer(adapter, request, block)
                data = tensors.dumps(found) if isinstance(answer, Solved) else b""
        except BaseException as error:  # Exits and interrupts, too: it is the suite that ends this process.
            kind, message, trace = map(_text, (type(error).__name__, message_of(error), short_traceback(error)))
            answer = Failed(error=Error(type=kind, message=message[:LONGEST_MESSAGE], traceback=trace))
    said = (_text(f"{item.category.__name__}: {message_of(item.message)}")[:LONGEST_MESSAGE] for item in caught)
    heard = list(dict.fromkeys(said))
    update: dict[str, Any] = {"seconds": time.process_time() - start, "warnings": heard[:MOST_WARNINGS]}
    if isinstance(answer, Solved):
        update["n"] = len(data)
    return answer.model_copy(update=update), data


def _text(text: str) -> str:
    """Text that can be sent: halves of characters, as in names of files, are spelled out."""
    return text.encode(errors="backslashreplace").decode()


def _answer(adapter: Adapter, request: Start | Supports | Masks | Solve, block: bytes) -> tuple[Answer, _Tensors]:
    match request:
        case Start():
            return _started(adapter), {}
        case Supports(case=case):
            reason = adapter.supports(case)
            if reason is not None:
                return Supported(reason=_kind("supports()", reason, str, "None or a reason")), {}
            dialect = _kind("dialect()", adapter.dialect(case), Dialect, "a Dialect")
            profile = _kind("profile()", adapter.profile(case), Profile, "a Profile")
            return Supported(reason=None, dialect=dialect, profile=profile), {}
        case Masks(case=case, draw=draw):
            return Solved(n=0), adapter.dropout_masks(protocol.to_problem(case, draw, tensors.loads(block)[0]))
        case Solve(case=case, draw=draw):
            return Solved(n=0), as_arrays(adapter.solve(protocol.to_problem(case, draw, tensors.loads(block)[0])))
    raise AssertionError(request)


def _kind(who: str, value: Any, kind: type[_T], words: str) -> _T:
    if not isinstance(value, kind):
        raise TypeError(f"{who} must return {words}, not {value!r}")
    return value


def _started(adapter: Adapter) -> Started:
    """Returns the answer to ``start``. Describing the adapter imports its framework, unless its version is wrong."""
    return Started(
        name=adapter.name,
        describe={} if installed.missing(adapter) else dict(adapter.describe()),
        packages=installed.versions(adapter),
        missing=installed.not_installed(adapter) or "",
        draws_dropout=type(adapter).dropout_masks is not Adapter.dropout_masks,
    )
