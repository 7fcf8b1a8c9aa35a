"""``onnxruntime``: its LSTM on the CPU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.onnx.common import Array, ZeroLengthIsZero
from conformance.cases.case import Case


class OnnxRuntime(ZeroLengthIsZero):
    """Drives ``onnxruntime.InferenceSession`` with its CPU execution provider."""

    name = "onnxruntime"
    requires = ("onnxruntime", "onnx")
    install = "pip install 'lstm-conformance[onnx]'"

    features = ZeroLengthIsZero.features | {"float16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **ZeroLengthIsZero.lacks,
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
    }

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """One session for each model."""
        del case
        return _onnxruntime.run(model.SerializeToString(), feeds)

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and how float16 is computed."""
        casts = "casts around the node: its kernel is float32's"
        return super().describe() | _onnxruntime.describe() | {"float16": casts}
