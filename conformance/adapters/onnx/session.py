"""Runs ONNX models in ONNX Runtime on the CPU. The exporters' adapters use it too."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DOUBLE = 'onnxruntime: "LSTM operator does not support double yet"'
NO_BFLOAT16 = 'onnxruntime: "Could not find an implementation for LSTM" in bfloat16'


def load(model: bytes, saved: bool = False) -> Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """Loads a model into a new session. Returns a function that maps its inputs to its outputs, both by name.

    The function ignores inputs that the model does not have.

    Args:
        model: serialized ONNX model.
        saved: whether to load the model from a file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime raises every error that it logs.
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        source: bytes | str = model
        if saved:
            source = str(Path(folder, "model.onnx"))
            Path(source).write_bytes(model)
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    read = {value.name for value in session.get_inputs()}
    names = [value.name for value in session.get_outputs()]

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        outputs = session.run(names, {name: array for name, array in feeds.items() if name in read})
        return {name: np.array(array, order="C") for name, array in zip(names, outputs, strict=True)}

    return run


def describe() -> dict[str, str]:
    """Returns the version of ONNX Runtime, device and threads."""
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "device": "CPUExecutionProvider",
        "threads": "onnxruntime's default: one per core",
    }
