"""``torch.onnx.export`` of ``torch.nn.LSTM`` by both exporters, run on ONNX Runtime."""

import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import build_module
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

OUTPUTS = ("output", "h_n", "c_n")


class TorchOnnx(Adapter):
    """Base of both exporters' adapters: exports a module with the problem's weights and runs it on ONNX Runtime."""

    install = "pip install 'lstm-conformance[torch,onnx]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "dropout", "no bias", "unbatched", "batch first", "state omitted", "float32",
         "float16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
        "gradients": "onnxruntime has no gradients",
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses active dropout, since export is in eval mode, and rows of length 0."""
        if case.drops:
            return "torch.onnx.export exports in eval mode, where dropout is inactive"
        if isinstance(case.lengths, tuple) and min(case.lengths) == 0:
            return "pack_padded_sequence refuses lengths of 0"
        return super().supports(case)

    def solve(self, problem: Problem) -> Solution:
        """Exports the module with the problem's arrays as example inputs, then runs the model on them."""
        import torch

        case = problem.case
        lstm = build_module(case, case.dtype)
        lstm.load_state_dict(_torch.to_tensors(problem.parameters, case.dtype))
        given = _torch.to_tensors({"input": problem.input, **(problem.initial_state or {})}, case.dtype)
        if problem.lengths is not None:
            given["lengths"] = torch.from_numpy(problem.lengths.copy())
        with torch.no_grad(), warnings.catch_warnings():
            # For every LSTM, torch warns about its deprecated exporter, constants in the trace and fixed batch sizes.
            warnings.simplefilter("ignore")
            exported = self.export(_wrap(lstm, case).eval(), list(given.values()), list(given))
        outputs = _onnxruntime.run(exported, {name: tensor.numpy() for name, tensor in given.items()})
        return {name: outputs[name] for name in problem.expected_shapes()}

    @abstractmethod
    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """Exports a module.

        Args:
            module: module that takes tensors only.
            inputs: example inputs.
            names: names of the model's inputs.

        Returns:
            The serialized ONNX model.
        """

    def describe(self) -> dict[str, str]:
        """Returns versions, and how the module is exported."""
        import torch

        export = {"export": "in eval mode, weights as initializers, all shapes static"}
        return {"torch": torch.__version__} | _onnxruntime.describe() | export


class TorchOnnxDynamo(TorchOnnx):
    """Drives ``torch.onnx.export(dynamo=True)``, which exports an LSTM node per layer and takes a second per case."""

    name = "torch.onnx.export[dynamo]"
    requires = ("torch", "onnxscript", "onnxruntime", "onnx")
    default_tag = "core"

    features = TorchOnnx.features | {"projection"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchOnnx.lacks,
        "lengths": "torch.export cannot export pack_padded_sequence",
    }

    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """Exports by ``torch.export``."""
        import torch

        program = torch.onnx.export(
            module, tuple(inputs), dynamo=True, verbose=False, input_names=names, output_names=OUTPUTS
        )
        return program.model_proto.SerializeToString()  # type: ignore[no-any-return]


class TorchOnnxLegacy(TorchOnnx):
    """Drives ``torch.onnx.export(dynamo=False)``, which traces the module and maps lengths to ``sequence_lens``."""

    name = "torch.onnx.export[legacy]"
    requires = ("torch", "onnxruntime", "onnx")

    features = TorchOnnx.features | {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchOnnx.lacks,
        "projection": "torch.onnx.export(dynamo=False) refuses LSTMs with projections",
    }

    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """Exports by TorchScript tracing."""
        import torch

        file = io.BytesIO()
        torch.onnx.export(
            module, tuple(inputs), file, dynamo=False, verbose=False, input_names=names, output_names=OUTPUTS
        )
        return file.getvalue()


def _wrap(lstm: Any, case: Case) -> Any:
    """Wraps an LSTM in a module that takes tensors only, as exporters require, and packs sequences itself."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    class Exported(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, sequence: Any, *rest: Any) -> Any:
            *state, lengths = rest if case.lengths is not None else (*rest, None)
            states = tuple(state) or None
            if lengths is None:
                output, (h_n, c_n) = self.lstm(sequence, states)
                return output, h_n, c_n
            packed = pack_padded_sequence(sequence, lengths, batch_first=case.batch_first, enforce_sorted=False)
            packed, (h_n, c_n) = self.lstm(packed, states)
            output, _ = pad_packed_sequence(packed, batch_first=case.batch_first, total_length=case.seq_len)
            return output, h_n, c_n

    return Exported()
