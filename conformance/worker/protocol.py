"""Messages between the suite and a worker. ``docs/worker-protocol.md`` specifies them for any language.

Each message is a line of JSON. A message with a field ``n`` is followed by that many bytes of tensors, in the
safetensors format. The models in this module validate both directions. ``python -m conformance.worker.protocol`` writes
``protocol.schema.json`` from them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from conformance.cases.case import Case
from conformance.cases.documented import Documented
from conformance.verdict.problem import Problem, kind_of
from conformance.verdict.values import step_mask
from reference import Dialect, Profile

MAX_LINE_BYTES = 2**20
"""Maximum size of a message without its tensors."""
SCHEMA = Path(__file__).with_name("protocol.schema.json")

ByteCount = Annotated[int, Field(ge=0)]
Arrays = Mapping[str, NDArray[Any]]
_MASK_PREFIX = "dropout_mask."
_WRONG_PREFIX = "wrong."


class _Message(Documented, BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Start(_Message):
    """First request."""

    cmd: Literal["start"] = "start"
    version: Literal[1] = 1
    """Version of the protocol."""


class Supports(_Message):
    """Request to check whether the implementation supports a case."""

    cmd: Literal["supports"] = "supports"
    case: Case


class Masks(_Message):
    """Request for the dropout masks that the implementation will draw. Sent only to a worker with ``draws_dropout``."""

    cmd: Literal["masks"] = "masks"
    case: Case
    draw: Annotated[int, Field(ge=0)] = 0
    """Number of the draw: 0 for the case's own values, others for further independent draws."""
    n: ByteCount
    """Number of bytes of the problem's tensors, which follow."""


class Solve(_Message):
    """Request for a solution."""

    cmd: Literal["solve"] = "solve"
    case: Case
    draw: Annotated[int, Field(ge=0)] = 0
    """Number of the draw: 0 for the case's own values, others for further independent draws."""
    wants: dict[str, list[int]]
    """Names and shapes of the tensors that the solution must have."""
    n: ByteCount
    """Number of bytes of the problem's tensors, which follow."""


class Stop(_Message):
    """Last request. The worker exits without an answer."""

    cmd: Literal["stop"] = "stop"


Request = Annotated[Start | Supports | Masks | Solve | Stop, Field(discriminator="cmd")]


class _Answer(_Message):
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """CPU seconds spent on the request."""
    warnings: list[str] = []
    """Warnings of the implementation, one line each."""


class Started(_Answer):
    """Answer to ``start``."""

    ok: Literal[True] = True
    version: Literal[1] = 1
    """Version of the protocol that the worker speaks."""
    name: Annotated[str, Field(pattern=r"^\S+$")]
    """Name of the implementation, without blanks."""
    describe: dict[str, str] = {}
    """Description of the implementation: versions, device, threads, kernels."""
    packages: dict[str, str] = {}
    """Versions of the packages that the implementation consists of, by name."""
    missing: str = ""
    """Sentence that says which required packages are not installed; empty if the implementation can run."""
    features: list[str] | None = None
    """Supported features, by their names in ``conformance.cases.features``. A case with any other feature is
    unsupported without a request. If null, the worker receives a request for every case, except as ``uses`` says."""
    uses: list[str] = []
    """Uses that a worker without ``features`` knows, and ``sizes per direction`` if it knows that. A case with any
    other use is unsupported without a request."""
    repeats_exactly: bool = False
    """Whether the documentation of the implementation promises the same bytes if the same call is repeated."""
    draws_dropout: bool = False
    """Whether the implementation draws its own dropout masks. The worker must then answer ``masks``."""


class Supported(_Answer):
    """Answer to ``supports``."""

    reason: str | None
    """Reason why the implementation does not support the case; null if it does."""
    dialect: Dialect = Dialect()
    """Documented conventions that the implementation follows."""
    profile: Profile | None = None
    """Rounding profile of the implementation; null for the generic profile of the case's dtype."""


class ResultShape(_Message):
    """Shape that an implementation declares for one of its results before it runs, and the shape that it returns."""

    name: Annotated[str, Field(pattern=r"^\S+$")]
    """The implementation's name of the result, without blanks."""
    declared: list[ByteCount | None]
    """Declared sizes; null for an axis of any size."""
    returned: list[ByteCount]
    """Sizes of the result."""


