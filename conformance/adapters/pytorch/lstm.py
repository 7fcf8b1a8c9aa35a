"""``torch.nn.LSTM``."""

import warnings
from collections.abc import Callable, Set
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.adapters.pytorch import common as _torch
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors


class TorchLSTM(Adapter):
    """Drives ``torch.nn.LSTM`` on the CPU; packed sequences where rows have lengths."""

    name = "torch.nn.LSTM"
    requires = ("torch",)
    install = "pip install 'lstm-conformance[torch]'"
    path: str = "the module called eagerly"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "projection", "dropout", "no bias", "unbatched", "batch first",
         "state omitted", "gradients", "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    layout: ClassVar[Layout] = TORCH

    def supports(self, case: Case) -> str | None:
        """Everything but rows of length 0, and dtypes that torch does not run here."""
        if reason := super().supports(case):
            return reason
        if isinstance(case.lengths, tuple) and min(case.lengths) == 0:
            return "pack_padded_sequence refuses lengths of 0"
        return _torch.refusal("LSTM", case.dtype, proj_size=2 if case.proj_size else 0)

    def solve(self, problem: Problem) -> Solution:
        """Sets the module's parameters and runs it."""
        case, dtype = problem.case, self._dtype(problem.case)
        module = module_for(case, dtype)
        module.load_state_dict(_torch.to_tensors(problem.parameters, dtype), strict=True)
        given = _torch.to_tensors({"input": problem.input, **(problem.initial_state or {})}, dtype, grad=True)
        leaves = given | {name: getattr(module, name) for name in problem.parameters}
        state = (given["h_0"], given["c_0"]) if case.gives_state else None

        def outputs() -> dict[str, Any]:
            return run(self._callable(module, case), given["input"], state, problem)

        return _torch.solve(outputs, problem.expected_shapes(), leaves, problem.cotangents)

    def describe(self) -> dict[str, str]:
        """Versions, device, threads and kernels, and how lengths and dropout are handled."""
        described = _torch.describe() | {"path": self.path}
        if "lengths" in self.features:
            described["lengths"] = "pack_padded_sequence(enforce_sorted=False), pad_packed_sequence(total_length=T)"
        if "dropout" in self.features:
            described["dropout"] = (
                "torch draws the masks; they are read off a torch.nn.LSTM with known parameters and that seed"
            )
        return described

    def dropout_masks(self, problem: Problem) -> Tensors:
        """The masks that torch will draw in ``solve``, read off torch.nn.LSTM itself.

        Padding, which never reaches the next layer of a packed sequence, is masked too.
        """
        case = problem.case
        if not case.drops or case.dropout == 1:
            return problem.dropout_masks
        return {f"l{layer}": _observed_mask(problem, layer) for layer in range(case.num_layers - 1)}

    def _dtype(self, case: Case) -> str:
        """What parameters and input are held in."""
        return case.dtype

    def _callable(self, module: Any, case: Case) -> Callable[..., Any]:
        """What is called with the input (tensor or packed sequence) and the state (h_0, c_0) or None."""
        del case
        return module  # type: ignore[no-any-return]


def module_for(case: Case, dtype: str) -> Any:
    """A case's module, in its mode. It is used again; its parameters are what the last problem set."""
    return _module(_options(case), dtype).train(case.mode == "train")


def _options(case: Case) -> tuple[tuple[str, Any], ...]:
    return (
        ("input_size", case.input_size),
        ("hidden_size", case.hidden_sizes[0]),
        ("num_layers", case.num_layers),
        ("bias", case.bias),
        ("batch_first", case.batch_first),
        ("dropout", case.dropout),
        ("bidirectional", case.direction == "bidirectional"),
        ("proj_size", case.proj_size),
    )


@lru_cache(maxsize=64)
def _module(options: tuple[tuple[str, Any], ...], dtype: str) -> Any:
    """One module for a configuration; it keeps nothing from one problem to the next but its parameters."""
    with warnings.catch_warnings():
        # A case may well ask for dropout in a single layer: that it does nothing is what is checked.
        warnings.filterwarnings("ignore", "dropout option adds dropout after all but last", UserWarning)
        return _torch.build("LSTM", dict(options), dtype)


def run(module: Callable[..., Any], inputs: Any, state: Any, problem: Problem) -> dict[str, Any]:
    """A module's outputs for a problem's options; dropout draws the same masks each time it runs a case."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    case = problem.case
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(int(case.key, 16) >> 1)
        if problem.lengths is None:
            output, (h_n, c_n) = module(inputs, state)
            return {"output": output, "h_n": h_n, "c_n": c_n}
        lengths = torch.from_numpy(problem.lengths.copy())
        packed = pack_padded_sequence(inputs, lengths, batch_first=case.batch_first, enforce_sorted=False)
        output, (h_n, c_n) = module(packed, state)
    padded, _ = pad_packed_sequence(output, batch_first=case.batch_first, total_length=case.seq_len)
    return {"output": padded, "h_n": h_n, "c_n": c_n}


def _observed_mask(problem: Problem, boundary: int) -> NDArray[np.floating]:
    """What the output of layer ``boundary`` is multiplied by: 0, or 1 / (1 - p).

    It is seen through a module whose lower layers put out the constant tanh(1) whatever they read, while its last
    layer shows each element of its input in a unit of its own: h is about 0.6 where it was kept, else about 0.
    The masks depend on shapes, p and the seed alone, and each layer below draws its own first.
    """
    import torch

    case = problem.case
    width = case.model.state_size(boundary)
    hidden, top = case.hidden_sizes[0], boundary + 1
    options = dict(_options(case)) | {"num_layers": boundary + 2, "bias": True}
    probe = _module(tuple(options.items()), case.dtype)
    with torch.no_grad(), _torch.quietly():
        for name, parameter in probe.named_parameters():
            parameter.zero_()
            layer = int(name.split("_l")[1].split("_")[0])
            if name.startswith("bias_ih"):
                # Gates i and o open, f shut: h = tanh(tanh(candidate)).
                gates = torch.tensor([60.0, -60.0, 60.0 if layer < top else 0.0, 60.0])
                parameter.view(4, hidden).copy_(gates[:, None])
            elif name.startswith("weight_hr"):
                parameter.fill_diagonal_(1)
            elif name.startswith("weight_ih") and layer == top:
                offset = width if name.endswith("_reverse") else 0
                for unit in range(width):
                    parameter[2 * hidden + unit, offset + unit] = 1
        probe.train()
        inputs = torch.zeros(problem.input.shape, dtype=getattr(torch, case.dtype))
        output = run(probe, inputs, None, problem)["output"]
    kept = _torch.to_array(output) > 0.25
    if case.rows is None:
        kept = kept[:, None]
    elif case.batch_first:
        kept = np.moveaxis(kept, 0, 1)
    return np.ascontiguousarray(kept) / (1.0 - case.dropout)
