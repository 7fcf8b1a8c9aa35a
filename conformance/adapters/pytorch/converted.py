"""``torch.nn.LSTM``, converted by other frameworks' converters and run by their engines."""

import contextlib
import io
import tempfile
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence, Set
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import graph, models, uses
from conformance.adapters.adapter import ELSEWHERE, ONLY_IF_NAMED, Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.onnx.common import Array
from conformance.adapters.openvino import common as _openvino
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.module import build_module, load_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

Engine = Callable[[Sequence[Array]], Sequence[Any]]
"""Function from the input and, if given, h_0 and c_0 to the output, h_n and c_n."""

_DYNAMIC = models.BUILT | {"chunks", "after other lengths", "after other batches", "rows alone"}
"""Uses in which calls differ in their sizes."""
_ARGUMENTS = models.ARGUMENTS - {"empty sequence", "empty batch", "wrong lengths"}


class TorchConverted(Adapter):
    """Base of the converters' adapters: builds a module with the problem's weights, converts it and runs it."""

    install = ELSEWHERE
    default_tag = "core"
    own_process = True
    path: ClassVar[str]
    """Calls that lead from the module to the results."""

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "projection", "dropout", "no bias", "unbatched", "batch first", "state omitted",
         "float32"}
    ) | graph.USES | (models.USES - _DYNAMIC) | _ARGUMENTS  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "the converters do not accept packed sequences",
        "gradients": "the module is converted for inference",
        "one state given": "torch.nn.LSTM takes h_0 and c_0 together",
        **dict.fromkeys(_DYNAMIC, "the module is converted for fixed sizes: torch.export refuses a dynamic time axis"),
        **dict.fromkeys(("empty sequence", "empty batch"), "torch.nn.LSTM cannot be converted without steps or rows"),
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses active dropout, and pieces without initial states."""
        if case.drops:
            return "the module is converted for inference, where dropout is inactive"
        return super().supports(case) or models.refuse(case)

    def solve(self, problem: Problem) -> Solution:
        """Converts a module whose outputs are a flat tuple, and runs the result as the case says."""
        import torch

        case = problem.case
        module = build_module(case, case.dtype).eval()
        load_parameters(module, case, _torch.to_tensors(problem.parameters, case.dtype))
        examples = _torch.to_tensors(uses.arguments(models.built_problem(problem)), case.dtype)
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # Converters use functions that torch deprecates.
            warnings.simplefilter("ignore")
            engine = self.convert(module, tuple(examples.values()), case)

            def call(given: uses.Named) -> uses.Named:
                outputs = engine(list(given.values()))
                return {
                    name: np.array(array, order="C")
                    for name, array in zip(("output", "h_n", "c_n"), outputs, strict=True)
                }

            return models.run(problem, call)

    @abstractmethod
    def convert(self, module: Any, inputs: tuple[Any, ...], case: Case) -> Engine:
        """Converts a module.

        Args:
            module: the LSTM, in evaluation mode.
            inputs: example inputs, as tensors.
            case: the case.
        """

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and the path from the module to the results."""
        converter = self.requires[0].replace("_", "-")
        return {converter: version(converter), "torch": version("torch"), "device": "cpu", "path": self.path}


class OpenVinoTorch(TorchConverted):
    """Drives ``openvino.convert_model`` with a module that it traces."""

    name = "openvino[torch]"
    requires = ("openvino", "torch")
    install = "pip install 'lstm-conformance[openvino,torch]'"
    path = "openvino.convert_model(module, example_input=…), which traces it, and the CPU plug-in"
    features = (TorchConverted.features - {"projection", "wrong dtype"}) | {"float64", "float16"} | _DYNAMIC
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchConverted.lacks,
        "projection": "openvino.convert_model raises OpConversionFailure for a traced LSTM with projections",
        "wrong dtype": 'OpenVINO casts inputs: "up- or down-casting according to data type"',
        "bfloat16": "a converted bfloat16 module takes bfloat16 inputs, which NumPy lacks",
    }

    def convert(self, module: Any, inputs: tuple[Any, ...], case: Case) -> Engine:
        """Converts by TorchScript tracing. The results are computed in the precision of the case."""
        import openvino

        model = openvino.convert_model(self.prepare(module, inputs), example_input=inputs)
        return _openvino.load(_openvino.save_and_read(model) if case.saved else model, case.dtype)

    def prepare(self, module: Any, inputs: tuple[Any, ...]) -> Any:
        """Returns what ``convert_model`` reads: the module itself, which takes the states as a tuple."""
        del inputs
        return _flat(module)


