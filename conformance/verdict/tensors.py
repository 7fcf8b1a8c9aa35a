"""Named arrays as bytes in the safetensors format (https://huggingface.co/docs/safetensors)."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

_DTYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
"""Dtypes of the worker protocol. The format has more, but not every safetensors release reads them into NumPy."""


def dumps(tensors: Mapping[str, NDArray[Any]], notes: Mapping[str, str] | None = None) -> bytes:
    """Serializes named arrays, and notes as the format's metadata.

    Raises:
        ValueError: an array has a dtype other than float64, float32, float16, int64, int32, uint8 or bool.
    """
    for name, array in tensors.items():
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"tensor {name} has dtype {array.dtype}, expected one of {', '.join(_DTYPES)}")
    # safetensors 0.8.0 silently writes wrong values for strided arrays. np.ascontiguousarray would add an axis to a
    # scalar.
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    return save(contiguous, dict(notes) if notes else None)


def loads(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Parses arrays, which are read-only and in the order of the header, and notes.

    Raises:
        ValueError: the bytes are truncated, not in the safetensors format, or hold a dtype that NumPy lacks.
    """
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise ValueError(f"invalid safetensors data: {error}") from error
    except KeyError as error:
        raise ValueError(f"invalid safetensors data: dtype {error} cannot be read into NumPy") from error
    # The library loads notes from files only, and returns the arrays in arbitrary order.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    notes = header.pop("__metadata__", {})
    for array in arrays.values():
        array.flags.writeable = False
    return {name: arrays[name] for name in header}, notes
