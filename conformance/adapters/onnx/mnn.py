"""Adapters for MNN. Its converter turns an ONNX LSTM into a While loop or into MNN's LSTM operator."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.onnx.common import Array, OnnxAdapter, Run
from conformance.adapters.origin import ReportedError
from conformance.cases.case import Case


class Mnn(OnnxAdapter):
    """Drives ``mnnconvert`` and ``MNN.nn`` on the CPU. The converter turns an LSTM into a While loop."""

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
    """Additional command-line options of ``mnnconvert``."""

    def load(self, model: Any, case: Case) -> Run:
        """Converts a model through temporary files, which the converter requires, and loads it."""
        # MNN.tools.mnnconvert only wraps this module, but runs pip when it is imported.
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
                raise RuntimeError("mnnconvert cannot convert this model")
            module = MNN.nn.load_module_from_file(str(target), [value.name for value in model.graph.input], names)
        kinds = {"float32": MNN.expr.float, "float64": MNN.expr.double}

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            inputs = [
                MNN.expr.const(array, array.shape, MNN.expr.NCHW, kinds[array.dtype.name]) for array in feeds.values()
            ]  # fmt: skip
            outputs = module.forward(inputs)
            if not outputs:
                raise ReportedError("MNN's module returns no outputs")
            return {name: _read(name, output) for name, output in zip(names, outputs, strict=True)}

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions, threads, and the command that converts the models."""
        import MNN

        command = " ".join(["mnnconvert -f ONNX", *self.options])
        return super().describe() | {"MNN": MNN.version(), "threads": "1", "converted": command}


def _read(name: str, output: Any) -> Array:
    """Copies an output. The memory that MNN returns is freed with the module."""
    try:
        return np.array(output.read())
    except SystemError as error:
        raise ReportedError(f"MNN cannot read {name}") from error


class MnnOrigin(Mnn):
    """Drives MNN with the converter's option that keeps the LSTM as one operator."""

    name = "MNN[useOriginRNNImpl]"
    options = ("--useOriginRNNImpl",)
