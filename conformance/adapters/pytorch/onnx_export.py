"""``torch.onnx.export`` of ``torch.nn.LSTM`` by both exporters, run on ONNX Runtime."""

import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Set
from typing import Any, ClassVar

from conformance.adapters import graph, models
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import NO_EMPTY_SEQUENCE, refuse_graph
from conformance.adapters.pytorch.module import build_module, load_parameters
from conformance.cases.case import Case
from conformance.cases.uses import is_time_dynamic
from conformance.verdict.problem import Problem

OUTPUTS = ("output", "h_n", "c_n")


class TorchOnnx(Adapter):
    """Base of both exporters' adapters: exports a module with the problem's weights and runs it on ONNX Runtime."""

    install = "pip install 'lstm-conformance[torch,onnx]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "dropout", "no bias", "unbatched", "batch first", "state omitted", "float32",
         "float16", "other threads"}
    ) | models.USES | graph.USES | models.ARGUMENTS - {"empty sequence"}  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
        "gradients": "onnxruntime has no gradients",
        "one state given": "torch.nn.LSTM takes h_0 and c_0 together",
        "empty sequence": NO_EMPTY_SEQUENCE,
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses active dropout, since export is in eval mode, rows of length 0, and pieces without states."""
        if case.drops:
            return "torch.onnx.export exports in eval mode, where dropout is inactive"
        if isinstance(case.lengths, tuple) and min(case.lengths) == 0:
            return "pack_padded_sequence refuses lengths of 0"
        return super().supports(case) or models.refuse(case) or refuse_graph(case)

    def solve(self, problem: Problem) -> Solution:
        """Exports the module with arrays of the built shape as example inputs, then runs the model."""
        import torch

        case = problem.case
        lstm = build_module(case, case.dtype)
        load_parameters(lstm, case, _torch.to_tensors(problem.parameters, case.dtype))
        built = _torch.to_arguments(models.built_problem(problem), case.dtype)
        if "lengths" in built:
            built["lengths"] = torch.from_numpy(built["lengths"])
        axes = models.dynamic_axes(case, [*built, *OUTPUTS])
        with torch.no_grad(), warnings.catch_warnings():
            # For every LSTM, torch warns about its deprecated exporter, constants in the trace and fixed batch sizes.
            warnings.simplefilter("ignore")
            exported = self.export(_wrap(lstm, case).eval(), built, axes)
        return models.run(problem, _onnxruntime.load(exported, case.saved))

    @abstractmethod
    def export(self, module: Any, inputs: Mapping[str, Any], axes: Mapping[str, Mapping[int, str]]) -> bytes:
        """Exports a module.

        Args:
            module: module that takes tensors only.
            inputs: example inputs by name.
            axes: names of the dynamic axes of each input and output.

        Returns:
            The serialized ONNX model.
        """

    def describe(self) -> dict[str, str]:
        """Returns versions, and how the module is exported."""
        import torch

        export = {"export": "in eval mode, weights as initializers, shapes static unless calls differ in them"}
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

    def supports(self, case: Case) -> str | None:
        """Also refuses a dynamic time axis. torch.export does so unless the example has a single step."""
        if is_time_dynamic(case) and (case.built_seq_len or case.seq_len) > 1:
            return 'torch.export with a dynamic time axis: "tracing inferred a static shape"'
        return super().supports(case)

    def export(self, module: Any, inputs: Mapping[str, Any], axes: Mapping[str, Mapping[int, str]]) -> bytes:
        """Exports by ``torch.export``."""
        import torch

        first, *rest = (dict.fromkeys(axes[name], torch.export.Dim.DYNAMIC) for name in inputs)
        shapes: dict[str, Any] = {"sequence": first, **({"rest": tuple(rest)} if rest else {})}
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            verbose=False,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
            dynamic_shapes=shapes if any(axes.values()) else None,
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

    def export(self, module: Any, inputs: Mapping[str, Any], axes: Mapping[str, Mapping[int, str]]) -> bytes:
        """Exports by TorchScript tracing."""
        import torch

        file = io.BytesIO()
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            file,
            dynamo=False,
            verbose=False,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
            dynamic_axes=axes,
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
            steps = sequence.shape[1 if case.batch_first else 0]
            output, _ = pad_packed_sequence(packed, batch_first=case.batch_first, total_length=steps)
            return output, h_n, c_n

    return Exported()