class Solved(_Answer):
    """Answer to ``solve`` and ``masks``."""

    ok: Literal[True] = True
    shapes: list[ResultShape] = []
    """Shapes that the implementation declares. A result that has another shape is a deviation."""
    n: ByteCount
    """Number of bytes of the tensors, which follow."""


class Refused(_Answer):
    """Answer to ``solve`` if the implementation turns out not to support the case."""

    unsupported: str
    """Reason why the implementation does not support the case."""


class Error(_Message):
    """Error that the implementation raised."""

    type: str
    """Class of the error, such as ``ValueError``."""
    message: str
    traceback: str = ""
    by_adapter: bool = False
    """Whether the adapter or harness raised the error, instead of the implementation that it drives."""


class Failed(_Answer):
    """Answer to any request if the implementation raised an error."""

    error: Error


Answer = Started | Supported | Solved | Refused | Failed
_T = TypeVar("_T", Started, Supported, Solved)
_requests: TypeAdapter[Start | Supports | Masks | Solve | Stop] = TypeAdapter(Request)


def schema() -> str:
    """Returns the JSON Schema of all messages, the content of ``protocol.schema.json``."""
    models = [Start, Supports, Masks, Solve, Stop, Started, Supported, Solved, Refused, Failed]
    _, definitions = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in models], title="lstm-conformance worker protocol 1"
    )
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **definitions}, indent=2) + "\n"


def encode(message: BaseModel) -> bytes:
    """Serializes a message as a line."""
    return message.model_dump_json().encode() + b"\n"


def read_request(line: bytes) -> Start | Supports | Masks | Solve | Stop:
    """Parses a request.

    Raises:
        ValueError: the line is not a valid request.
    """
    try:
        return _requests.validate_json(line)
    except ValidationError as error:
        raise ValueError(_mistakes(error)) from None


def read_answer(line: bytes, kind: type[_T]) -> _T | Refused | Failed:
    """Parses an answer.

    Args:
        line: the answer.
        kind: model of a successful answer.

    Raises:
        ValueError: the line is neither a valid answer of that kind nor a report of an error or an unsupported case.
    """
    try:
        keys = json.loads(line)
        if "error" in keys:
            return Failed.model_validate_json(line)
        if "unsupported" in keys and kind is Solved:
            return Refused.model_validate_json(line)
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(_mistakes(error)) from None
    except (ValueError, TypeError, RecursionError):  # Not UTF-8, not JSON, or not an object.
        raise ValueError("not a JSON object") from None


def _mistakes(error: ValidationError) -> str:
    """Describes the first three mistakes in a message."""
    places = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_input=False)]
    return "; ".join(f"{place}: {message}" if place else message for place, message in places[:3])


def to_tensors(problem: Problem) -> dict[str, NDArray[Any]]:
    """Returns a problem's arrays by their names in the protocol."""
    tensors = problem.arrays()
    if "lengths" in tensors:
        tensors.pop("mask", None)
    return tensors


def to_problem(case: Case, draw: int, tensors: Arrays) -> Problem:
    """Returns the problem that consists of the given arrays.

    Args:
        case: the case.
        draw: number of the draw.
        tensors: arrays by their names in the protocol.

    Raises:
        KeyError: an array is missing.
    """
    initial = [name for state in case.given_states for name in case.model.state_shapes(state, case.rows)]
    final = {**case.model.state_shapes("h_n", case.rows), **case.model.state_shapes("c_n", case.rows)}
    read = [name for name in ("output", *final) if kind_of(name) in case.cotangents]
    directed = ["input", *initial, *case.model.parameter_shapes()] if case.has_direction else []
    lengths = tensors["lengths"] if case.lengths is not None and case.mask == "right" else None
    return Problem(
        case=case,
        parameters={name: tensors[name] for name in case.model.parameter_shapes()},
        input=tensors["input"],
        initial_state={name: tensors[name] for name in initial} if case.gives_state else None,
        mask=step_mask(case),
        lengths=None if lengths is None else lengths.astype(np.int64, copy=False),
        dropout_masks=_without_prefix(_MASK_PREFIX, tensors),
        cotangents={name: tensors[f"cotangent.{name}"] for name in read},
        draw=draw,
        tangents={name: tensors[f"tangent.{name}"] for name in directed},
        wrong=_without_prefix(_WRONG_PREFIX, tensors),
    )


def _without_prefix(prefix: str, tensors: Arrays) -> dict[str, NDArray[Any]]:
    """Returns the arrays whose names have a prefix, by their names without it."""
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


if __name__ == "__main__":
    SCHEMA.write_text(schema())
