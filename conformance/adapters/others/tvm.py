"""Adapter for ``torch.nn.LSTM``, exported by ``torch.export`` and compiled by TVM's Relax."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from conformance.adapters.onnx.common import Array
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.converted import Engine, TorchConverted
from conformance.cases.case import Case


class TvmRelax(TorchConverted):
    """Drives Relax's virtual machine on the CPU. It exports and compiles each problem, which takes seconds."""

    name = "tvm.relax[torch.export]"
    requires = ("tvm", "tvm_ffi", "torch")
    path = "torch.export.export, relax.frontend.torch.from_exported_program, tvm.compile"
    features = TorchConverted.features | {"float64"}
    lacks: ClassVar[Mapping[str, str]] = {
        **TorchConverted.lacks,
        "lengths": "torch.export does not accept packed sequences",
    }

    def convert(self, module: Any, inputs: tuple[Any, ...], case: Case) -> Engine:
        """Exports the module, imports it into Relax, and compiles it."""
        tvm = _tvm()
        import torch
        from tvm import relax
        from tvm.relax.frontend.torch import from_exported_program

        arguments = (inputs[0], inputs[1:]) if len(inputs) > 1 else inputs
        with _torch.quietly():
            executable = tvm.compile(from_exported_program(torch.export.export(module, arguments)), "llvm")
        if case.saved:
            with tempfile.TemporaryDirectory() as folder:
                executable.export_library(f"{folder}/lstm.so")
                executable = tvm.runtime.load_module(f"{folder}/lstm.so")
        machine = relax.VirtualMachine(executable, tvm.cpu())

        def run(arrays: Sequence[Array]) -> Sequence[Any]:
            return [output.numpy() for output in machine["main"](*(tvm.runtime.tensor(array) for array in arrays))]

        return run

    def describe(self) -> dict[str, str]:
        """Returns versions, target, and the path from a module to compiled code."""
        return {
            "tvm": _tvm().__version__,
            "torch": _torch.describe()["torch"],
            "target": "llvm",
            "path": self.path,
            "parameters": "constants of the exported program",
        }


def _tvm() -> Any:
    """Imports TVM and suppresses its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tvm
    return tvm
