"""onnxruntime sessions on the CPU, for ONNX models from anywhere."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DOUBLE = 'onnxruntime: "LSTM operator does not support double yet"'
NO_BFLOAT16 = 'onnxruntime: "Could not find an implementation for LSTM" in bfloat16'


def run(model: bytes, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model's outputs by name.

    Args:
        model: an ONNX model.
        feeds: its inputs by name; those that it does not read are left out.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # What it logs as an error it raises, too.
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    read = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    outputs = session.run(names, {name: array for name, array in feeds.items() if name in read})
    return {name: np.array(array, order="C") for name, array in zip(names, outputs, strict=True)}


def describe() -> dict[str, str]:
    """Version, device and threads."""
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "device": "CPUExecutionProvider",
        "threads": "onnxruntime's default: one for each core",
    }
