"""Adapters for OpenVINO's ONNX front end and CPU plug-in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.adapters.onnx.common import Array, Run, ZeroStateOnnxAdapter
from conformance.adapters.openvino import common as _openvino
from conformance.cases.case import Case
from reference import PROFILES, Profile


class OpenVinoOnnx(ZeroStateOnnxAdapter):
    """Drives ``openvino.Core`` with ONNX models, in the precision of the case."""

    name = "openvino[onnx]"
    requires = ("openvino", "onnx")
    install = "pip install 'lstm-conformance[openvino,onnx]'"
    own_process = True

    features = ZeroStateOnnxAdapter.features | {"float64", "float16", "bfloat16"}

    def load(self, model: Any, case: Case) -> Run:
        """Imports a model. It is compiled when it runs."""
        import openvino

        read = openvino.Core().read_model(model.SerializeToString())

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            outputs = _openvino.run(read, list(feeds.values()), self.precision(case))
            return {output.name: array for output, array in zip(model.graph.output, outputs, strict=True)}

        return run

    def precision(self, case: Case) -> str:
        """Returns the dtype whose precision is requested; empty for the plug-in's default precision."""
        return case.dtype

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads and precision."""
        return super().describe() | _openvino.describe()


class OpenVinoOnnxBatchwise(OpenVinoOnnx):
    """Drives OpenVINO with batch-first models that set ``layout=1`` instead of transposing."""

    name = "openvino[onnx,batchwise]"
    batchwise = True

    def supports(self, case: Case) -> str | None:
        """Refuses time-major cases, which would equal those of ``openvino[onnx]``."""
        return super().supports(case) or (None if case.batch_first else "layout=1 is for batch-first cases")


class OpenVinoOnnxDefault(OpenVinoOnnx):
    """Drives OpenVINO with float32 models in the plug-in's default precision, which users get without a hint."""

    name = "openvino[onnx,default-precision]"
    features = ZeroStateOnnxAdapter.features

    def precision(self, case: Case) -> str:
        """Returns an empty string: the plug-in chooses its default precision."""
        del case
        return ""

    def profile(self, case: Case) -> Profile:
        """Returns a profile with weights and inputs rounded to bfloat16 if that is the default precision."""
        if _openvino.default_precision() == "bf16":
            return replace(PROFILES["bfloat16"], name="bfloat16 of float32", u_op=PROFILES["bfloat16"].u)
        return super().profile(case)

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads and the default precision."""
        return super().describe() | {"precision": f"the plug-in's default, {_openvino.default_precision()} here"}
