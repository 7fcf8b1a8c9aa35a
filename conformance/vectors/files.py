"""Vector files as JSON and as safetensors."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conformance.errors import UserError
from conformance.vectors.document import Tensor, VectorFile
from conformance.verdict import tensors
from conformance.verdict.random_arrays import round_to

_PARTS = ("given", "expected", "budget")


def to_json(file: VectorFile) -> bytes:
    """Serializes a vector file as JSON, with one line for each array."""
    return (_render(file.model_dump(mode="json"), "") + "\n").encode()


def to_safetensors(file: VectorFile) -> bytes:
    """Serializes a vector file as safetensors.

    The metadata's entry ``document`` holds the JSON without the elements of the arrays. The tensor ``0/expected/h_n``
    holds those of the array ``h_n`` in ``expected`` of the first vector. Tensors in ``given`` have the vector's dtype,
    or float32 for bfloat16. All others, and dropout masks, are float64.
    """
    document = file.model_dump(mode="json")
    arrays = {}
    for number, vector in enumerate(file.vectors):
        dtype = str(vector.options["dtype"])
        for name, tensor in vector.tensors.items():
            exact = not name.startswith("given/") or name.startswith("given/dropout_mask.")
            arrays[f"{number}/{name}"] = tensor.values if exact else round_to(dtype, tensor.values)
        for part in _PARTS:
            for tensor in document["vectors"][number][part].values():
                del tensor["data"]
    return tensors.dumps(arrays, {"document": json.dumps(document, separators=(",", ":"))})


FORMATS: Mapping[str, Callable[[VectorFile], bytes]] = {"json": to_json, "safetensors": to_safetensors}
"""Writers of vector files, by the suffix of the file."""


def read(path: Path) -> VectorFile:
    """Reads a vector file in either format.

    Raises:
        UserError: the file cannot be read or is invalid. The message lists each mistake with its position.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return VectorFile.model_validate_json(_document(data) if path.suffix == ".safetensors" else data)
    except ValidationError as error:
        lines = [f"{path}: {_position(mistake['loc'])}{mistake['msg']}" for mistake in error.errors()[:10]]
        raise UserError("\n".join([*lines, f"{path}: is not a valid vector file"])) from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"{path}: is not a valid vector file: {error}") from error


def _document(data: bytes) -> str:
    """Returns the JSON of a vector file in the format safetensors."""
    arrays, notes = tensors.loads(data)
    if "document" not in notes:
        raise ValueError("the metadata lacks the entry 'document'")
    document = json.loads(notes["document"])
    for name, array in arrays.items():
        number, part, tensor = name.split("/", 2)
        document["vectors"][int(number)][part][tensor] = Tensor.of(array).model_dump(mode="json")
    return json.dumps(document)


def _position(where: tuple[int | str, ...]) -> str:
    return ".".join(map(str, where)) + ": " if where else ""


def _render(value: Any, indent: str) -> str:
    """Returns JSON in which every array and every list of simple values has its own line."""
    inner = indent + " "
    if isinstance(value, dict) and value.keys() == {"shape", "data"}:
        return f'{{"shape": {json.dumps(value["shape"])}, "data": [{",".join(map(_number, value["data"]))}]}}'
    if isinstance(value, dict) and any(isinstance(item, dict | list) for item in value.values()):
        lines = [f"{inner}{json.dumps(key)}: {_render(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(inner + _render(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _number(value: float | None) -> str:
    """Returns a number in JSON, without characters that carry no information: ``1`` for 1.0, ``1e-7`` for 1e-07."""
    if value is None:
        return "null"
    text = repr(value).replace("e-0", "e-")
    return text if text == "-0.0" else text.removesuffix(".0")
