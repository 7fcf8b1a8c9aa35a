"""Adapter for ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.onnx.common import Array, ZeroStateOnnxAdapter
from conformance.cases.case import Case


class OnnxRuntime(ZeroStateOnnxAdapter):
    """Drives ``onnxruntime.InferenceSession`` with its CPU execution provider."""

    name = "onnxruntime"
    requires = ("onnxruntime", "onnx")
    install = "pip install 'lstm-conformance[onnx]'"

    features = ZeroStateOnnxAdapter.features | {"float16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **ZeroStateOnnxAdapter.lacks,
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
    }

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """Runs a model in a new session."""
        del case
        return _onnxruntime.run(model.SerializeToString(), feeds)

    def opset(self) -> int:
        """Returns the newest opset that this release of ONNX Runtime accepts."""
        return _onnxruntime.newest_opset(super().opset())

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how float16 is computed."""
        casts = "cast to float32 and back around the node: ONNX Runtime has no float16 kernel"
        return super().describe() | _onnxruntime.describe() | {"float16": casts}
