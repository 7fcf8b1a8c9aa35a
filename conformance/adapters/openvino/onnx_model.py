"""``openvino[onnx]``: OpenVINO's ONNX front end and its CPU plug-in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.adapters.onnx.common import Array, ZeroLengthIsZero
from conformance.adapters.openvino import common as _openvino
from conformance.cases.case import Case
from reference import PROFILES, Profile


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
        outputs = _openvino.run(read, list(feeds.values()), self.precision(case))
        return {output.name: array for output, array in zip(model.graph.output, outputs, strict=True)}

    def precision(self, case: Case) -> str:
        """The dtype to infer in; empty to leave it to the plug-in."""
        return case.dtype

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


class OpenVinoOnnxDefault(OpenVinoOnnx):
    """Models in float32 in the precision that the plug-in takes by itself, as they run if nobody asks for another."""

    name = "openvino[onnx,default-precision]"
    features = ZeroLengthIsZero.features

    def precision(self, case: Case) -> str:
        """The plug-in's own."""
        del case
        return ""

    def profile(self, case: Case) -> Profile:
        """On processors with bfloat16 that of bfloat16, to which weights and inputs are rounded, too."""
        if _openvino.own_precision() == "bf16":
            return replace(PROFILES["bfloat16"], name="bfloat16 of float32", u_op=PROFILES["bfloat16"].u)
        return super().profile(case)

    def describe(self) -> dict[str, str]:
        """The precision is another."""
        return super().describe() | {"precision": f"the plug-in's own, {_openvino.own_precision()} here"}
