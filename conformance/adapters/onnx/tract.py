"""Adapter for tract, an inference engine in Rust."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from conformance.adapters.onnx.common import Array, OnnxAdapter, Run
from conformance.cases.case import Case


class Tract(OnnxAdapter):
    """Drives ``tract.onnx()`` on the CPU, with the model optimized as ``into_runnable`` does."""

    name = "tract"
    requires = ("tract", "onnx")
    install = "pip install 'lstm-conformance[tract]'"
    own_process = True

    features = OnnxAdapter.features - {"lengths"} | {"float16", "one state given"}
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        "lengths": 'tract: "seq_len only supported for trivial noop case", for the input sequence_lens',
        "float64": 'tract: "LstmEpilogue only supports f32 and f16 preactivations"',
    }

    def load(self, model: Any, case: Case) -> Run:
        """Loads a model from a file, the only way that tract offers."""
        import tract

        del case
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.onnx")
            path.write_bytes(model.SerializeToString())
            inference = tract.onnx().load(path)
        runnable = inference.into_model().into_runnable()
        inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            results = runnable.run([feeds[name] for name in inputs])
            return {name: result.to_numpy() for name, result in zip(outputs, results, strict=True)}

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions and how models are prepared."""
        import tract

        return super().describe() | {"tract": tract.version(), "optimized": "by into_runnable"}
