"""Adapter for ``mindspore.nn.LSTM``."""

import tempfile
from collections.abc import Mapping, Set
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import uses
from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.layout import TORCH, Layout
from conformance.cases.case import Case
from conformance.cases.uses import RESULTS
from conformance.verdict.problem import Problem

Array = NDArray[np.floating]


class MindsporeLSTM(Adapter):
    """Drives ``mindspore.nn.LSTM`` on the CPU in PyNative mode, with ``seq_length`` if the case has lengths."""

    name = "mindspore.nn.LSTM"
    requires = ("mindspore",)
    install = ELSEWHERE
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "no bias", "batch first", "state omitted", "gradients", "float32",
         "partial loss", "frozen", "chunks", "repeated call", "after other lengths", "after other batches",
         "after the other mode", "after no-grad", "after an error", "after other weights", "saved", "strided memory",
         "expanded states", "aliased states", "rows alone", "rows permuted", "empty sequence", "empty batch",
         "wrong input", "wrong dtype", "wrong state", "wrong layers of a state", "wrong lengths", "wrong weight"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "float64": "mindspore.nn.LSTM supports float16 and float32 only",
        "dropout": "mindspore.nn.LSTM draws masks and does not return them",
        "one state given": "mindspore.nn.LSTM takes h_0 and c_0 together",
        "read-only memory": "MindSpore has no read-only tensors",
        "forward derivatives": "mindspore.jvp differentiates arguments, but not the parameters of a layer",
        "second derivatives": "MindSpore's LSTM operator has no second derivative",
    }
    layout: ClassVar[Layout] = TORCH

    def solve(self, problem: Problem) -> Solution:
        """Sets the layer's parameters, makes the earlier calls, runs the layer and differentiates it."""
        case = problem.case
        layer = _layer(case)
        _set_parameters(layer, problem)
        if case.saved:
            layer = _saved(layer, case)

        make_earlier_calls(
            problem,
            partial(_solve, layer),
            switch_mode=lambda: layer.set_train(not layer.training),
            load=partial(_set_parameters, layer),
        )
        results = _solve(layer, problem, "gradients" in case.check)
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


def _set_parameters(layer: Any, problem: Problem) -> None:
    """Sets the parameters of a layer in place."""
    ms = _mindspore()
    parameters = _parameters(layer)
    for name, array in uses.parameters(problem).items():
        parameters[name].set_data(ms.Tensor(array.copy()))


def _parameters(layer: Any) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in layer.get_parameters()}


def _saved(layer: Any, case: Case) -> Any:
    """Saves the parameters of a layer to a checkpoint, and loads them into a new one."""
    ms = _mindspore()
    loaded = _layer(case)
    with tempfile.TemporaryDirectory() as folder:
        ms.save_checkpoint(layer, f"{folder}/layer.ckpt")
        ms.load_param_into_net(loaded, ms.load_checkpoint(f"{folder}/layer.ckpt"), strict_load=True)
    return loaded


def _solve(layer: Any, problem: Problem, differentiates: bool) -> dict[str, Array]:
    """Runs a layer as a case says. Returns the results, and the gradients if asked to, by their canonical names.

    Raises:
        RuntimeError: the layer wrote into its arguments.
    """
    ms = _mindspore()
    case = problem.case
    given = _tensors(problem)
    cotangents = {name: ms.Tensor(array.astype(case.dtype)) for name, array in problem.cotangents.items()}
    # Lengths are not differentiable.
    leaves = [name for name in given if name != "lengths"]
    positions = tuple(position for position, name in enumerate(leaves) if name not in case.frozen)
    weights = []
    for name, parameter in _parameters(layer).items():
        parameter.requires_grad = name not in case.frozen
        weights += [parameter] if parameter.requires_grad else []

    def call(one: uses.Named) -> uses.Named:
        states = (one["h_0"], one["c_0"]) if "h_0" in one else None
        output, (h_n, c_n) = layer(one["input"], states, one.get("lengths"))
        return {"output": output, "h_n": h_n, "c_n": c_n}

    def run(*tensors: Any) -> tuple[Any, ...]:
        results = uses.run(case, call, given | dict(zip(leaves, tensors, strict=True)), ms.ops.concat)
        total = sum((results[name] * cotangent).sum() for name, cotangent in cotangents.items())
        return total, *(results[name] for name in RESULTS)

    arguments = [given[name] for name in leaves]
    if differentiates:
        gradient_of = ms.value_and_grad(run, positions or None, weights or None, has_aux=True)
        (_, *outputs), found = gradient_of(*arguments)
        # Without gradients of weights or of inputs, there is no pair. The gradient of a single input is not a tuple.
        inputs, own = found if positions and weights else (found, ()) if positions else ((), found)
        gradients = [*(inputs if isinstance(inputs, tuple) else (inputs,)), *own]
    else:
        (_, *outputs), gradients = run(*arguments), []
    results: dict[str, Array] = {name: _array(output) for name, output in zip(RESULTS, outputs, strict=True)}
    names = [*(leaves[position] for position in positions), *(weight.name for weight in weights)]
    results |= {f"grad.{name}": _array(gradient) for name, gradient in zip(names, gradients, strict=differentiates)}
    uses.check_unchanged({name: _array(tensor) for name, tensor in given.items()}, problem)
    return results


def _tensors(problem: Problem) -> dict[str, Any]:
    """Returns the arguments of a problem as tensors with the strides that the case requires."""
    ms, memory = _mindspore(), problem.case.memory
    found: dict[str, Any] = {}
    for name, array in uses.arguments(problem).items():
        if name == "lengths":
            found[name] = ms.Tensor(array.astype(np.int32))
        elif memory == "strided":
            found[name] = ms.ops.transpose(ms.Tensor(array.T.copy()), tuple(range(array.ndim))[::-1])
            assert not found[name].is_contiguous()
        elif memory == "expanded" and name != "input":
            found[name] = ms.ops.broadcast_to(ms.Tensor(array[:, :1].copy()), array.shape)
            assert not found[name].is_contiguous()
        elif memory == "aliased" and name == "c_0":
            found[name] = found["h_0"]
        else:
            found[name] = ms.Tensor(array.copy())
    return found


def _array(tensor: Any) -> Array:
    return np.array(tensor.asnumpy(), order="C")
