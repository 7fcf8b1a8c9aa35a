"""``.npz``: named arrays of NumPy. Pickled objects are rejected."""

import io
import zipfile

import numpy as np

from conformance.conversion.files.contents import MAX_COMPRESSION, Contents, natural, parsing, without_bfloat16
from conformance.conversion.framework import Tensors
from conformance.errors import UserError


def read(data: bytes) -> Contents:
    """Reads the arrays.

    Raises:
        UserError: the file is invalid, or contains pickled objects.
    """
    with parsing("npz"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_COMPRESSION * len(data):
                raise UserError("not a valid npz file: it claims to contain more than it can")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                # MLX writes them in any order.
                return Contents({name: arrays[name] for name in sorted(arrays.files, key=natural)})
        except ValueError as error:
            if "allow_pickle" in str(error):
                raise UserError(
                    "the file contains a pickled object, which can run any code when it is loaded. Write plain arrays: "
                    "`numpy.savez(path, **{f'{module}/{name}': array for module, own in params.items() "
                    "for name, array in own.items()})`"
                ) from error
            raise


def write(tensors: Tensors) -> bytes:
    """Writes the arrays."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **without_bfloat16(tensors, "npz"))
    return file.getvalue()
