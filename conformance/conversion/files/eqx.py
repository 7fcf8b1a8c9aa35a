"""``.eqx``: arrays without names, written by ``equinox.tree_serialise_leaves``."""

import io
from collections.abc import Sequence

import numpy as np

from conformance.conversion.files.contents import Contents, parsing, without_bfloat16
from conformance.conversion.frameworks import FRAMEWORKS
from conformance.conversion.lstm import Array, Lstm


def read(data: bytes) -> Contents:
    """Reads the arrays and names those that have the shapes of an ``equinox.nn.LSTMCell``: ``0.weight_ih``.

    The number is the position of the cell's first array in the file.
    """
    file = io.BytesIO(data)
    arrays: list[Array] = []
    with parsing("Equinox"):
        while file.tell() < len(data):
            arrays.append(np.lib.format.read_array(file, allow_pickle=False))
    names = [str(position) for position in range(len(arrays))]
    for position in range(len(arrays) - 1):
        if (count := _cell(arrays[position : position + 3])) and "." not in names[position]:
            for offset, role in enumerate(("weight_ih", "weight_hh", "bias")[:count]):
                names[position + offset] = f"{position}.{role}"
    return Contents(dict(zip(names, arrays, strict=True)))


def write(lstms: Sequence[Lstm]) -> bytes:
    """Writes the arrays of cells one after the other: layer by layer, the forward direction first."""
    file = io.BytesIO()
    for lstm in lstms:
        for array in without_bfloat16(FRAMEWORKS["equinox"].pack(lstm), "Equinox").values():
            np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _cell(arrays: list[Array]) -> int:
    """Returns the number of arrays of a cell at the start of a list; 0 if there is none."""
    shapes = [array.shape for array in arrays]
    if [len(shape) for shape in shapes[:2]] != [2, 2]:
        return 0
    (rows, _), (recurrent_rows, hidden) = shapes[:2]
    if not rows == recurrent_rows == 4 * hidden:
        return 0
    return 3 if shapes[2:] == [shapes[0][:1]] else 2
