"""Adapter for ``mlx.nn.LSTM`` on the CPU."""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.layout import MLX, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model


class MlxLSTM(Adapter):
    """Drives one ``mlx.nn.LSTM`` per layer. It returns h and c of every step."""

    name = "mlx.nn.LSTM"
    requires = ("mlx",)
    install = "pip install 'lstm-conformance[mlx]'"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "no bias", "unbatched", "batch first", "state omitted", "gradients",
         "float64", "float32", "float16", "bfloat16", "one state given", "partial loss", "frozen", "chunks",
         "repeated call", "after other lengths", "after other batches", "after no-grad", "after an error",
         "after other weights", "saved", "strided memory", "expanded states", "aliased states", "rows alone",
         "rows permuted", "forward derivatives", "second derivatives", "empty sequence", "empty batch", "wrong input",
         "wrong state"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "bidirectional": "mlx.nn.LSTM runs forward only",
        "reverse": "mlx.nn.LSTM runs forward only",
        "read-only memory": "MLX has no read-only arrays",
        "wrong dtype": "MLX promotes arguments of different dtypes to a common one",
    }
    layout: ClassVar[Layout] = MLX

    def supports(self, case: Case) -> str | None:
        """Also refuses a bias of which one summand is frozen."""
        return super().supports(case) or arrays.refuse_frozen(case, MLX)

    def solve(self, problem: Problem) -> Solution:
        """Makes the earlier calls, then runs one layer after another and differentiates them."""
        import mlx.core as mx

        layers = _layers(problem.case.model)
        with mx.stream(mx.cpu):
            make_earlier_calls(
                problem,
                lambda earlier, differentiates: _call(layers, earlier, {"gradients"} if differentiates else ()),
            )
            results = _call(layers, problem, problem.case.check)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and what the adapter does before and after the layers."""
        return {
            "mlx": version("mlx"),
            "device": "cpu",
            "threads": "MLX's default",
            "stacked": "one layer after the other",
            "time-major": "input and output are transposed: MLX takes (batch, time, features) only",
            "gradients": "mlx.core.vjp, twice for second derivatives; forward mode: mlx.core.jvp",
        }


@lru_cache(maxsize=64)
def _layers(model: Model) -> list[Any]:
    """Returns one ``mlx.nn.LSTM`` per layer, cached. ``_load`` sets their weights for each problem."""
    return _build(model)


def _build(model: Model) -> list[Any]:
    import mlx.nn as nn

    return [
        nn.LSTM(model.layer_input_size(layer), size, bias=model.bias) for layer, size in enumerate(model.hidden_sizes)
    ]


def _load(layers: Sequence[Any], problem: Problem) -> Sequence[Any]:
    """Sets the weights of layers. Returns the layers or, if the case says so, saved and loaded ones."""
    for position, layer in enumerate(layers):
        layer.update(_tensors(problem.case, arrays.packed(problem, MLX, position)[0]))
    if not problem.case.saved:
        return layers
    loaded = _build(problem.case.model)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "layer.npz"))  # MLX cannot save float64 in the safetensors format.
        for layer, other in zip(layers, loaded, strict=True):
            layer.save_weights(file)
            other.load_weights(file)
    return loaded


def _call(layers: Sequence[Any], problem: Problem, derivatives: Collection[str]) -> dict[str, arrays.Array]:
    """Runs layers as a case says. Returns the results and the derivatives by their canonical names.

    Args:
        layers: the layers, whose weights are set first.
        problem: the problem.
        derivatives: ``gradients``, ``jvp`` and ``hvp``, as in a case's ``check``.
    """
    import mlx.core as mx

    case, model = problem.case, problem.case.model
    layers = _load(layers, problem)
    arguments = _tensors(case, uses.laid_out(case, uses.arguments(problem)))
    weights = {f"{name}_l{k}": array for k, layer in enumerate(layers) for name, array in layer.items()}
    needed = {name: name not in case.frozen for name in arguments}
    needed |= arrays.by_name(model, partial(arrays.trained, case, MLX))
    sources = {name: array for name, array in (arguments | weights).items() if needed[name]}

    def run(changed: Mapping[str, Any]) -> dict[str, Any]:
        for k, layer in enumerate(layers):
            layer.update({name: (weights | dict(changed))[f"{name}_l{k}"] for name in layer})
        given = {name: changed.get(name, array) for name, array in arguments.items()}
        return uses.run(case, lambda one: _run(layers, case, one), given, mx.concatenate)

    def function(*names: str) -> Callable[..., list[Any]]:
        """Returns the function from the sources to the named results."""

        def results(*changed: Any) -> list[Any]:
            found = run(dict(zip(sources, changed, strict=True)))
            return [found[name] for name in names]

        return results

    leaves = list(sources.values())
    found = run({})
    read = list(problem.cotangents)
    cotangents = list(_tensors(case, problem.cotangents).values())
    if "gradients" in derivatives:
        gradients = mx.vjp(function(*read), leaves, cotangents)[1]
        found |= _named_gradients(problem, "grad", dict(zip(sources, gradients, strict=True)))
    if not {"jvp", "hvp"}.isdisjoint(derivatives):
        along = {name: problem.tangents[name] for name in arguments}
        along |= arrays.by_name(model, partial(arrays.packed_tangents, problem, MLX))
        direction = list(_tensors(case, {name: along[name] for name in sources}).values())
    if "jvp" in derivatives:
        names = [name for name in found if not name.startswith("grad.")]
        tangents = mx.jvp(function(*names), leaves, direction)[1]
        found |= {f"jvp.{name}": tangent for name, tangent in zip(names, tangents, strict=True)}
    if "hvp" in derivatives:
        products = mx.vjp(lambda *given: mx.vjp(function(*read), given, cotangents)[1], leaves, direction)[1]
        found |= _named_gradients(problem, "hvp", dict(zip(sources, products, strict=True)))
    return {name: _to_array(tensor) for name, tensor in found.items()}


def _run(layers: Sequence[Any], case: Case, given: uses.Named) -> dict[str, Any]:
    """Runs one layer after another. Arguments and results have their canonical names and axes."""
    import mlx.core as mx

    transposes = case.rows is not None and not case.batch_first
    x = mx.swapaxes(given["input"], -3, -2) if transposes else given["input"]
    finals: dict[str, list[Any]] = {"h_n": [], "c_n": []}
    for position, layer in enumerate(layers):
        states = {
            role: case.model.state(given, name, position, 0)
            for role, name in (("hidden", "h_0"), ("cell", "c_0"))
            if any(key.startswith(name) for key in given)
        }
        x, cells = layer(x, **states)
        finals["h_n"].append(x[..., -1, :])
        finals["c_n"].append(cells[..., -1, :])
    results = {"output": mx.swapaxes(x, -3, -2) if transposes else x}
    for name, states_n in finals.items():
        results |= arrays.stacked(case.model, name, [[state] for state in states_n], mx.stack)
    return results


def _named_gradients(problem: Problem, prefix: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns gradients of the sources under their canonical names."""
    named = {f"{prefix}.{name}": found[name] for name in uses.arguments(problem) if name in found}
    gradients = arrays.gradients_by_name(problem, MLX, {name: _to_array(tensor) for name, tensor in found.items()})
    return named | {name.replace("grad", prefix, 1): array for name, array in gradients.items()}


def _tensors(case: Case, given: Mapping[str, arrays.Array]) -> dict[str, Any]:
    """Converts NumPy arrays to MLX arrays of the case's dtype, with the strides that the case requires."""
    import mlx.core as mx

    dtype = getattr(mx, case.dtype)
    found: dict[str, Any] = {}
    for name, array in given.items():
        if case.memory == "strided":
            found[name] = mx.array(array.T, dtype).T
        elif 0 in array.strides:
            found[name] = mx.broadcast_to(mx.array(array[:, :1], dtype), array.shape)
        elif case.memory == "aliased" and name.startswith("c_0"):
            found[name] = found[f"h_0{name[3:]}"]
        else:
            found[name] = mx.array(array, dtype)
    return found


def _to_array(tensor: Any) -> arrays.Array:
    """Copies a tensor to a NumPy array. bfloat16, which NumPy lacks, becomes float32."""
    import mlx.core as mx

    if isinstance(tensor, np.ndarray):
        return tensor
    return np.array(tensor.astype(mx.float32) if tensor.dtype == mx.bfloat16 else tensor, order="C")
