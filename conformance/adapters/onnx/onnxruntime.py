"""Adapter for ONNX Runtime on the CPU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.onnx.common import Run, ZeroStateOnnxAdapter
from conformance.cases.case import Case


class OnnxRuntime(ZeroStateOnnxAdapter):
    """Drives ``onnxruntime.InferenceSession`` with its CPU execution provider."""

    name = "onnxruntime"
    requires = ("onnxruntime", "onnx")
    install = "pip install 'lstm-conformance[onnx]'"
    optimized: ClassVar[bool] = True
    """Whether ONNX Runtime optimizes the graph, as it does by default."""

    features = ZeroStateOnnxAdapter.features | {"float16", "one state given", "other threads"}
    lacks: ClassVar[Mapping[str, str]] = {
        **ZeroStateOnnxAdapter.lacks,
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
    }

    def load(self, model: Any, case: Case) -> Run:
        """Loads a model into a new session."""
        return _onnxruntime.load(model.SerializeToString(), case.saved, self.optimized)

    def opset(self) -> int:
        """Returns the newest opset that this release of ONNX Runtime accepts."""
        return _onnxruntime.newest_opset(super().opset())

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, and how float16 is computed."""
        casts = "cast to float32 and back around the node: ONNX Runtime has no float16 kernel"
        optimized = "default" if self.optimized else "off"
        return super().describe() | _onnxruntime.describe() | {"float16": casts, "graph optimizations": optimized}


class OnnxRuntimeUnoptimized(OnnxRuntime):
    """Drives ONNX Runtime with its graph optimizations off."""

    name = "onnxruntime[unoptimized]"
    optimized = False
