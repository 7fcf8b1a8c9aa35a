"""Adapter for ``opencv.dnn``: OpenCV's ONNX importer and LSTM layer."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.onnx.common import Array, OnnxAdapter, Run
from conformance.cases.case import Case


class OpenCvDnn(OnnxAdapter):
    """Drives ``cv2.dnn.readNetFromONNX``."""

    name = "opencv.dnn"
    requires = ("cv2", "onnx")
    install = "pip install 'lstm-conformance[opencv,onnx]'"
    own_process = True

    features = OnnxAdapter.features - {"activations", "activations per direction"}
    lacks: ClassVar[Mapping[str, str]] = {
        **OnnxAdapter.lacks,
        "activations": 'OpenCV: "Activation function [Relu] for layer LSTM is not supported", nor is any other',
    }

    def load(self, model: Any, case: Case) -> Run:
        """Imports a model, from a file if the case says so."""
        import cv2

        source: Any = np.frombuffer(model.SerializeToString(), np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            if case.saved:
                path = Path(folder, "model.onnx")
                path.write_bytes(source)
                source = str(path)
            net = cv2.dnn.readNetFromONNX(source)
        names = [output.name for output in model.graph.output]

        def run(feeds: Mapping[str, Array]) -> Mapping[str, Array]:
            for name, array in feeds.items():
                net.setInput(array, name)
            return {name: array.copy() for name, array in zip(names, net.forward(names), strict=True)}

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions and threads."""
        import cv2

        return super().describe() | {"opencv": cv2.__version__, "threads": str(cv2.getNumThreads())}
