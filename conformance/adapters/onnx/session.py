"""Runs ONNX models in ONNX Runtime on the CPU. The exporters' adapters use it too."""

import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance import threads
from conformance.adapters.onnx.common import make_model
from conformance.verdict import declared

NO_DOUBLE = 'onnxruntime: "LSTM operator does not support double yet"'
_FIRST_OPSET = 14
"""First opset whose LSTM has the attribute ``layout``."""
NO_BFLOAT16 = 'onnxruntime: "Could not find an implementation for LSTM" in bfloat16'


def load(
    model: bytes, saved: bool = False, optimized: bool = True
) -> Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    """Loads a model into a new session. Returns a function that maps its inputs to its outputs, both by name.

    The function ignores inputs that the model does not have.

    Args:
        model: serialized ONNX model.
        saved: whether to load the model from a file.
        optimized: whether ONNX Runtime optimizes the graph, as it does by default.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # onnxruntime raises every error that it logs.
    options.log_severity_level = 4
    if count := threads.required():
        options.intra_op_num_threads = count
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory() as folder:
        source: bytes | str = model
        if saved:
            source = str(Path(folder, "model.onnx"))
            Path(source).write_bytes(model)
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    read = {value.name: value.shape for value in session.get_inputs()}
    shapes = {value.name: value.shape for value in session.get_outputs()}

    def run(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = {name: array for name, array in feeds.items() if name in read}
        outputs = dict(zip(shapes, session.run(list(shapes), given), strict=True))
        # Axes with the same name have the same size. A name that no input has can stand for any size.
        sizes = {axis: size for name in given for axis, size in zip(read[name], given[name].shape, strict=True)}
        for name, shape in shapes.items():
            known = [axis if isinstance(axis, int) else sizes.get(axis) for axis in shape]
            declared.record_shape(name, known, outputs[name].shape)
        return {name: np.array(array, order="C") for name, array in outputs.items()}

    return run


@cache
def newest_opset(limit: int) -> int:
    """Returns the newest opset, up to a limit, whose models this release of ONNX Runtime accepts.

    ONNX Runtime has no function that returns it. A release rejects models of a newer opset, or of a newer version of
    the file format, when a session loads them.

    Raises:
        RuntimeError: ONNX Runtime accepts none of them from opset 14 on.
    """
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [value], [result])
    for opset in range(limit, _FIRST_OPSET - 1, -1):
        try:
            load(make_model(graph, opset).SerializeToString())
        except Exception as error:  # onnxruntime's own classes, which derive from Exception or RuntimeError.
            refusal = error
        else:
            return opset
    raise RuntimeError(f"onnxruntime accepts none of the opsets {_FIRST_OPSET} to {limit}: {refusal}")


def describe() -> dict[str, str]:
    """Returns the version of ONNX Runtime, device and threads."""
    import onnxruntime

    return {
        "onnxruntime": onnxruntime.__version__,
        "device": "CPUExecutionProvider",
        "threads": "onnxruntime's default: one per core",
    }
