"""Adapter for ``paddle.nn.LSTM``."""

import os
import tempfile
import warnings
from collections.abc import Mapping, Set
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
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
         "gradients", "float64", "float32", "partial loss", "frozen", "chunks", "repeated call", "after other lengths",
         "after other batches", "after the other mode", "after no-grad", "after an error", "after other weights",
         "saved", "strided memory", "aliased states", "rows alone", "rows permuted", "empty sequence", "empty batch",
         "wrong input", "wrong dtype", "wrong state", "wrong layers of a state", "wrong lengths"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "read-only memory": "Paddle has no read-only tensors",
        "one state given": "paddle.nn.LSTM takes h_0 and c_0 together",
    }
    layout: ClassVar[Layout] = PADDLE

    def supports(self, case: Case) -> str | None:
        """Also refuses lengths above T, for which Paddle's kernel does not return reliably."""
        if case.refuses == "lengths-above":
            return "with a length above T, Paddle's kernel reads past its input, and ends the process or never returns"
        return super().supports(case)

    def solve(self, problem: Problem) -> Solution:
        """Sets the layer's parameters, makes the earlier calls, runs the layer and differentiates it."""
        case = problem.case
        layer, cells = build_layer(case)
        set_parameters(cells, problem)
        if case.saved:
            layer, cells = _saved(layer, case)

        make_earlier_calls(
            problem,
            # Paddle's kernel computes gradients in training mode only.
            lambda earlier, differentiates: _solve(layer, cells, earlier, differentiates and layer.training),
            switch_mode=lambda: layer.eval() if layer.training else layer.train(),
            load=partial(set_parameters, cells),
        )
        results = _solve(layer, cells, problem, "gradients" in case.check)
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


def set_parameters(cells: Mapping[str, Any], problem: Problem) -> None:
    """Sets the parameters of cells in place."""
    for end, cell in cells.items():
        for name, array in PADDLE.pack(layer_parameters(uses.parameters(problem), end)).items():
            getattr(cell, name).set_value(array)


def _saved(layer: Any, case: Case) -> tuple[Any, dict[str, Any]]:
    """Saves the parameters of a layer, and loads them into a new one."""
    paddle = import_paddle()
    with tempfile.TemporaryDirectory() as folder:
        paddle.save(layer.state_dict(), f"{folder}/layer.pdparams")
        loaded, cells = build_layer(case)
        loaded.set_state_dict(paddle.load(f"{folder}/layer.pdparams"))
    return loaded, cells


def _solve(layer: Any, cells: Mapping[str, Any], problem: Problem, differentiates: bool) -> dict[str, Array]:
    """Runs a layer as a case says. Returns the results, and the gradients if asked to, by their canonical names."""
    paddle = import_paddle()
    case = problem.case
    given = to_tensors(problem)
    leaves = {name: tensor for name, tensor in given.items() if name != "lengths"}
    for name, tensor in leaves.items():
        tensor.stop_gradient = name in case.frozen
    names = list(PADDLE.pack(layer_parameters(problem.parameters, "l0")))
    weights = {f"{name}_{end}": getattr(cell, name) for end, cell in cells.items() for name in names}
    trained = arrays.by_name(case.model, partial(arrays.trained, case, PADDLE))
    for name, weight in weights.items():
        weight.stop_gradient = not trained[name]

    def call(one: uses.Named) -> uses.Named:
        output, (h_n, c_n) = _run(layer, case, one)
        return {"output": output, "h_n": h_n, "c_n": c_n}

    with paddle.set_grad_enabled(differentiates):
        outputs = uses.run(case, call, given, paddle.concat)
    results = {name: to_array(tensor) for name, tensor in outputs.items()}
    if differentiates:
        sources = {name: tensor for name, tensor in (leaves | weights).items() if not tensor.stop_gradient}
        cotangents = {name: paddle.to_tensor(array.copy()) for name, array in problem.cotangents.items()}
        found = paddle.grad([outputs[name] for name in cotangents], list(sources.values()), list(cotangents.values()))
        gradients = {name: to_array(gradient) for name, gradient in zip(sources, found, strict=True)}
        results |= {f"grad.{name}": gradients[name] for name in leaves if name in gradients}
        results |= arrays.gradients_by_name(problem, PADDLE, gradients)
    return results


def to_tensors(problem: Problem) -> dict[str, Any]:
    """Returns the arguments of a problem as tensors with the strides that the case requires."""
    paddle, memory = import_paddle(), problem.case.memory
    found: dict[str, Any] = {}
    for name, array in uses.arguments(problem).items():
        if memory == "strided" and name != "lengths":
            axes = list(range(array.ndim))[::-1]
            found[name] = paddle.transpose(paddle.to_tensor(array.T.copy()), axes)
            assert not found[name].is_contiguous()
        elif memory == "aliased" and name == "c_0":
            found[name] = found["h_0"].detach()
        else:
            found[name] = paddle.to_tensor(array.copy())
    return found


def build_layer(case: Case, **changes: Any) -> tuple[Any, dict[str, Any]]:
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


def _run(layer: Any, case: Case, given: uses.Named) -> Any:
    """Runs a layer. The case without its use determines the seed, so dropout draws the same masks in every run."""
    paddle = import_paddle()
    states = (given["h_0"], given["c_0"]) if "h_0" in given else None
    random = paddle.get_rng_state()
    paddle.seed(int(case.one_call.key, 16) >> 32)
    try:
        return layer(given["input"], states, given.get("lengths"))
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
    layer, cells = build_layer(case, num_layers=boundary + 2, bias_ih_attr=None, bias_hh_attr=None)
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
        given = {"input": paddle.zeros(problem.input.shape, case.dtype)}
        if problem.lengths is not None:
            given["lengths"] = paddle.to_tensor(problem.lengths.copy())
        output, _ = _run(layer, case, given)
    kept = arrays.time_major(to_array(output), case) > 0.25
    return np.ascontiguousarray(kept) / (1.0 - case.dropout)
