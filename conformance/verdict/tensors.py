"""Named arrays as bytes, in the safetensors format: an 8-byte length, a JSON header, raw little-endian data.

Format: https://huggingface.co/docs/safetensors. Strided arrays are made contiguous first.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CODES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_NAMES = {np.dtype(code): name for name, code in _CODES.items()}


def dumps(tensors: Mapping[str, NDArray[Any]], notes: Mapping[str, str] | None = None) -> bytes:
    """The bytes of named arrays, with notes beside them.

    Raises:
        ValueError: a dtype that the format has no name for.
    """
    header: dict[str, Any] = {"__metadata__": dict(notes)} if notes else {}
    blocks: list[bytes] = []
    offset = 0
    for name, array in tensors.items():
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        if little.dtype not in _NAMES:
            raise ValueError(f"tensor {name} has dtype {array.dtype}, which the format cannot hold")
        data = little.tobytes()
        header[name] = {
            "dtype": _NAMES[little.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        blocks.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, *blocks))


def loads(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Named arrays, read-only views of the bytes, and the notes beside them.

    Raises:
        ValueError: the bytes are truncated or not in this format.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 + size:
        raise ValueError("tensors are truncated")
    try:
        header = json.loads(data[8 : 8 + size])
        notes = header.pop("__metadata__", {})
        arrays = {}
        for name, entry in header.items():
            first, end = (8 + size + offset for offset in entry["data_offsets"])
            if not 8 + size <= first <= end <= len(data):
                raise ValueError("tensors are truncated")
            arrays[name] = np.frombuffer(data[first:end], _CODES[entry["dtype"]]).reshape(entry["shape"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not tensors: {error!r}") from error
    return arrays, notes
