"""Adapter for ``paddle.nn.LSTM``."""

import os
import warnings
from collections.abc import Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import PADDLE, Layout, layer_parameters
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, Tensors
from reference import Dialect

Array = NDArray[np.floating]


class PaddleLSTM(Adapter):
    """Drives ``paddle.nn.LSTM`` on the CPU, with ``sequence_length`` if the case has lengths."""

    name = "paddle.nn.LSTM"
    requires = ("paddle",)
    install = "pip install 'lstm-conformance[paddle]'"
    # Some cases crash the process, and so does importing Paddle after TensorFlow.
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "projection", "dropout", "no bias", "batch first", "state omitted",
         "gradients", "float64", "float32"}
    )  # fmt: skip
    layout: ClassVar[Layout] = PADDLE

    def solve(self, problem: Problem) -> Solution:
        """Sets the layer's parameters, runs it and differentiates it."""
        paddle = import_paddle()
        case, model = problem.case, problem.case.model
        layer, cells = _layer(case)
        for end, cell in cells.items():
            for name, array in _weights(problem, end).items():
                getattr(cell, name).set_value(array)
        leaves = [to_tensor(array) for array in (problem.input, *(problem.initial_state or {}).values())]
        names = list(PADDLE.pack(layer_parameters(problem.parameters, "l0")))
        weights = [getattr(cell, name) for cell in cells.values() for name in names]

        differentiates = "gradients" in case.check
        with paddle.set_grad_enabled(differentiates):
            output, states = _run(layer, problem, leaves[0], tuple(leaves[1:]) or None)
        outputs = dict(zip(("output", "h_n", "c_n"), (output, *states), strict=True))
        results = {name: to_array(tensor) for name, tensor in outputs.items()}
        if differentiates:
            cotangents = [paddle.to_tensor(problem.cotangents[name].copy()) for name in outputs]
            found = paddle.grad(list(outputs.values()), leaves + weights, cotangents)
            gradients = iter([to_array(gradient) for gradient in found])
            results |= {f"grad.{name}": next(gradients) for name in ("input", *(problem.initial_state or {}))}
            for position in range(model.num_layers):
                own = [{name: next(gradients) for name in names} for _ in model.suffixes]
                results |= arrays.weight_gradients(model, PADDLE, position, own)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns the version, device, threads, and how gradients and dropout masks are obtained."""
        return {
            "paddle": import_paddle().__version__,
            "device": "cpu",
            "threads": os.environ.get("OMP_NUM_THREADS", "Paddle's default"),
            "path": "dynamic graph; Paddle's rnn kernel, or with a projection Paddle's loop over its cells",
            "lengths": "sequence_length",
            "gradients": "paddle.grad, in training mode if the case has no dropout",
            "dropout": "Paddle draws the masks; a paddle.nn.LSTM with known parameters and the same seed reveals them",
        }

    def dialect(self, case: Case) -> Dialect:
        """Declares zero output at padded steps."""
        del case
        return Dialect(padding="zero")

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the masks that Paddle will draw in ``solve``, observed from paddle.nn.LSTM: 0 at padded steps."""
        case = problem.case
        if not case.drops or case.dropout == 1:
            return problem.dropout_masks
        return {f"l{boundary}": _observed_mask(problem, boundary) for boundary in range(case.num_layers - 1)}


def import_paddle() -> Any:
    """Imports Paddle and suppresses its warnings."""
    with warnings.catch_warnings():
        # Paddle warns if ccache is not installed.
        warnings.simplefilter("ignore")
        import paddle
    return paddle


def to_tensor(array: Array) -> Any:
    """Copies an array to a tensor that can be differentiated with respect to."""
    return import_paddle().to_tensor(array.copy(), stop_gradient=False)


def to_array(tensor: Any) -> Array:
    """Copies a tensor to an array."""
    return np.array(tensor.numpy(), order="C")


def _weights(problem: Problem, end: str) -> dict[str, Array]:
    return PADDLE.pack(layer_parameters(problem.parameters, end))


