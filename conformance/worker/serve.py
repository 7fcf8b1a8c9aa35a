"""Server side of the worker protocol: drives one adapter with requests from standard input."""

import os
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import IO, Any, TypeVar

from numpy.typing import NDArray

from conformance import garbage, system
from conformance.adapters import Adapter, installed, registry
from conformance.adapters.adapter import as_arrays
from conformance.adapters.origin import raised_by_adapter
from conformance.cases.features import ADDED
from conformance.errors import UserError, message_of, short_traceback
from conformance.verdict import declared, tensors
from conformance.worker import protocol
from conformance.worker.protocol import (
    Answer,
    Error,
    Failed,
    Masks,
    ResultShape,
    Solve,
    Solved,
    Start,
    Started,
    Stop,
    Supported,
    Supports,
)
from reference import Dialect, Profile

MAX_WARNINGS = 20
"""Maximum number of warnings in an answer."""
MAX_MESSAGE_CHARACTERS = 4000
"""Maximum length of an error message and of a warning. Longer ones are truncated."""
_BUFFER_BYTES = 2**18
"""Size of the stream buffers. Larger than most messages, so that the other side wakes up once for each message."""
_T = TypeVar("_T")
_Tensors = Mapping[str, NDArray[Any]]


def serve(arguments: Sequence[str]) -> int:
    """Serves one implementation until a ``stop`` request or the end of standard input.

    Args:
        arguments: name of the implementation, as the only element.

    Returns:
        The exit code: 0, or 2 for an invalid command line or request.
    """
    if len(arguments) != 1:
        usage = "usage: python -m conformance.worker NAME (registered, path/file.py:Class or package.module:Class)"
        print(usage, file=sys.stderr)
        return 2
    system.exit_with_parent()
    garbage.search_less_often()
    requests, answers = _take_over_streams()
    try:
        adapter: Adapter | str = registry.load(arguments[0])
    except UserError as error:
        adapter = str(error)
    while line := requests.readline():
        try:
            request = protocol.read_request(line)
        except ValueError as error:
            print(f"invalid request {line[:200]!r}: {error}", file=sys.stderr)
            return 2
        if isinstance(request, Stop):
            return 0
        block = requests.read(request.n) if isinstance(request, Masks | Solve) else b""
        answer, solution = _answer(adapter, request, block)
        answers.write(protocol.encode(answer))
        answers.write(solution)
        answers.flush()
        if isinstance(request, Start):
            garbage.keep_existing()
    return 0


def _take_over_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Returns standard input and output for the protocol. Redirects other output, also from C, to standard error."""
    sys.stdout.flush()
    requests, answers = os.fdopen(os.dup(0), "rb", _BUFFER_BYTES), os.fdopen(os.dup(1), "wb", _BUFFER_BYTES)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def _answer(adapter: Adapter | str, request: Start | Supports | Masks | Solve, block: bytes) -> tuple[Answer, bytes]:
    """Answers a request, even if the implementation raises.

    Args:
        adapter: the adapter, or the reason why it cannot be loaded.
        request: the request.
        block: the tensors that follow the request; empty if none do.

    Returns:
        The answer, and the tensors that follow it.
    """
    start = time.process_time()
    data = b""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if isinstance(adapter, str):
                answer: Answer = Started(name="unknown", missing=adapter)
            else:
                answer, found = _call(adapter, request, block)
                data = tensors.dumps(found) if isinstance(answer, Solved) else b""
        except BaseException as error:  # Including SystemExit: only the suite ends this process.
            kind, message, trace = map(_encodable, (type(error).__name__, message_of(error), short_traceback(error)))
            own = not isinstance(adapter, str) and raised_by_adapter(error, adapter)
            message = message[:MAX_MESSAGE_CHARACTERS]
            answer = Failed(error=Error(type=kind, message=message, traceback=trace, by_adapter=own))
    texts = (_encodable(f"{item.category.__name__}: {message_of(item.message)}") for item in caught)
    unique = list(dict.fromkeys(text[:MAX_MESSAGE_CHARACTERS] for text in texts))
    update: dict[str, Any] = {"seconds": time.process_time() - start, "warnings": unique[:MAX_WARNINGS]}
    if isinstance(answer, Solved):
        update["n"] = len(data)
    return answer.model_copy(update=update), data


def _encodable(text: str) -> str:
    """Escapes lone surrogates, which file names may contain, so that the text can be encoded in UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _call(adapter: Adapter, request: Start | Supports | Masks | Solve, block: bytes) -> tuple[Answer, _Tensors]:
    """Calls the method of the adapter that answers a request."""
    match request:
        case Start():
            return _started(adapter), {}
        case Supports(case=case):
            reason = adapter.supports(case)
            if reason is not None:
                return Supported(reason=_checked("supports()", reason, str, "None or a reason")), {}
            dialect = _checked("dialect()", adapter.dialect(case), Dialect, "a Dialect")
            profile = _checked("profile()", adapter.profile(case), Profile, "a Profile")
            return Supported(reason=None, dialect=dialect, profile=profile), {}
        case Masks(case=case, draw=draw):
            return Solved(n=0), adapter.dropout_masks(protocol.to_problem(case, draw, tensors.loads(block)[0]))
        case Solve(case=case, draw=draw):
            problem = protocol.to_problem(case, draw, tensors.loads(block)[0])
            with declared.recording() as shapes:
                solution = as_arrays(adapter.solve(problem))
            wrong = [
                ResultShape(name=shape.name, declared=list(shape.declared), returned=list(shape.returned))
                for shape in shapes
                if not shape.conforms
            ]
            return Solved(n=0, shapes=wrong), solution
    raise AssertionError(request)


def _checked(method: str, value: Any, kind: type[_T], expected: str) -> _T:
    """Returns a method's return value if it has the right type. Raises TypeError otherwise."""
    if not isinstance(value, kind):
        raise TypeError(f"{method} must return {expected}, got {value!r}")
    return value


def _started(adapter: Adapter) -> Started:
    """Returns the answer to ``start``. Describing the adapter imports its framework, unless its version is wrong."""
    return Started(
        name=adapter.name,
        describe={} if installed.missing(adapter) else dict(adapter.describe()),
        packages=installed.versions(adapter),
        missing=installed.not_installed(adapter) or "",
        uses=list(ADDED),
        repeats_exactly=adapter.repeats_exactly,
        draws_dropout=type(adapter).dropout_masks is not Adapter.dropout_masks,
    )
