"""Adapter for ``tinygrad.nn.LSTMCell``, looped over layers, directions and time."""

import shutil
from collections.abc import Mapping, Set
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout, layer_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model


class TinygradLSTMCell(Adapter):
    """Drives ``tinygrad.nn.LSTMCell`` in a loop over time per layer and direction, compiled as a whole."""

    name = "tinygrad.nn.LSTMCell"
    requires = ("tinygrad",)
    install = "pip install 'lstm-conformance[tinygrad]', and clang"
    default_tag = "core"
    own_process = True  # tinygrad starts compiler processes.

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "no bias", "batch first", "state omitted",
         "gradients", "float64", "float32", "float16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "tinygrad.nn.LSTMCell processes one time step and has no lengths",
        "bfloat16": "tinygrad on the CPU supports bfloat16 only with a clang that supports __bf16 on this processor",
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Refuses options that a loop over one cell lacks, and every case if clang is not installed."""
        reason = super().supports(case)
        return reason or (None if shutil.which("clang") else "tinygrad needs the compiler clang, which is not on PATH")

    def solve(self, problem: Problem) -> Solution:
        """Loops over layers, directions and time, and computes outputs and gradients together."""
        from tinygrad import Tensor, dtypes

        case = problem.case
        dtype = getattr(dtypes, case.dtype)

        def tensors(given: Mapping[str, Any]) -> dict[str, Any]:
            return {name: Tensor(array.copy(), dtype=dtype).realize() for name, array in given.items()}

        leaves = tensors({"input": problem.input, **(problem.initial_state or {}), **problem.parameters})
        results = _run(case, leaves)
        if "gradients" in case.check:
            cotangents = tensors({name: problem.cotangents[name] for name in results})
            total = sum(((results[name] * cotangents[name]).sum() for name in results), Tensor(0.0, dtype=dtype))
            gradients = total.gradient(*leaves.values())
            results |= {f"grad.{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
        wanted = {name: results[name] for name in problem.expected_shapes()}
        Tensor.realize(*wanted.values())
        return {name: np.array(tensor.numpy(), order="C") for name, tensor in wanted.items()}

    def describe(self) -> dict[str, str]:
        """Returns the version, device, and how the cell is applied to a sequence."""
        from tinygrad import Device

        return {
            "tinygrad": version("tinygrad"),
            "device": Device.DEFAULT if shutil.which("clang") else "none",  # Without a compiler, tinygrad raises.
            "stacked": "one cell per layer and direction, in a Python loop over time",
            "gradients": "Tensor.gradient of the sum of all outputs, each times its cotangent",
        }


@lru_cache(maxsize=64)
def _cell(input_size: int, hidden_size: int, bias: bool) -> Any:
    from tinygrad.nn import LSTMCell

    return LSTMCell(input_size, hidden_size, bias)


def _run(case: Case, leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Returns output and final states of the stack as lazy tensors."""
    from tinygrad import Tensor

    model: Model = case.model
    axis = 1 if case.batch_first else 0
    steps = [leaves["input"][:, t] if axis else leaves["input"][t] for t in range(case.seq_len)]
    finals: list[list[Any]] = []
    for layer, size in enumerate(model.hidden_sizes):
        halves: list[list[Any]] = []
        ends: list[Any] = []
        for direction, suffix in enumerate(model.suffixes):
            cell = _cell(model.layer_input_size(layer), size, model.bias)
            for role, tensor in layer_parameters(leaves, f"l{layer}{suffix}").items():
                setattr(cell, role, tensor)
            names = ("h_0", "c_0")
            given = case.gives_state
            state: Any = tuple(model.state(leaves, name, layer, direction) for name in names) if given else None
            outputs = []
            for step in reversed(steps) if suffix else steps:
                state = cell(step, state)
                outputs.append(state[0])
            halves.append(outputs[::-1] if suffix else outputs)
            ends.append(state)
        steps = [Tensor.cat(*parts, dim=-1) for parts in zip(*halves, strict=True)]
        finals.append(ends)
    results = {"output": Tensor.stack(*steps, dim=axis)}
    for position, name in enumerate(("h_n", "c_n")):
        if model.is_uniform:
            results[name] = Tensor.stack(*(end[position] for ends in finals for end in ends))
        else:
            for layer, ends in enumerate(finals):
                results[f"{name}_l{layer}"] = Tensor.stack(*(end[position] for end in ends))
    return results
