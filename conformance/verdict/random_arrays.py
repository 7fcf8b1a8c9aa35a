"""Random arrays that are the same on every machine, rounded to the dtype of a case."""

import hashlib
from math import prod

import numpy as np
from numpy.typing import NDArray

from reference.model import Shape

Array = NDArray[np.floating]

_NUMPY_DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": np.float32}


class RandomArrays:
    """Generator of random arrays by name.

    It uses only integers and correctly rounded operations, so the values do not depend on the machine's libm. Each name
    has an independent stream, so a new array does not change the others.
    """

    def __init__(self, seed: str, dtype: str) -> None:
        self._seed = seed
        self.dtype = dtype

    def _bits(self, name: str, count: int) -> NDArray[np.uint64]:
        key = int.from_bytes(hashlib.sha256(f"{self._seed}/{name}".encode()).digest()[:16])
        # NumPy keeps the raw stream of a bit generator stable across versions, but not the methods of Generator.
        return np.random.Philox(key=key).random_raw(count)

    def uniform(self, name: str, shape: Shape, bound: float = 1.0) -> Array:
        """Draws from U(-bound, bound)."""
        return self._store(self._unit(name, shape) * bound)

    def normal(self, name: str, shape: Shape, variance: float = 1.0, rows: Array | None = None) -> Array:
        """Draws from N(0, variance). Multiplies the result by factors for each row, if given."""
        values = self._gauss(name, shape) * np.sqrt(variance)
        return self._store(values if rows is None else values * rows)

    def kept(self, name: str, shape: Shape, drop: float) -> NDArray[np.bool_]:
        """Draws booleans that are True with probability 1 - drop."""
        return self._unit(name, shape) * 0.5 + 0.5 >= drop

    def _unit(self, name: str, shape: Shape) -> Array:
        """Draws from U(-1, 1) in float64."""
        bits = self._bits(name, prod(shape)) >> np.uint64(11)
        return (bits.astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)

    def _gauss(self, name: str, shape: Shape) -> Array:
        """Draws sums of 12 numbers from U(0, 1), minus 6: variance 1, and normal within a percent up to 3 σ."""
        halves = self._bits(name, 6 * prod(shape)).view(np.uint32).reshape(*shape, 12)
        sums: Array = halves.sum(-1, dtype=np.int64).astype(np.float64)
        return sums * 2.0**-32 - 6.0

    def _store(self, values: Array) -> Array:
        """Rounds values to the dtype and makes them read-only."""
        array = np.ascontiguousarray(round_to(self.dtype, values))
        array.flags.writeable = False
        return array


def round_to(dtype: str, values: Array) -> Array:
    """Rounds values to a case's dtype, to nearest, ties to even. Returns bfloat16 as float32."""
    stored = values.astype(_NUMPY_DTYPES[dtype])
    if dtype != "bfloat16":
        return stored
    bits = stored.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return np.where(np.isnan(stored), stored, rounded.view(np.float32))
