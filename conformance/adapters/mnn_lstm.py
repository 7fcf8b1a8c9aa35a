"""``MNN``: its converter of ONNX models and its modules."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters._onnx import Array, OnnxAdapter
from conformance.case import Case


class Mnn(OnnxAdapter):
    """Drives ``mnnconvert`` and ``MNN.nn`` on the CPU."""

    name = "MNN"
    requires = ("MNN", "onnx")
    install = "pip install 'lstm-conformance[mnn,onnx]'"
    own_process = True
    options = ()

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """Converts and runs a model."""
        import _tools
        import MNN.expr
        import MNN.nn

        names = [output.name for output in model.graph.output]
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "model.onnx"), Path(folder, "model.mnn")
            source.write_bytes(model.SerializeToString())
            files = ["--modelFile", str(source), "--MNNModel", str(target)]
            _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "x", *self.options])
            module = MNN.nn.load_module_from_file(str(target), list(feeds), names)
        inputs = [
            MNN.expr.const(array, array.shape, MNN.expr.NCHW, MNN.expr.int if array.dtype == np.int32 else MNN.expr.float)
            for array in feeds.values()
        ]
        return {name: np.array(output.read()) for name, output in zip(names, module.forward(inputs), strict=True)}

class Orig(Mnn):
    options=("--useOriginRNNImpl",)
