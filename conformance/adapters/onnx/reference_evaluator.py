"""Adapter for ``onnx.reference``, ONNX's own evaluator in NumPy."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from conformance.adapters import uses
from conformance.adapters.onnx.common import OnnxAdapter, Run
from conformance.cases.case import Case


class OnnxReference(OnnxAdapter):
    """Drives ``onnx.reference.ReferenceEvaluator``."""

    name = "onnx.reference"
    requires = ("onnx",)
    install = "pip install 'lstm-conformance[onnx]'"

    features = (OnnxAdapter.features | {"float64", "float16"} | uses.MODEL_ARGUMENTS | uses.MODEL_USES) - uses.BUILT
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        **dict.fromkeys(uses.BUILT, "an ONNX model with symbolic axes is not built for a size"),
    }
    batchwise = True

    def supports(self, case: Case) -> str | None:
        """Also refuses pieces without initial states."""
        return super().supports(case) or uses.refuse_model(case)

    def load(self, model: Any, case: Case) -> Run:
        """Loads a model into a new evaluator, from a file if the case says so."""
        import onnx
        from onnx.reference import ReferenceEvaluator

        if case.saved:
            with tempfile.TemporaryDirectory() as folder:
                onnx.save(model, str(Path(folder, "model.onnx")))
                model = onnx.load(str(Path(folder, "model.onnx")))
        evaluator = ReferenceEvaluator(model)
        return lambda feeds: dict(zip(evaluator.output_names, evaluator.run(None, dict(feeds)), strict=True))
