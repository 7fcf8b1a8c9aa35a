"""Runs ONNX models in ONNX Runtime on the CPU. The exporters' adapters use it too."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DOUBLE = 'onnxruntime: "LSTM operator does not support double yet"'
NO_BFLOAT16 = 'onnxruntime: "Could not find an implementation for LSTM" in bfloat16'


def run(model: bytes, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Runs a model in a new session and returns its outputs by name.

    Args:
        model: serialized ONNX model.
        feeds: inputs by name. Names that the model does not have are ignored.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime raises every error that it logs.
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    read = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]
    outputs = session.run(names, {name: array for name, array in feeds.items() if name in read})
    return {name: np.array(array, order="C") for name, array in zip(names, outputs, strict=True)}


def describe() -> dict[str, str]:
    """Returns the version of ONNX Runtime, device and threads."""
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "device": "CPUExecutionProvider",
        "threads": "onnxruntime's default: one per core",
    }
