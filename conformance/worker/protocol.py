"""The messages between the suite and a worker. ``docs/worker-protocol.md`` specifies them for any language.

Each message is a line of JSON; one with ``n`` is followed by that many bytes of tensors, in the safetensors format.
These models check both directions, and ``protocol.schema.json`` is made from them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from conformance.cases.case import Case
from conformance.verdict.problem import Problem, counted_steps
from reference import Dialect, Profile

LONGEST_LINE = 2**20
"""Bytes that a message without its tensors may have."""
SCHEMA = Path(__file__).with_name("protocol.schema.json")

Bytes = Annotated[int, Field(ge=0)]
Arrays = Mapping[str, NDArray[Any]]
_PARTS = ("dropout_mask.", "cotangent.")


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class Start(_Message):
    """The first request."""

    cmd: Literal["start"] = "start"
    version: Literal[1] = 1
    """The protocol's version."""


class Supports(_Message):
    """Asks whether the implementation can run a case."""

    cmd: Literal["supports"] = "supports"
    case: Case


class Masks(_Message):
    """Asks for the dropout masks that the implementation will draw; only of a worker that says it draws its own."""

    cmd: Literal["masks"] = "masks"
    case: Case
    draw: Annotated[int, Field(ge=0)] = 0
    n: Bytes
    """Bytes of the problem's tensors, which follow."""


class Solve(_Message):
    """Asks for a solution."""

    cmd: Literal["solve"] = "solve"
    case: Case
    draw: Annotated[int, Field(ge=0)] = 0
    """Which of the case's draws of values the problem is."""
    wants: dict[str, list[int]]
    """The tensors that the solution must hold, with their shapes."""
    n: Bytes
    """Bytes of the problem's tensors, which follow."""


class Stop(_Message):
    """The last request: the worker ends. It is not answered."""

    cmd: Literal["stop"] = "stop"


Request = Annotated[Start | Supports | Masks | Solve | Stop, Field(discriminator="cmd")]


class _Answer(_Message):
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """CPU seconds that it took."""
    warnings: list[str] = []
    """What the implementation warned of, a line each."""


class Started(_Answer):
    """Answers ``start``."""

    ok: Literal[True] = True
    version: Literal[1] = 1
    """The protocol's version that the worker speaks."""
    name: Annotated[str, Field(pattern=r"^\S+$")]
    """How the implementation is named everywhere; without blanks."""
    describe: dict[str, str] = {}
    """What is run: versions, device, threads, kernels."""
    packages: dict[str, str] = {}
    """Versions of the packages that it consists of."""
    missing: str = ""
    """What is not installed that it needs; empty when it can run."""
    features: list[str] | None = None
    """What the implementation supports, by the suite's names for it: cases with anything else are not put to it.
    Null to be asked of every case."""
    draws_dropout: bool = False
    """Whether it draws its own dropout masks, and answers ``masks``."""


class Supported(_Answer):
    """Answers ``supports``."""

    reason: str | None
    """Why the implementation cannot run the case; null when it can."""
    dialect: Dialect = Dialect()
    """The documented conventions about padding that it follows."""
    profile: Profile | None = None
    """How it rounds; null for what is usual in the case's dtype."""


class Solved(_Answer):
    """Answers ``solve`` and ``masks``."""

    ok: Literal[True] = True
    n: Bytes
    """Bytes of the solution's tensors, which follow."""


class Refused(_Answer):
    """Answers ``solve`` when the implementation turns out not to support the case."""

    unsupported: str
    """Why."""


class Error(_Message):
    """What was raised."""

    type: str
    """Its class."""
    message: str
    traceback: str = ""


class Failed(_Answer):
    """Answers any request that raised."""

    error: Error


Answer = Started | Supported | Solved | Refused | Failed
_T = TypeVar("_T", Started, Supported, Solved)
_requests: TypeAdapter[Start | Supports | Masks | Solve | Stop] = TypeAdapter(Request)


def schema() -> str:
    """The JSON Schema of all messages, by name: what ``protocol.schema.json`` holds."""
    models = [Start, Supports, Masks, Solve, Stop, Started, Supported, Solved, Refused, Failed]
    _, definitions = TypeAdapter.json_schemas(
        [(model, "validation", TypeAdapter(model)) for model in models], title="lstm-conformance worker protocol 1"
    )
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **definitions}, indent=2) + "\n"


def encode(message: BaseModel) -> bytes:
    """A message as its line."""
    return message.model_dump_json().encode() + b"\n"


def read_request(line: bytes) -> Start | Supports | Masks | Solve | Stop:
    """The request that a line holds.

    Raises:
        ValueError: it holds none; the message says what is wrong.
    """
    try:
        return _requests.validate_json(line)
    except ValidationError as error:
        raise ValueError(_wrong(error)) from None


def read_answer(line: bytes, kind: type[_T]) -> _T | Refused | Failed:
    """The answer that a line holds, of the kind that was asked for, or that it could not be given.

    Raises:
        ValueError: it holds no such answer; the message says what is wrong.
    """
    try:
        keys = json.loads(line)
        if "error" in keys:
            return Failed.model_validate_json(line)
        if "unsupported" in keys and kind is Solved:
            return Refused.model_validate_json(line)
        return kind.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(_wrong(error)) from None
    except (ValueError, TypeError, RecursionError):  # Bytes that are no text, no JSON, or a JSON number.
        raise ValueError("not a JSON object") from None


def _wrong(error: ValidationError) -> str:
    places = [(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors(include_input=False)]
    return "; ".join(f"{place}: {message}" if place else message for place, message in places[:3])


def to_tensors(problem: Problem) -> dict[str, NDArray[Any]]:
    """A problem's arrays by the names that they have on the wire."""
    tensors: dict[str, NDArray[Any]] = {"input": problem.input, **problem.parameters, **(problem.initial_state or {})}
    if problem.lengths is not None:
        tensors["lengths"] = problem.lengths
    elif problem.mask is not None:
        tensors["mask"] = problem.mask
    tensors |= {f"dropout_mask.{name}": mask for name, mask in problem.dropout_masks.items()}
    return tensors | {f"cotangent.{name}": array for name, array in problem.cotangents.items()}


def to_problem(case: Case, draw: int, tensors: Arrays) -> Problem:
    """The problem that arrays from the wire belong to.

    Raises:
        KeyError: an array is missing.
    """
    masks, cotangents = ({k[len(part) :]: v for k, v in tensors.items() if k.startswith(part)} for part in _PARTS)
    states = [name for state in ("h_0", "c_0") for name in case.model.state_shapes(state, case.rows)]
    lengths = tensors["lengths"] if case.lengths is not None and case.mask == "right" else None
    return Problem(
        case=case,
        parameters={name: tensors[name] for name in case.model.parameter_shapes()},
        input=tensors["input"],
        initial_state={name: tensors[name] for name in states} if case.gives_state else None,
        mask=counted_steps(case),
        lengths=None if lengths is None else lengths.astype(np.int64, copy=False),
        dropout_masks=masks,
        cotangents=cotangents,
        draw=draw,
    )


if __name__ == "__main__":
    SCHEMA.write_text(schema())
