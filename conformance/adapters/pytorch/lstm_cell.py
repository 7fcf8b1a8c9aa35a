"""``torch.nn.LSTMCell``, stacked, in a loop over time."""

from collections.abc import Mapping, Set
from functools import partial
from typing import Any, ClassVar

from conformance.adapters import arrays, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout, layer_parameters
from conformance.adapters.pytorch import common as _torch
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model


class TorchLSTMCell(Adapter):
    """Drives ``torch.nn.LSTMCell`` as its users do: with a loop over time for each layer and direction."""

    name = "torch.nn.LSTMCell"
    requires = ("torch",)
    install = "pip install 'lstm-conformance[torch]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "no bias", "unbatched", "batch first",
         "state omitted", "gradients", "empty batch", "wrong input", "wrong dtype", "wrong state",
         "forward derivatives", "second derivatives",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.nn.LSTMCell runs a single time step and has no lengths",
        "empty sequence": "torch.nn.LSTMCell runs a single time step",
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses 16-bit dtypes that torch does not run on this machine."""
        return super().supports(case) or _torch.refusal("LSTMCell", case.dtype)

    def solve(self, problem: Problem) -> Solution:
        """Loads the parameters into the cells and loops over layers, directions and time."""
        case, model = problem.case, problem.case.model
        cells = _build_cells(model, case.dtype)
        for end, cell in cells.items():
            weights = layer_parameters(problem.parameters, end)
            cell.load_state_dict(_torch.to_tensors(weights, case.dtype), strict=True)
            cell.train(case.mode == "train")
        given = _torch.to_arguments(problem, case.dtype, grad=True)
        parameters = {f"{role}_{end}": p for end, cell in cells.items() for role, p in cell.named_parameters()}
        leaves = given | {name: parameters[name] for name in problem.parameters}
        wanted = [name for name in problem.expected_shapes() if not name.startswith("jvp.")]
        results = _torch.solve(
            lambda: _run(case, cells, given), wanted, leaves, problem.cotangents, problem.tangents
        )  # fmt: skip
        if "jvp" not in case.check:
            return results
        return results | _torch.forward_derivatives(partial(_run_with, case, cells), leaves, problem.tangents)

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads and kernels, and how cells are stacked."""
        return _torch.describe() | {"stacked": "one cell for each layer and direction, each in a Python loop over time"}


def _build_cells(model: Model, dtype: str) -> dict[str, Any]:
    """Builds a cell for each layer and direction, keyed by the ending of its parameters' names: ``l1_reverse``."""
    return {
        f"l{layer}{suffix}": _torch.build(
            "LSTMCell",
            {"input_size": model.layer_input_size(layer), "hidden_size": hidden, "bias": model.bias},
            dtype,
        )
        for layer, hidden in enumerate(model.hidden_sizes)
        for suffix in model.suffixes
    }


def _run_with(case: Case, cells: Mapping[str, Any], leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the stack on parameters that take the place of the cells' own."""
    import torch

    def called(end: str, step: Any, state: Any) -> Any:
        return torch.func.functional_call(cells[end], layer_parameters(leaves, end), (step, state))

    return _run(case, {end: partial(called, end) for end in cells}, leaves)


def _run(case: Case, cells: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the stack and returns the output and the final states by name."""
    import torch

    model = case.model
    time_axis = uses.time_axis(case)
    steps = list(given["input"].unbind(time_axis))
    finals: list[list[Any]] = []
    for layer in range(model.num_layers):
        halves, ends = [], []
        for direction, suffix in enumerate(model.suffixes):
            cell, state = cells[f"l{layer}{suffix}"], None
            if case.gives_state:
                state = model.state(given, "h_0", layer, direction), model.state(given, "c_0", layer, direction)
            backwards = bool(suffix)
            outputs = []
            for step in reversed(steps) if backwards else steps:
                state = cell(step, state)
                outputs.append(state[0])
            halves.append(outputs[::-1] if backwards else outputs)
            ends.append(state)
        finals.append(ends)
        steps = [torch.cat(parts, dim=-1) for parts in zip(*halves, strict=True)]
    results = {"output": torch.stack(steps, dim=time_axis)}
    for position, name in enumerate(("h_n", "c_n")):
        of_layers = [[state[position] for state in ends] for ends in finals]
        results |= arrays.stacked(model, name, of_layers, torch.stack)
    return results