class OpenVinoTorchExport(OpenVinoTorch):
    """Drives ``openvino.convert_model`` with a program of ``torch.export``."""

    name = "openvino[torch.export]"
    default_tag = ONLY_IF_NAMED
    path = "openvino.convert_model(torch.export.export(module, …)), and the CPU plug-in"
    features = (OpenVinoTorch.features - _DYNAMIC) | {"projection"}

    def prepare(self, module: Any, inputs: tuple[Any, ...]) -> Any:
        """Returns the exported program."""
        return _exported(module, inputs)


class ExecuTorchPortable(TorchConverted):
    """Drives ExecuTorch with its portable kernels."""

    name = "executorch[portable]"
    requires = ("executorch", "torch")
    path = "torch.export.export, to_edge_transform_and_lower without partitioner, to_executorch, Runtime"

    def convert(self, module: Any, inputs: tuple[Any, ...], case: Case) -> Engine:
        """Lowers the exported program and loads it into the runtime."""
        import torch
        from executorch.exir import to_edge_transform_and_lower
        from executorch.runtime import Runtime

        edge = to_edge_transform_and_lower(_exported(module, inputs), partitioner=self.partitioners())
        lowered = edge.to_executorch()
        source: bytes | Path = lowered.buffer
        folder = tempfile.TemporaryDirectory() if case.saved else None
        if folder:
            source = Path(folder.name, "model.pte")
            source.write_bytes(lowered.buffer)
        program = Runtime.get().load_program(source)

        def run(arrays: Sequence[Array]) -> Sequence[Any]:
            # The method reads the buffer or the file, which must outlive it.
            assert lowered is not None
            assert folder or not case.saved
            method = program.load_method("forward")
            outputs = method.execute([torch.from_numpy(array.copy()) for array in arrays])
            return [output.numpy().copy() for output in outputs]

        return run

    def partitioners(self) -> list[Any]:
        """Returns the partitioners that assign operations to a delegate."""
        return []


class ExecuTorchXnnpack(ExecuTorchPortable):
    """Drives ExecuTorch with the operations that XNNPACK has delegated to it."""

    name = "executorch[xnnpack]"
    path = "torch.export.export, to_edge_transform_and_lower with XnnpackPartitioner, to_executorch, Runtime"

    def partitioners(self) -> list[Any]:
        """Returns the partitioner for XNNPACK."""
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

        return [XnnpackPartitioner()]


class LiteRTTorch(TorchConverted):
    """Drives ``litert_torch.convert``, whose result runs in LiteRT's interpreter."""

    name = "litert_torch"
    requires = ("litert_torch", "torch")
    path = "litert_torch.convert(module, …), and its interpreter with XNNPACK"

    def convert(self, module: Any, inputs: tuple[Any, ...], case: Case) -> Engine:
        """Converts the module to a LiteRT model."""
        import litert_torch

        model = litert_torch.convert(_flat(module), inputs)
        if case.saved:
            with tempfile.TemporaryDirectory() as folder:
                model.export(f"{folder}/model.tflite")
                model = litert_torch.load(f"{folder}/model.tflite")
        return lambda arrays: model(*arrays)


def _exported(module: Any, inputs: tuple[Any, ...]) -> Any:
    """Returns the module as a program of ``torch.export``."""
    import torch

    return torch.export.export(_flat(module), inputs)


def _flat(lstm: Any) -> Any:
    """Wraps an LSTM in a module that takes tensors, and returns output, h_n and c_n."""
    import torch

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, sequence: Any, *states: Any) -> Any:
            output, (h_n, c_n) = self.lstm(sequence, states or None)
            return output, h_n, c_n

    return Flat().eval()
