"""Adapter for ``mlx.nn.LSTM`` on the CPU."""

from collections.abc import Mapping, Set
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import MLX, Layout
from conformance.verdict.problem import Problem
from reference import Model


class MlxLSTM(Adapter):
    """Drives one ``mlx.nn.LSTM`` per layer. It returns h and c of every step."""

    name = "mlx.nn.LSTM"
    requires = ("mlx",)
    install = "pip install 'lstm-conformance[mlx]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "no bias", "unbatched", "batch first", "state omitted", "gradients",
         "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "bidirectional": "mlx.nn.LSTM runs forward only",
        "reverse": "mlx.nn.LSTM runs forward only",
    }
    layout: ClassVar[Layout] = MLX

    def solve(self, problem: Problem) -> Solution:
        """Runs one layer after another and differentiates them with ``mlx.core.vjp``."""
        import mlx.core as mx
        from mlx.utils import tree_flatten, tree_unflatten

        case, model = problem.case, problem.case.model
        layers, time = _layers(model), 0 if case.rows is None else 1
        dtype = getattr(mx, case.dtype)
        inputs: dict[str, Any] = {
            "weights": [arrays.packed(problem, MLX, layer)[0] for layer in range(model.num_layers)],
            "x": arrays.batch_major(problem.input, case) if time else problem.input,
            "states": [arrays.states(problem.initial_state, model, layer) for layer in range(model.num_layers)],
        }
        ends = [arrays.states(problem.cotangents, model, layer, ("h_n", "c_n")) for layer in range(model.num_layers)]
        output = problem.cotangents["output"]
        given = [arrays.batch_major(output, case) if time else output, *(end for row in ends for end in row)]

        def run(*leaves: Any) -> list[Any]:
            tree = tree_unflatten(list(zip(names, leaves, strict=True)))
            x, finals = tree["x"], []
            for layer, weights, states in zip(layers, tree["weights"], tree.get("states", rest), strict=True):
                layer.update(weights)
                x, cells = layer(x, *states)
                finals += [x[..., -1, :], cells[..., -1, :]]
            return [x, *finals]

        rest: list[list[Any]] = [[]] * model.num_layers
        with mx.stream(mx.cpu):
            names, leaves = zip(*tree_flatten(inputs), strict=True)
            tensors, cotangents = ([mx.array(array, dtype) for array in each] for each in (leaves, given))
            found, gradients = mx.vjp(run, tensors, cotangents) if "gradients" in case.check else (run(*tensors), [])
            y, *finals = map(_to_array, found)
            differentiated = map(_to_array, gradients)
        results = {"output": arrays.batch_major(y, case) if time else y}
        results |= arrays.stacked(model, "h_n", [[h] for h in finals[0::2]])
        results |= arrays.stacked(model, "c_n", [[c] for c in finals[1::2]])
        if gradients:
            tree = tree_unflatten(list(zip(names, differentiated, strict=True)))
            results["grad.input"] = arrays.batch_major(tree["x"], case) if time else tree["x"]
            for position, name in enumerate(("grad.h_0", "grad.c_0") if case.gives_state else ()):
                results |= arrays.stacked(model, name, [[states[position]] for states in tree["states"]])
            for layer, own in enumerate(tree["weights"]):
                results |= arrays.weight_gradients(model, MLX, layer, [own])
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and what the adapter does before and after the layers."""
        return {
            "mlx": version("mlx"),
            "device": "cpu",
            "threads": "MLX's default",
            "stacked": "one layer after the other",
            "time-major": "input, output and their gradients are transposed: MLX takes (batch, time, features) only",
            "gradients": "mlx.core.vjp",
        }


@lru_cache(maxsize=64)
def _layers(model: Model) -> list[Any]:
    """Returns one ``mlx.nn.LSTM`` per layer, cached. ``solve`` sets their weights for each problem."""
    import mlx.nn as nn

    return [
        nn.LSTM(model.layer_input_size(layer), size, bias=model.bias) for layer, size in enumerate(model.hidden_sizes)
    ]


def _to_array(tensor: Any) -> arrays.Array:
    """Copies a tensor to a NumPy array. bfloat16, which NumPy lacks, becomes float32."""
    import mlx.core as mx

    return np.array(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor, order="C")
