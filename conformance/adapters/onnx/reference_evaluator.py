"""Adapter for ``onnx.reference``, ONNX's own evaluator in NumPy."""

from collections.abc import Mapping
from typing import Any

from conformance.adapters.onnx.common import Array, OnnxAdapter
from conformance.cases.case import Case


class OnnxReference(OnnxAdapter):
    """Drives ``onnx.reference.ReferenceEvaluator``."""

    name = "onnx.reference"
    requires = ("onnx",)
    install = "pip install 'lstm-conformance[onnx]'"

    features = OnnxAdapter.features | {"float64", "float16"}
    batchwise = True

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """Runs a model in a new evaluator."""
        from onnx.reference import ReferenceEvaluator

        del case
        evaluator = ReferenceEvaluator(model)
        return dict(zip(evaluator.output_names, evaluator.run(None, dict(feeds)), strict=True))
