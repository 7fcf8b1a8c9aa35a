"""``paddle2onnx.export`` of ``paddle.nn.LSTM``, run on ONNX Runtime."""

import io
import tempfile
import warnings
from collections.abc import Mapping, Set
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from conformance.adapters import models
from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.layout import PADDLE, Layout
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.others.paddle import PaddleLSTM, build_layer, import_paddle, set_parameters
from conformance.adapters.others.paddle_jit import input_specifications
from conformance.cases.case import Case
from conformance.cases.uses import RESULTS
from conformance.verdict.problem import Problem
from reference import Dialect


class Paddle2Onnx(Adapter):
    """Drives ``paddle2onnx.export`` with a saved ``paddle.nn.LSTM``, whose ONNX model runs on ONNX Runtime."""

    name = "paddle2onnx"
    requires = ("paddle2onnx", "paddle", "onnxruntime", "onnx")
    install = ELSEWHERE
    default_tag = "core"
    own_process = True

    features: ClassVar[Set[str]] = (
        frozenset(
            {"layers", "bidirectional", "lengths", "dropout", "no bias", "batch first", "state omitted", "float32"}
        )
        | models.USES
        | models.ARGUMENTS - {"empty sequence", "empty batch"}
    )
    lacks: ClassVar[Mapping[str, str]] = {
        **PaddleLSTM.lacks,
        "float64": _onnxruntime.NO_DOUBLE,
        "gradients": "onnxruntime has no gradients",
        "projection": 'paddle2onnx: "Due to the unsupported operators, the conversion is aborted"',
        **dict.fromkeys(("empty sequence", "empty batch"), "paddle2onnx writes a Reshape that infers an axis of 0"),
    }
    layout: ClassVar[Layout] = PADDLE

    def supports(self, case: Case) -> str | None:
        """Also refuses active dropout, and pieces without initial states."""
        if case.drops:
            return "the layer is converted for inference, where dropout is inactive"
        return super().supports(case) or models.refuse(case)

    def solve(self, problem: Problem) -> Solution:
        """Saves the layer as a program, converts it, and runs the ONNX model."""
        layer, cells = build_layer(problem.case)
        set_parameters(cells, problem)
        run = _onnxruntime.load(_export(layer.eval(), input_specifications(problem)), problem.case.saved)
        return models.run(problem, lambda named: dict(zip(RESULTS, run(named).values(), strict=True)))

    def describe(self) -> dict[str, str]:
        """Returns versions, and how the layer is converted."""
        path = "paddle.jit.to_static, paddle.jit.save and paddle2onnx.export with its defaults, run on onnxruntime"
        versions = {"paddle2onnx": version("paddle2onnx"), "paddle": import_paddle().__version__}
        return versions | _onnxruntime.describe() | {"path": path}

    def dialect(self, case: Case) -> Dialect:
        """Declares zero output at padded steps, as for ``paddle.nn.LSTM``."""
        return PaddleLSTM().dialect(case)


def _export(layer: Any, specifications: Mapping[str, Any]) -> bytes:
    """Converts a layer to a serialized ONNX model that has the specified inputs."""
    paddle = import_paddle()
    import paddle2onnx

    base: Any = paddle.nn.Layer

    class Flat(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = layer

        def forward(self, sequence: Any, h_0: Any, c_0: Any, lengths: Any) -> Any:
            output, (h_n, c_n) = self.lstm(sequence, None if h_0 is None else (h_0, c_0), lengths)
            return output, h_n, c_n

    inputs = [specifications.get(name) for name in ("input", "h_0", "c_0", "lengths")]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        static = paddle.jit.to_static(Flat().eval(), input_spec=inputs, full_graph=True)
        paddle.jit.save(static, f"{folder}/model")
        paddle2onnx.export(f"{folder}/model.json", f"{folder}/model.pdiparams", f"{folder}/model.onnx")
        return Path(folder, "model.onnx").read_bytes()
