"""``MNN``: its converter of ONNX models and its modules, with the loop that the converter writes or one operator."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.onnx.common import Array, OnnxAdapter
from conformance.cases.case import Case


class Mnn(OnnxAdapter):
    """Drives ``mnnconvert`` and ``MNN.nn`` on the CPU; an LSTM becomes a While loop."""

    name = "MNN"
    requires = ("MNN", "onnx")
    install = "pip install 'lstm-conformance[mnn,onnx]'"
    own_process = True

    features = OnnxAdapter.features - {"peepholes", "lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        "lengths": 'mnnconvert: "MNN LSTM not support sequence_lens, all batch must be seq_length"',
        "peepholes": 'mnnconvert: "MNN LSTM not support 8th input (peepholes)"',
    }
    options: ClassVar[tuple[str, ...]] = ()
    """Of ``mnnconvert``."""

    def run(self, model: Any, feeds: Mapping[str, Array], case: Case) -> Mapping[str, Array]:
        """Converts a model by way of files, as the converter wants it, and runs it."""
        # MNN.tools.mnnconvert calls no more than this, but runs pip when it is imported.
        import _tools
        import MNN.expr
        import MNN.nn

        del case
        names = [output.name for output in model.graph.output]
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "model.onnx"), Path(folder, "model.mnn")
            source.write_bytes(model.SerializeToString())
            files = ("--modelFile", str(source), "--MNNModel", str(target))
            _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "lstm", *self.options])
            if not target.exists():
                raise RuntimeError("mnnconvert does not convert this model")
            module = MNN.nn.load_module_from_file(str(target), list(feeds), names)
        kinds = {np.dtype(np.float32): MNN.expr.float, np.dtype(np.int32): MNN.expr.int}
        inputs = [
            MNN.expr.const(array, array.shape, MNN.expr.NCHW, kinds[array.dtype]) for array in feeds.values()
        ]  # fmt: skip
        # What read() gives lives no longer than the module.
        return {name: np.array(output.read()) for name, output in zip(names, module.forward(inputs), strict=True)}

    def describe(self) -> dict[str, str]:
        """Versions, threads, and how models are converted."""
        import MNN

        command = " ".join(["mnnconvert -f ONNX", *self.options])
        return super().describe() | {"MNN": MNN.version(), "threads": "1", "converted": command}


class MnnOrigin(Mnn):
    """The same with MNN's LSTM operator."""

    name = "MNN[useOriginRNNImpl]"
    options = ("--useOriginRNNImpl",)
