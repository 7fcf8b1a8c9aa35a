"""Content of a vector file. ``docs/vectors.md`` describes it for implementers."""

import hashlib
from math import prod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue, model_validator


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class Tensor(_Strict):
    """An array.

    Attributes:
        shape: shape.
        data: elements in row-major order; None represents NaN.
    """

    shape: tuple[int, ...]
    data: list[float | None]

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if len(self.data) != prod(self.shape):
            raise ValueError(f"data has {len(self.data)} elements, but shape {list(self.shape)} has {prod(self.shape)}")
        return self

    @classmethod
    def of(cls, array: NDArray[Any]) -> Self:
        """Converts an array. Each element is the shortest decimal that identifies it among the numbers of its dtype."""
        flat = array.ravel() if array.dtype.kind == "f" else array.ravel().astype(np.int64)
        numbers = (float(str(element)) for element in flat)
        return cls(shape=array.shape, data=[None if np.isnan(number) else number for number in numbers])

    @property
    def values(self) -> NDArray[np.float64]:
        """The array in float64."""
        return np.array(self.data, dtype=np.float64).reshape(self.shape)


class Mistake(_Strict):
    """A mistake that vectors detect.

    Attributes:
        id: id of the defect.
        sentence: description of an LSTM with this mistake.
        bug: real bug or implementation that does this; empty if none is known.
    """

    id: str
    sentence: str
    bug: str = ""


class Probe(_Strict):
    """An element whose value distinguishes mistakes.

    Attributes:
        tensor: name of the tensor in ``expected``.
        element: number of the element in row-major order.
        within: largest difference between a value and a prediction of the same mistake.
        predicted: value of the element for each mistake of the file; None if the vector does not detect the mistake, or
            if the value depends on the order of rounding.
    """

    tensor: str
    element: int
    within: float
    predicted: list[float | None]


class Vector(_Strict):
    """A case with its numbers.

    Attributes:
        name: id of the case.
        notes: purpose of the case.
        features: options beyond one plain forward layer, and the dtype; see ``conformance.cases.features``.
        flags: ids of the most distinctive mistakes that the vector detects: those that the fewest vectors detect.
        detects: a character for each mistake of the file, ``1`` if the vector detects it, else ``0``.
        probe: an element whose value distinguishes the mistakes.
        options: options of the case.
        given: parameters, input, initial state, lengths or mask, dropout masks and cotangents.
        expected: results and gradients.
        budget: largest deviations from ``expected`` that conform.
        sha256: checksum of all arrays.
    """

    name: str
    notes: str
    features: list[str]
    flags: list[str]
    detects: str
    probe: Probe
    options: dict[str, JsonValue]
    given: dict[str, Tensor]
    expected: dict[str, Tensor]
    budget: dict[str, Tensor]
    sha256: str = ""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All arrays, by names such as ``expected/h_n``."""
        parts = {"given": self.given, "expected": self.expected, "budget": self.budget}
        return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def checksum(self) -> str:
        """Returns the SHA-256 of the arrays' names, shapes and numbers."""
        digest = hashlib.sha256()
        for name, tensor in self.tensors.items():
            digest.update(f"{name} {list(tensor.shape)} ".encode())
            digest.update(tensor.values.astype("<f8").tobytes())
        return digest.hexdigest()


class VectorFile(_Strict):
    """A set of vectors.

    Attributes:
        format: name of the format.
        version: version of the format.
        name: name of the set.
        mistakes: mistakes that the vectors detect. Character n of ``Vector.detects`` refers to mistake n.
        vectors: the vectors.
    """

    format: Literal["lstm-conformance vectors"] = "lstm-conformance vectors"
    version: Literal[1] = 1
    name: str
    mistakes: list[Mistake]
    vectors: list[Vector]

    @model_validator(mode="after")
    def _check_flags(self) -> Self:
        ids = [mistake.id for mistake in self.mistakes]
        for vector in self.vectors:
            if len(vector.detects) != len(ids) or set(vector.detects) - set("01"):
                raise ValueError(f"{vector.name}: detects must have {len(ids)} characters 0 or 1, one for each mistake")
            if len(vector.probe.predicted) != len(ids):
                raise ValueError(f"{vector.name}: predicted must have {len(ids)} elements, one for each mistake")
            detected = {name for name, detects in zip(ids, vector.detects, strict=True) if detects == "1"}
            if not vector.flags or not detected.issuperset(vector.flags):
                raise ValueError(f"{vector.name}: flags must be some of the mistakes that the vector detects")
        return self
