"""Adapters for OpenVINO's ONNX front end and CPU plug-in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from conformance.adapters.onnx.common import USES, Array, Run, ZeroStateOnnxAdapter
from conformance.adapters.openvino import common as _openvino
from conformance.cases.case import Case
from reference import PROFILES, Profile


class OpenVinoOnnx(ZeroStateOnnxAdapter):
    """Drives ``openvino.Core`` with ONNX models, in the precision of the case."""

    name = "openvino[onnx]"
    requires = ("openvino", "onnx")
    install = "pip install 'lstm-conformance[openvino,onnx]'"
    own_process = True

    features = ZeroStateOnnxAdapter.features - {"wrong dtype"} | {"float64", "float16", "bfloat16", "other threads"}
    lacks: ClassVar[Mapping[str, str]] = {
        **ZeroStateOnnxAdapter.lacks,
        "wrong dtype": 'OpenVINO casts inputs: "up- or down-casting according to data type"',
    }

    def load(self, model: Any, case: Case) -> Run:
        """Imports and compiles a model, which is saved and read before that if the case says so."""
        read = _openvino.core().read_model(model.SerializeToString())
        if case.saved:
            read = _openvino.save_and_read(read)
        compiled = _openvino.load(read, self.precision(case))

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            outputs = zip(model.graph.output, compiled(list(feeds.values())), strict=True)
            return {output.name: array for output, array in outputs}

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
        """Also refuses time-major cases, which would equal those of ``openvino[onnx]``."""
        return super().supports(case) or (None if case.batch_first else "layout=1 is for batch-first cases")


class OpenVinoOnnxDefault(OpenVinoOnnx):
    """Drives OpenVINO with float32 models in the plug-in's default precision, which users get without a hint."""

    name = "openvino[onnx,default-precision]"
    features = ZeroStateOnnxAdapter.features - USES

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
