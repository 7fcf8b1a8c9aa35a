"""``openvino[onnx]``: OpenVINO's ONNX front end and its CPU plug-in."""

from collections.abc import Mapping
from typing import Any

from conformance.adapters import _openvino
from conformance.adapters._onnx import Array, ZeroLengthIsZero
from conformance.case import Case


class OpenVinoOnnx(ZeroLengthIsZero):
    """Drives ``openvino.Core`` with ONNX models."""

    name = "openvino[onnx]"
    requires = ("openvino", "onnx")
    install = "pip install 'lstm-conformance[openvino,onnx]'"
    own_process = True

    features = ZeroLengthIsZero.features | {"float64", "float16", "bfloat16"}

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """Reads, compiles and runs a model."""
        import openvino

        read = openvino.Core().read_model(model.SerializeToString())
        outputs = _openvino.run(read, list(feeds.values()), case.dtype)
        return {output.name: array for output, array in zip(model.graph.output, outputs, strict=True)}

    def describe(self) -> dict[str, str]:
        """Versions, device, threads and precision."""
        return super().describe() | _openvino.describe()


class OpenVinoOnnxBatchwise(OpenVinoOnnx):
    """Batch-first models with the operator's own attribute instead of Transpose nodes."""

    name = "openvino[onnx,batchwise]"
    batchwise = True

    def supports(self, case: Case) -> str | None:
        """Batch-first cases; the others are those of ``openvino[onnx]``."""
        return super().supports(case) or (None if case.batch_first else "layout=1 is for batch-first cases")
