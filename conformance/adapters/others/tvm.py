"""Adapter for ``torch.nn.LSTM``, exported by ``torch.export`` and compiled by TVM's Relax."""

import warnings
from collections.abc import Mapping, Set
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import graph
from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import build_module, load_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TvmRelax(Adapter):
    """Drives Relax's virtual machine on the CPU. It exports and compiles each problem, which takes seconds."""

    name = "tvm.relax[torch.export]"
    requires = ("tvm", "torch")
    install = ELSEWHERE
    default_tag = "core"
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "projection", "dropout", "no bias", "unbatched", "batch first", "state omitted",
         "float64", "float32"}
    ) | graph.USES  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {"lengths": "torch.export does not accept packed sequences"}
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Refuses lengths, active dropout, and options that torch.nn.LSTM lacks."""
        return super().supports(case) or (
            "the module is exported for inference, where dropout is inactive" if case.drops else None
        )

    def solve(self, problem: Problem) -> Solution:
        """Exports a module with the problem's parameters, compiles it and runs it."""
        tvm = _tvm()
        from tvm import relax

        state = [array.copy() for array in (problem.initial_state or {}).values()]
        given = [problem.input.copy(), *state]
        machine = relax.VirtualMachine(tvm.compile(_exported(problem), "llvm"), tvm.cpu())
        outputs = machine["main"](*(tvm.runtime.tensor(array) for array in given))
        results = dict(zip(("output", "h_n", "c_n"), outputs, strict=True))
        return {name: np.array(results[name].numpy(), order="C") for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, target, and the path from a module to compiled code."""
        return {
            "tvm": _tvm().__version__,
            "torch": _torch.describe()["torch"],
            "target": "llvm",
            "path": "torch.export.export, relax.frontend.torch.from_exported_program, tvm.compile",
            "parameters": "constants of the exported program",
        }


def _tvm() -> Any:
    """Imports TVM and suppresses its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tvm
    return tvm


def _exported(problem: Problem) -> Any:
    """Returns the problem's LSTM as a Relax module."""
    import torch
    from tvm.relax.frontend.torch import from_exported_program

    case: Case = problem.case
    module = build_module(case, case.dtype).eval()
    load_parameters(module, case, _torch.to_tensors(problem.parameters, case.dtype))
    inputs = _torch.to_tensors({"input": problem.input}, case.dtype)["input"]
    state = tuple(_torch.to_tensors(problem.initial_state or {}, case.dtype).values())
    with torch.no_grad(), _torch.quietly():
        exported = torch.export.export(module, (inputs, state) if state else (inputs,))
        return from_exported_program(exported)
