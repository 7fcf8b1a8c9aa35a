"""``.msgpack``: nested arrays written by ``flax.serialization.to_bytes``."""

from typing import Any

import numpy as np

from conformance.conversion.files.contents import Contents, dtype, library, parsing
from conformance.conversion.find import flatten, nest
from conformance.conversion.framework import Tensors
from conformance.errors import UserError

_ARRAY = 1
"""Code of Flax's extension type for arrays: shape, dtype and bytes."""


def read(data: bytes) -> Contents:
    """Reads the arrays, with names joined by ``/``.

    Raises:
        UserError: the file is invalid, or an array is stored in chunks.
    """
    msgpack = library("msgpack", "reading .msgpack files")

    def array(code: int, packed: bytes) -> Any:
        if code != _ARRAY:
            return None
        shape, name, values = msgpack.unpackb(packed)
        return np.frombuffer(values, dtype(name)).reshape(shape)

    with parsing("msgpack"):
        found = msgpack.unpackb(data, ext_hook=array)
        if not isinstance(found, dict):
            raise UserError(f"the file contains a {type(found).__name__}, expected a mapping")
        if b"__msgpack_chunked_array__" in data:
            raise UserError("an array is larger than 1 GB and stored in chunks. Write the weights as .safetensors")
        return Contents(flatten(found))


def write(tensors: Tensors) -> bytes:
    """Writes the arrays below ``params``, as Flax's variables have them."""
    msgpack = library("msgpack", "writing .msgpack files")
    entries = {}
    for name, array in tensors.items():
        packed = msgpack.packb((array.shape, array.dtype.name, np.ascontiguousarray(array).tobytes()))
        entries[name] = msgpack.ExtType(_ARRAY, packed)
    packed = msgpack.packb({"params": nest(entries)})
    assert isinstance(packed, bytes)
    return packed
