import json
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from conformance.verdict import tensors

ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "strided": np.arange(10, dtype=np.float16)[::-3],
    "broadcast": np.broadcast_to(np.arange(3.0), (4, 3)),
    "big-endian": np.arange(3, dtype=">f8"),
    "big-endian and transposed": np.arange(6, dtype=">f4").reshape(2, 3).T,
    "odd values": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "empty": np.empty((0, 3)),
    "scalar": np.array(1.5),
    "lengths": np.array([3, 1], dtype=np.int64),
    "mask": np.array([[True, False], [False, False]]).T,
}


def block(dtype: str, shape: list[int], data: bytes) -> bytes:
    """One tensor named ``x`` in the safetensors format, written by hand."""
    header = json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    return len(header).to_bytes(8, "little") + header + data


def test_dumps_and_loads_round_trip_arrays_and_notes() -> None:
    arrays, notes = tensors.loads(tensors.dumps(ARRAYS, {"condition": "0x1p3"}))
    assert notes == {"condition": "0x1p3"}
    assert sorted(arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].shape == array.shape
        assert arrays[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert np.signbit(arrays["odd values"][2])


def test_the_safetensors_library_reads_what_dumps_writes() -> None:
    found = load(tensors.dumps(ARRAYS))
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_loads_reads_bytes_written_by_hand() -> None:
    arrays, notes = tensors.loads(block("F32", [2, 1], np.array([1.5, -2], "<f4").tobytes()))
    assert notes == {}
    assert arrays["x"].tolist() == [[1.5], [-2.0]]


def test_loaded_arrays_are_read_only_and_in_the_order_of_the_header() -> None:
    names = [f"tensor {number}" for number in range(40)]
    header: dict[str, Any] = {
        name: {"dtype": "U8", "shape": [1], "data_offsets": [place, place + 1]} for place, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    arrays, _ = tensors.loads(len(text).to_bytes(8, "little") + text + bytes(range(40)))
    assert list(arrays) == names
    assert [int(array[0]) for array in arrays.values()] == list(range(40))
    assert not any(array.flags.writeable for array in arrays.values())


@pytest.mark.parametrize("end", [4, 20, -1])
def test_truncated_bytes_are_rejected(end: int) -> None:
    with pytest.raises(ValueError, match="invalid safetensors data: "):
        tensors.loads(tensors.dumps({"x": np.ones(3)})[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"x": 1} ',
        (2**63).to_bytes(8, "little") + b"{}",
        block("F64", [3], bytes(16)),
        block("F64", [2], bytes(16)) + b"more",
        block("F99", [2], bytes(16)),
        block("BF16", [1], bytes(2)),
    ],
    ids=["empty", "list", "number", "huge header", "too short", "too long", "unknown dtype", "no dtype of NumPy"],
)
def test_bytes_in_another_format_are_rejected(data: bytes) -> None:
    with pytest.raises(ValueError, match="invalid safetensors data: "):
        tensors.loads(data)


@pytest.mark.parametrize("array", [np.ones(2, complex), np.array(["text"]), np.array([None])], ids=str)
def test_an_unsupported_dtype_is_rejected_by_name(array: Any) -> None:
    with pytest.raises(ValueError, match=f"tensor x has dtype {array.dtype}, expected one of float64, "):
        tensors.dumps({"x": array})