def _layer(case: Case, **changes: Any) -> tuple[Any, dict[str, Any]]:
    """Returns a new layer, and its cells, which hold the parameters, by layer and direction: ``l1_reverse``.

    Args:
        case: the case.
        **changes: arguments of ``paddle.nn.LSTM`` that differ from the case's.
    """
    paddle = import_paddle()
    bias = None if case.bias else False
    options = {
        "input_size": case.input_size,
        "hidden_size": case.hidden_sizes[0],
        "num_layers": case.num_layers,
        "direction": case.direction,
        "time_major": not case.batch_first,
        "dropout": case.dropout,
        "bias_ih_attr": bias,
        "bias_hh_attr": bias,
        "proj_size": case.proj_size,
    }
    random, dtype = paddle.get_rng_state(), paddle.get_default_dtype()
    paddle.set_default_dtype(case.dtype)
    layer = paddle.nn.LSTM(**options | changes)
    paddle.set_default_dtype(dtype)
    paddle.set_rng_state(random)
    # Paddle's kernel computes gradients in training mode only. Without dropout, training mode changes nothing else.
    trains = case.mode == "train" or ("gradients" in case.check and not case.dropout)
    layer.train() if trains else layer.eval()
    cells: dict[str, Any] = {}
    for position, one in enumerate(layer):
        both = (one.cell_fw, one.cell_bw) if case.direction == "bidirectional" else (one.cell,)
        cells |= {f"l{position}{suffix}": cell for suffix, cell in zip(("", "_reverse"), both, strict=False)}
    return layer, cells


def _run(layer: Any, problem: Problem, x: Any, states: Any) -> Any:
    """Runs a layer. Dropout draws the same masks in every run of a case, because the case determines the seed."""
    paddle = import_paddle()
    lengths = None if problem.lengths is None else paddle.to_tensor(problem.lengths.copy())
    random = paddle.get_rng_state()
    paddle.seed(int(problem.case.key, 16) >> 32)
    try:
        return layer(x, states, lengths)
    finally:
        paddle.set_rng_state(random)


def _observed_mask(problem: Problem, boundary: int) -> Array:
    """Returns the mask that the output of layer ``boundary`` is multiplied by, with elements 0 and 1 / (1 - p).

    Paddle does not return its masks. This function runs a paddle.nn.LSTM with the same seed and chosen parameters:
    its lower layers output the constant tanh(1), and each unit of its last layer reads one element of its input. The
    last layer's output is at least 0.56 for elements that dropout kept, and 0 for others.
    """
    paddle = import_paddle()
    case, model = problem.case, problem.case.model
    hidden, width, top = case.hidden_sizes[0], model.state_size(boundary), boundary + 1
    layer, cells = _layer(case, num_layers=boundary + 2, bias_ih_attr=None, bias_hh_attr=None)
    for end, cell in cells.items():
        position, _, reverse = end[1:].partition("_")
        arrays_of = {name: np.zeros(parameter.shape, case.dtype) for name, parameter in cell.named_parameters()}
        # Input and output gates are 1, the forget gate is 0: h = tanh(tanh(candidate)).
        gates = [60, -60, 60 if int(position) < top else 0, 60]
        arrays_of["bias_ih"] += np.repeat(gates, hidden).astype(case.dtype)
        if model.proj_size:
            np.fill_diagonal(arrays_of["weight_ho"], 1)
        if int(position) == top:
            units, offset = np.arange(width), width if reverse else 0
            arrays_of["weight_ih"][2 * hidden + units, offset + units] = 1
        for name, array in arrays_of.items():
            getattr(cell, name).set_value(array)
    with paddle.no_grad():
        output, _ = _run(layer, problem, paddle.zeros(problem.input.shape, case.dtype), None)
    kept = arrays.time_major(to_array(output), case) > 0.25
    return np.ascontiguousarray(kept) / (1.0 - case.dropout)
