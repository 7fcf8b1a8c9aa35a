"""``torch.ao.nn.quantizable.LSTM``, in the floating-point form that is trained and observed before quantisation."""

import warnings
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.adapters.pytorch.lstm import module_for
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

GATES = ("input", "forget", "cell", "output")


class QuantizableLSTM(Adapter):
    """Drives the module that ``prepare`` puts in the place of ``torch.nn.LSTM``: linear layers in a Python loop."""

    name = "torch.ao.nn.quantizable.LSTM"
    requires = ("torch",)
    install = "pip install 'lstm-conformance[torch]'"
    split_gates: bool = False
    path: str = "made directly, not observed, not quantised"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "no bias", "unbatched", "batch first", "state omitted", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "torch.ao.nn.quantizable.LSTM takes tensors only, no packed sequences",
        "dropout": "torch.ao.nn.quantizable.LSTM ignores dropout, as it warns",
    }
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """What its documentation promises by pointing to torch.nn.LSTM's, save what it says it lacks."""
        return super().supports(case) or _torch.refusal("LSTMCell", case.dtype)

    def solve(self, problem: Problem) -> Solution:
        """Loads the parameters and runs the module."""
        case = problem.case
        held = {name: _held_as(name, self.split_gates) for name in problem.parameters}
        module = self._module(problem, held).train(case.mode == "train")
        given = _torch.to_tensors({"input": problem.input, **(problem.initial_state or {})}, case.dtype, grad=True)
        state = (given["h_0"], given["c_0"]) if case.gives_state else None

        def outputs() -> dict[str, Any]:
            output, (h_n, c_n) = module(given["input"], state)
            return {"output": output, "h_n": h_n, "c_n": c_n}

        expected = problem.expected_shapes()
        parts = {f"grad.{name}": [f"grad.{part}" for part in held[name]] for name in held}
        wanted = [part for name in expected for part in parts.get(name, [name])]
        results = _torch.solve(outputs, wanted, given | dict(module.named_parameters()), problem.cotangents)
        return {
            name: np.concatenate([results[part] for part in parts[name]]) if name in parts else results[name]
            for name in expected
        }

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, how the module was made and how the gates are held."""
        return _torch.describe() | {
            "oneDNN": "whatever torch.nn.Linear uses",
            "path": f"{self.path}; split_gates={self.split_gates}",
        }

    def _module(self, problem: Problem, held: Mapping[str, list[str]]) -> Any:
        """A module with the problem's parameters, each held under one name or several."""
        module = _build(problem.case, self.split_gates)
        stored = {
            part: block
            for name, array in problem.parameters.items()
            for part, block in zip(held[name], np.split(array, len(held[name])), strict=True)
        }
        module.load_state_dict(_torch.to_tensors(stored, problem.case.dtype), strict=True)
        return module


class QuantizableLSTMSplit(QuantizableLSTM):
    """The same with a linear layer for each gate."""

    name = "torch.ao.nn.quantizable.LSTM[split_gates]"
    split_gates = True


class QuantizableLSTMFromFloat(QuantizableLSTM):
    """The same made of a ``torch.nn.LSTM``, as ``prepare`` makes it, with observers in between."""

    name = "torch.ao.nn.quantizable.LSTM[from_float]"
    path = "from_float of a torch.nn.LSTM, with the observers of default_qconfig, not quantised"

    def _module(self, problem: Problem, held: Mapping[str, list[str]]) -> Any:
        import torch

        del held
        case = problem.case
        # One in training would get fake quantisation instead of observers.
        float_one = module_for(case, case.dtype).eval()
        float_one.load_state_dict(_torch.to_tensors(problem.parameters, case.dtype), strict=True)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
            return torch.ao.nn.quantizable.LSTM.from_float(float_one, qconfig=torch.ao.quantization.default_qconfig)


@lru_cache(maxsize=64)
def _build(case: Case, split_gates: bool) -> Any:
    import torch

    # On the meta device no numbers are drawn: torch's global random state is not touched.
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


def _held_as(name: str, split_gates: bool) -> list[str]:
    """The module's names for ``weight_ih_l1_reverse``: one, or one for each gate."""
    kind, product, layer, *reverse = name.split("_")
    place = f"layers.{layer[1:]}.layer_{'bw' if reverse else 'fw'}.cell.{product[0]}gates"
    return [f"{place}.{gate}.{kind}" for gate in GATES] if split_gates else [f"{place}.{kind}"]
