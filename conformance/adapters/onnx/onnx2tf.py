"""Adapter for onnx2tf, which converts ONNX models for TensorFlow and LiteRT."""

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from typing import Any, ClassVar

from conformance.adapters.adapter import ELSEWHERE, Adapter
from conformance.adapters.onnx.common import USES, Array, OnnxAdapter, Run
from conformance.cases.case import Case


class Onnx2Tf(OnnxAdapter):
    """Drives ``onnx2tf.convert`` and runs the Keras model that it returns, from which it also makes LiteRT models."""

    name = "onnx2tf"
    requires = ("onnx2tf", "tensorflow", "onnx")
    install = ELSEWHERE
    default_tag = "core"
    own_process = True

    features = OnnxAdapter.features - USES
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        "float64": "onnx2tf writes models in float32 and float16",
        "float16": "onnx2tf makes a float16 model of a float32 one",
    }

    def supports(self, case: Case) -> str | None:
        """Does not try the activations of a case: onnx2tf has all of them."""
        return Adapter.supports(self, case)

    def load(self, model: Any, case: Case) -> Run:
        """Converts a model, whose inputs keep the order of their axes."""
        del case
        import onnx
        import onnx2tf

        inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
        output, errors = redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO())
        with warnings.catch_warnings(), output, errors:
            warnings.simplefilter("ignore")
            converted = onnx2tf.convert(
                onnx_graph=onnx.shape_inference.infer_shapes(model, data_prop=True),
                not_use_onnxsim=True,
                keep_shape_absolutely_input_names=inputs,
                disable_model_save=True,
                non_verbose=True,
            )

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            results = converted([feeds[name] for name in converted.input_names])
            return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions, and how models are converted."""
        packages = {name: version(name) for name in ("onnx2tf", "tensorflow", "tf-keras")}
        how = "without onnxsim, whose part onnx.shape_inference does; the Keras model is run eagerly"
        return super().describe() | packages | {"converted": how}
