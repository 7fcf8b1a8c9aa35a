"""Adapter for ``tinygrad.nn.LSTMCell``, looped over layers, directions and time."""

import shutil
from collections.abc import Mapping, Set
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
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
         "gradients", "float64", "float32", "float16", "partial loss", "frozen", "chunks", "repeated call",
         "after other lengths", "after other batches", "after an error", "rows alone", "rows permuted"}
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
        """Makes the earlier calls, runs the cells as the case says, and computes outputs and gradients together."""
        make_earlier_calls(problem, _solve)
        results = _solve(problem, "gradients" in problem.case.check)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns the version, device, and how the cell is applied to a sequence."""
        from tinygrad import Device

        return {
            "tinygrad": version("tinygrad"),
            "device": Device.DEFAULT if shutil.which("clang") else "none",  # Without a compiler, tinygrad raises.
            "stacked": "one cell per layer and direction, in a Python loop over time",
            "gradients": "Tensor.gradient of the sum of all outputs, each times its cotangent",
        }


def _solve(problem: Problem, differentiates: bool) -> dict[str, Any]:
    """Returns the results of a problem, and the gradients if asked to, by their canonical names."""
    from tinygrad import Tensor, dtypes

    case = problem.case
    dtype = getattr(dtypes, case.dtype)

    def tensors(given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: Tensor(array.copy(), dtype=dtype).realize() for name, array in given.items()}

    given, parameters = tensors(uses.arguments(problem)), tensors(problem.parameters)
    results = uses.run(
        case, lambda one: _run(case, parameters, one), given, lambda parts, axis: Tensor.cat(*parts, dim=axis)
    )
    if differentiates:
        leaves = {name: tensor for name, tensor in (given | parameters).items() if name not in case.frozen}
        cotangents = tensors(problem.cotangents)
        products = ((results[name] * cotangent).sum() for name, cotangent in cotangents.items())
        gradients = sum(products, Tensor(0.0, dtype=dtype)).gradient(*leaves.values())
        results |= {f"grad.{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    Tensor.realize(*results.values())
    return {name: np.array(tensor.numpy(), order="C") for name, tensor in results.items()}


@lru_cache(maxsize=64)
def _cell(input_size: int, hidden_size: int, bias: bool) -> Any:
    from tinygrad.nn import LSTMCell

    return LSTMCell(input_size, hidden_size, bias)


def _run(case: Case, parameters: Mapping[str, Any], given: uses.Named) -> dict[str, Any]:
    """Returns output and final states of the stack as lazy tensors."""
    from tinygrad import Tensor

    model: Model = case.model
    axis = 1 if case.batch_first else 0
    inputs = given["input"]
    steps = [inputs[:, t] if axis else inputs[t] for t in range(inputs.shape[axis])]
    finals: list[list[Any]] = []
    for layer, size in enumerate(model.hidden_sizes):
        halves: list[list[Any]] = []
        ends: list[Any] = []
        for direction, suffix in enumerate(model.suffixes):
            cell = _cell(model.layer_input_size(layer), size, model.bias)
            for role, tensor in layer_parameters(parameters, f"l{layer}{suffix}").items():
                setattr(cell, role, tensor)
            names = ("h_0", "c_0")
            # A later piece of a sequence continues from the states of the one before.
            has_state = case.model.state_shapes("h_0", case.rows).keys() <= given.keys()
            state: Any = tuple(model.state(given, name, layer, direction) for name in names) if has_state else None
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
        of_layers = [[end[position] for end in ends] for ends in finals]
        results |= arrays.stacked(model, name, of_layers, lambda states: Tensor.stack(*states))
    return results
