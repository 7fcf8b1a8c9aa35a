"""``torch.ao.nn.quantizable.LSTM`` in floating point, as it is trained and observed before quantization."""

import warnings
from collections.abc import Mapping, Set
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.module import build_module
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

GATES = ("input", "forget", "cell", "output")


class QuantizableLSTM(Adapter):
    """Drives the module that ``prepare`` substitutes for ``torch.nn.LSTM``: linear layers in a Python loop."""

    name = "torch.ao.nn.quantizable.LSTM"
    requires = ("torch",)
    install = "pip install 'lstm-conformance[torch]'"
    split_gates: bool = False
    path: str = "built directly, without observers, not quantized"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "no bias", "unbatched", "batch first", "state omitted", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.ao.nn.quantizable.LSTM accepts no packed sequences, only tensors",
        "dropout": "torch.ao.nn.quantizable.LSTM ignores dropout, with a warning",
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Also refuses 16-bit dtypes that torch does not run on this machine."""
        return super().supports(case) or _torch.refusal("LSTMCell", case.dtype)

    def solve(self, problem: Problem) -> Solution:
        """Loads the parameters into the module and runs it."""
        case = problem.case
        stored_names = {name: _stored_names(name, self.split_gates) for name in problem.parameters}
        module = self._module(problem, stored_names).train(case.mode == "train")
        given = _torch.to_tensors({"input": problem.input, **(problem.initial_state or {})}, case.dtype, grad=True)
        state = (given["h_0"], given["c_0"]) if case.gives_state else None

        def outputs() -> dict[str, Any]:
            output, (h_n, c_n) = module(given["input"], state)
            return {"output": output, "h_n": h_n, "c_n": c_n}

        expected = problem.expected_shapes()
        parts = {f"grad.{name}": [f"grad.{part}" for part in names] for name, names in stored_names.items()}
        wanted = [part for name in expected for part in parts.get(name, [name])]
        results = _torch.solve(outputs, wanted, given | dict(module.named_parameters()), problem.cotangents)
        return {
            name: np.concatenate([results[part] for part in parts[name]]) if name in parts else results[name]
            for name in expected
        }

    def describe(self) -> dict[str, str]:
        """Returns versions, device, threads, how the module was built and how it stores the gates."""
        return _torch.describe() | {
            "oneDNN": "where torch.nn.Linear uses it",
            "path": f"{self.path}; split_gates={self.split_gates}",
        }

    def _module(self, problem: Problem, stored_names: Mapping[str, list[str]]) -> Any:
        """Returns a module with the problem's parameters loaded.

        Args:
            problem: the problem.
            stored_names: the module's names of each parameter: one, or one for each gate.
        """
        module = _build(problem.case, self.split_gates)
        stored = {
            part: block
            for name, array in problem.parameters.items()
            for part, block in zip(stored_names[name], np.split(array, len(stored_names[name])), strict=True)
        }
        module.load_state_dict(_torch.to_tensors(stored, problem.case.dtype), strict=True)
        return module


class QuantizableLSTMSplit(QuantizableLSTM):
    """Drives the module with one linear layer per gate."""

    name = "torch.ao.nn.quantizable.LSTM[split_gates]"
    split_gates = True


class QuantizableLSTMFromFloat(QuantizableLSTM):
    """Drives the module built from a ``torch.nn.LSTM`` as in ``prepare``, with observers."""

    name = "torch.ao.nn.quantizable.LSTM[from_float]"
    path = "from_float of a torch.nn.LSTM, with the observers of default_qconfig, not quantized"

    def _module(self, problem: Problem, stored_names: Mapping[str, list[str]]) -> Any:
        import torch

        del stored_names
        case = problem.case
        # A module in training mode would get fake quantization instead of observers.
        lstm = build_module(case, case.dtype).eval()
        lstm.load_state_dict(_torch.to_tensors(problem.parameters, case.dtype), strict=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
            return torch.ao.nn.quantizable.LSTM.from_float(lstm, qconfig=torch.ao.quantization.default_qconfig)


def _build(case: Case, split_gates: bool) -> Any:
    import torch

    # A module on the meta device does not draw from torch's global random state.
    return torch.ao.nn.quantizable.LSTM(
        case.input_size,
        case.hidden_sizes[0],
        case.num_layers,
        bias=case.bias,
        batch_first=case.batch_first,
        bidirectional=case.direction == "bidirectional",
        split_gates=split_gates,
        device="meta",
        dtype=getattr(torch, case.dtype),
    ).to_empty(device="cpu")


def _stored_names(name: str, split_gates: bool) -> list[str]:
    """Returns the module's names for a parameter such as ``weight_ih_l1_reverse``: one, or one for each gate."""
    kind, product, layer, *reverse = name.split("_")
    place = f"layers.{layer[1:]}.layer_{'bw' if reverse else 'fw'}.cell.{product[0]}gates"
    return [f"{place}.{gate}.{kind}" for gate in GATES] if split_gates else [f"{place}.{kind}"]
