"""``.pdparams``: state dictionaries written by ``paddle.save``, which are pickles of NumPy arrays."""

import io
import pickle
from typing import Any

import numpy as np

from conformance.conversion.files.contents import Contents, parsing, without_bfloat16
from conformance.conversion.find import flatten
from conformance.conversion.framework import Tensors
from conformance.errors import UserError

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}
"""Objects to which pickles of NumPy arrays refer."""


class _Unpickler(pickle.Unpickler):
    """Unpickler that creates only containers, numbers, text and arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns an allowed object."""
        if (module, name) not in _ALLOWED:
            raise UserError(
                f"the file contains the object {module}.{name}, which could run any code when it is loaded. "
                "Save the weights alone: `paddle.save(model.state_dict(), path)`"
            )
        return super().find_class(module, name)


def read(data: bytes) -> Contents:
    """Reads the arrays.

    Raises:
        UserError: the file is invalid, or contains objects besides arrays.
    """
    with parsing("Paddle"):
        found = _Unpickler(io.BytesIO(data)).load()
        if not isinstance(found, dict):
            raise UserError(f"the file contains a {type(found).__name__}, expected a state dictionary")
        arrays = flatten({str(name): value for name, value in found.items()}, ".")
    return Contents({name: array for name, array in arrays.items() if array.dtype != object})


def write(tensors: Tensors) -> bytes:
    """Writes a state dictionary."""
    arrays = {name: np.array(array) for name, array in without_bfloat16(tensors, "Paddle").items()}
    return pickle.dumps(arrays, protocol=4)
