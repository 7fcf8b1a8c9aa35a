"""Adapters for ONNX Runtime's ``DynamicQuantizeLSTM``."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from conformance.adapters.onnx.common import Run
from conformance.adapters.onnx.onnxruntime import OnnxRuntime
from conformance.cases.case import Case
from reference import PROFILES, Profile


class OnnxRuntimeInt8(OnnxRuntime):
    """Drives models that ``onnxruntime.quantization.quantize_dynamic`` has quantized."""

    name = "onnxruntime[int8]"
    per_channel: ClassVar[bool] = False
    """Whether each row of the weights has a quantization step of its own, instead of each direction."""

    features = OnnxRuntime.features - {"float16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxRuntime.lacks,
        "float16": "onnxruntime's DynamicQuantizeLSTM has float32 inputs and outputs",
    }

    def profile(self, case: Case) -> Profile:
        """Returns ``int8-dynamic``, per tensor or per channel."""
        del case
        return replace(PROFILES["int8-dynamic"], per_channel=self.per_channel)

    def load(self, model: Any, case: Case) -> Run:
        """Quantizes a model and loads it into a new session."""
        return super().load(self._quantize(model), case)

    def _quantize(self, model: Any) -> Any:
        """Returns a model of which ``quantize_dynamic`` has turned LSTM nodes into ``DynamicQuantizeLSTM``."""
        import onnx
        from onnxruntime.quantization import quantize_dynamic

        root = logging.getLogger()
        level = root.level
        with tempfile.TemporaryDirectory() as folder:
            exact, path = Path(folder, "exact.onnx"), Path(folder, "quantized.onnx")
            exact.write_bytes(model.SerializeToString())
            # The quantizer advises, through the root logger, to preprocess the model. That has no effect on an LSTM.
            root.setLevel(logging.ERROR)
            try:
                quantize_dynamic(exact, path, per_channel=self.per_channel, op_types_to_quantize=["LSTM"])
            finally:
                root.setLevel(level)
            quantized = onnx.load(path)
        if all(node.op_type != "DynamicQuantizeLSTM" for node in quantized.graph.node):
            raise RuntimeError("quantize_dynamic left every LSTM in float32")
        return quantized

    def describe(self) -> dict[str, str]:
        """Returns versions and how the model was quantized."""
        return super().describe() | {"quantization": f"quantize_dynamic(per_channel={self.per_channel})"}


class OnnxRuntimeInt8PerChannel(OnnxRuntimeInt8):
    """Drives models quantized with a step for each row of the weights."""

    name = "onnxruntime[int8,per-channel]"
    default_tag = "core"
    per_channel = True
