"""Adapter for ``mindspore.nn.LSTM``."""

from collections.abc import Mapping, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.layout import TORCH, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem

Array = NDArray[np.floating]


class MindsporeLSTM(Adapter):
    """Drives ``mindspore.nn.LSTM`` on the CPU in PyNative mode, with ``seq_length`` if the case has lengths."""

    name = "mindspore.nn.LSTM"
    requires = ("mindspore",)
    install = ELSEWHERE
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "no bias", "batch first", "state omitted", "gradients", "float32"}
    )
    lacks: ClassVar[Mapping[str, str]] = {
        "float64": "mindspore.nn.LSTM supports float16 and float32 only",
        "dropout": "mindspore.nn.LSTM draws masks and does not return them",
    }
    layout: ClassVar[Layout] = TORCH

    def solve(self, problem: Problem) -> Solution:
        """Sets the layer's parameters, runs it and differentiates it."""
        ms = _mindspore()
        case, state = problem.case, problem.initial_state or {}
        layer = _layer(case)
        parameters = {parameter.name: parameter for parameter in layer.get_parameters()}
        for name, array in problem.parameters.items():
            parameters[name].set_data(ms.Tensor(array.copy()))
        given = [ms.Tensor(array.copy()) for array in (problem.input, *state.values())]
        lengths = None if problem.lengths is None else ms.Tensor(problem.lengths.astype(np.int32))
        cotangents = [ms.Tensor(problem.cotangents[name].copy()) for name in ("output", "h_n", "c_n")]

        def run(x: Any, *states: Any) -> Any:
            output, (h_n, c_n) = layer(x, states or None, lengths)
            total = sum((y * by).sum() for y, by in zip((output, h_n, c_n), cotangents, strict=True))
            return total, output, h_n, c_n

        if "gradients" in case.check:
            weights = [parameters[name] for name in problem.parameters]
            positions = tuple(range(len(given)))
            (_, *outputs), (inputs, own) = ms.value_and_grad(run, positions, weights, has_aux=True)(*given)
            # The gradient of a single input is not a tuple.
            leaves = [*(inputs if isinstance(inputs, tuple) else (inputs,)), *own]
        else:
            (_, *outputs), leaves = run(*given), []
        results = dict(zip(("output", "h_n", "c_n"), map(_array, outputs), strict=True))
        names = ["input", *state, *problem.parameters]
        results |= {f"grad.{name}": _array(leaf) for name, leaf in zip(names, leaves, strict=False)}
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, mode, and how outputs and gradients are computed."""
        return {
            "mindspore": _mindspore().__version__,
            "numpy": np.__version__,
            "device": "cpu",
            "mode": "PyNative",
            "kernel": "MindSpore's LSTM operator; with lengths, MindSpore's loop over its cell",
            "gradients": "mindspore.value_and_grad of the sum of all outputs times their cotangents",
        }


def _mindspore() -> Any:
    """Imports MindSpore and selects PyNative mode on the CPU."""
    import mindspore

    mindspore.set_context(mode=mindspore.PYNATIVE_MODE, device_target="CPU")
    return mindspore


def _layer(case: Case) -> Any:
    """Returns a new layer. It draws its parameters from NumPy's global generator, whose state is restored."""
    from mindspore import nn

    random = np.random.get_state()  # noqa: NPY002 (MindSpore draws from the global generator)
    layer = nn.LSTM(
        case.input_size,
        case.hidden_sizes[0],
        num_layers=case.num_layers,
        has_bias=case.bias,
        batch_first=case.batch_first,
        bidirectional=case.direction == "bidirectional",
    )
    np.random.set_state(random)  # noqa: NPY002
    return layer.set_train(case.mode == "train")


def _array(tensor: Any) -> Array:
    return np.array(tensor.asnumpy(), order="C")
