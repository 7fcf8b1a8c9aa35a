"""``.safetensors``: named tensors, without code."""

import numpy as np
import safetensors
from safetensors.numpy import save

from conformance.conversion.files.contents import Contents, dtype, natural, parsing
from conformance.conversion.framework import Tensors

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


def read(data: bytes) -> Contents:
    """Reads the tensors. Those of other dtypes, such as float8, are left out."""
    with parsing("safetensors"):
        found = {
            name: np.frombuffer(entry["data"], dtype(_DTYPES[entry["dtype"]])).reshape(entry["shape"])
            for name, entry in safetensors.deserialize(data)  # type: ignore[no-untyped-call]
            if entry["dtype"] in _DTYPES
        }
    return Contents({name: found[name] for name in sorted(found, key=natural)})


def write(tensors: Tensors) -> bytes:
    """Writes the tensors."""
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
