"""``torch.onnx.export`` of ``torch.nn.LSTM``, by both exporters, run by onnxruntime."""

import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import module_for
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

OUTPUTS = ("output", "h_n", "c_n")


class TorchOnnx(Adapter):
    """An exporter, and onnxruntime for what it exports. A problem's weights are exported with the module."""

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
        """What can be exported of ``torch.nn.LSTM``, which is exported in eval mode: dropout is gone."""
        if case.drops:
            return "torch.onnx.export exports inference, where nothing is dropped"
        if isinstance(case.lengths, tuple) and min(case.lengths) == 0:
            return "pack_padded_sequence refuses lengths of 0"
        return super().supports(case)

    def solve(self, problem: Problem) -> Solution:
        """Exports the module with the problem's arrays as example inputs, and runs it on them."""
        import torch

        case = problem.case
        lstm = module_for(case, case.dtype)
        lstm.load_state_dict(_torch.to_tensors(problem.parameters, case.dtype))
        given = _torch.to_tensors({"input": problem.input, **(problem.initial_state or {})}, case.dtype)
        if problem.lengths is not None:
            given["lengths"] = torch.from_numpy(problem.lengths.copy())
        with torch.no_grad(), warnings.catch_warnings():
            # Of its own deprecation, of constants in the trace, of fixed batches: of every LSTM, whatever its options.
            warnings.simplefilter("ignore")
            exported = self.export(_module(lstm, case).eval(), list(given.values()), list(given))
        outputs = _onnxruntime.run(exported, {name: tensor.numpy() for name, tensor in given.items()})
        return {name: outputs[name] for name in problem.expected_shapes()}

    @abstractmethod
    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """The module as an ONNX model with inputs of those names."""

    def describe(self) -> dict[str, str]:
        """Versions, and what is exported."""
        import torch

        export = {"export": "in eval mode, weights as initializers, all shapes static"}
        return {"torch": torch.__version__} | _onnxruntime.describe() | export


class TorchOnnxDynamo(TorchOnnx):
    """``torch.onnx.export(dynamo=True)``, which decomposes the module into a layer's LSTM nodes; a second for each."""

    name = "torch.onnx.export[dynamo]"
    requires = ("torch", "onnxscript", "onnxruntime", "onnx")
    default_tag = "core"

    features = TorchOnnx.features | {"projection"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchOnnx.lacks,
        "lengths": "torch.export cannot export pack_padded_sequence",
    }

    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """By torch.export."""
        import torch

        program = torch.onnx.export(
            module, tuple(inputs), dynamo=True, verbose=False, input_names=names, output_names=OUTPUTS
        )
        return program.model_proto.SerializeToString()  # type: ignore[no-any-return]


class TorchOnnxLegacy(TorchOnnx):
    """``torch.onnx.export(dynamo=False)``, which traces the module; packed sequences become ``sequence_lens``."""

    name = "torch.onnx.export[legacy]"
    requires = ("torch", "onnxruntime", "onnx")

    features = TorchOnnx.features | {"lengths"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchOnnx.lacks,
        "projection": "torch.onnx.export(dynamo=False) refuses LSTMs with projections",
    }

    def export(self, module: Any, inputs: Sequence[Any], names: Sequence[str]) -> bytes:
        """By TorchScript's tracing."""
        import torch

        file = io.BytesIO()
        torch.onnx.export(
            module, tuple(inputs), file, dynamo=False, verbose=False, input_names=names, output_names=OUTPUTS
        )
        return file.getvalue()


def _module(lstm: Any, case: Case) -> Any:
    """A module around the LSTM with tensors alone for arguments, as exporters want them; it packs where it must."""
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
