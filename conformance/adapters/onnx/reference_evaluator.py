"""Adapter for ``onnx.reference``, ONNX's own evaluator in NumPy."""

import tempfile
from pathlib import Path
from typing import Any

from conformance.adapters.onnx.common import OnnxAdapter, Run
from conformance.cases.case import Case


class OnnxReference(OnnxAdapter):
    """Drives ``onnx.reference.ReferenceEvaluator``."""

    name = "onnx.reference"
    requires = ("onnx",)
    install = "pip install 'lstm-conformance[onnx]'"

    features = OnnxAdapter.features | {"float64", "float16"}
    batchwise = True

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
