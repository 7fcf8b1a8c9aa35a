import numpy as np
import pytest

from conformance.verdict import tensors

ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "strided": np.arange(10, dtype=np.float16)[::-3],
    "big-endian": np.arange(3, dtype=">f8"),
    "odd values": np.array([np.nan, np.inf, -0.0, 5e-324]),
    "empty": np.empty((0, 3)),
    "scalar": np.array(1.5),
    "lengths": np.array([3, 1], dtype=np.int64),
}


def test_arrays_and_notes_come_back_as_they_were() -> None:
    arrays, notes = tensors.loads(tensors.dumps(ARRAYS, {"condition": "0x1p3"}))
    assert notes == {"condition": "0x1p3"}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].shape == array.shape
        assert arrays[name].dtype == array.dtype.newbyteorder("<")
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert np.signbit(arrays["odd values"][2])


@pytest.mark.parametrize("end", [4, 20, -1])
def test_truncated_bytes_are_refused(end: int) -> None:
    with pytest.raises(ValueError, match=r"truncated|not tensors"):
        tensors.loads(tensors.dumps({"x": np.ones(3)})[:end])


@pytest.mark.parametrize("data", [b"", (2).to_bytes(8, "little") + b"[]", (9).to_bytes(8, "little") + b'{"x": 1} '])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"truncated|not tensors"):
        tensors.loads(data)


def test_a_dtype_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor x has dtype complex128"):
        tensors.dumps({"x": np.ones(2, complex)})
