"""Adapter for ``paddle.nn.LSTM``, traced and saved by ``paddle.jit.save`` and loaded by ``paddle.jit.load``."""

import tempfile
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import graph, models, uses
from conformance.adapters.adapter import Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.others.paddle import PaddleLSTM, build_layer, import_paddle, set_parameters, to_tensors
from conformance.cases.case import Case
from conformance.cases.uses import RESULTS
from conformance.verdict.problem import Problem


class PaddleJit(PaddleLSTM):
    """Drives the layer that ``paddle.jit.load`` returns. Axes in which calls differ have unknown sizes."""

    name = "paddle.nn.LSTM[jit.save]"
    features: ClassVar[Set[str]] = (
        (PaddleLSTM.features & (models.USES | models.ARGUMENTS))
        | {"layers", "bidirectional", "lengths", "projection", "dropout", "no bias", "batch first", "state omitted"}
        | {"float64", "float32"} | models.BUILT | graph.USES
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **PaddleLSTM.lacks,
        "gradients": "the layer is saved for inference",
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses active dropout, and pieces without initial states."""
        reason = "the layer is saved for inference" if case.drops else models.refuse(case)
        return super().supports(case) or reason

    def solve(self, problem: Problem) -> Solution:
        """Saves a layer with the problem's parameters, loads it and runs it as the case says."""
        paddle = import_paddle()
        case = problem.case
        loaded = _saved_and_loaded(problem)

        def call(given: uses.Named) -> uses.Named:
            return dict(zip(RESULTS, loaded(*given.values()), strict=True))

        with paddle.no_grad():
            make_earlier_calls(problem, lambda earlier, _: call(to_tensors(earlier)))
            results = uses.run(case, call, to_tensors(problem), paddle.concat)
        return {name: np.array(results[name].numpy(), order="C") for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns the version, device and threads, and how the layer is saved."""
        described = super().describe()
        return {name: described[name] for name in ("paddle", "device", "threads", "lengths")} | {
            "path": "paddle.jit.save with an InputSpec for each argument, paddle.jit.load",
        }


def _saved_and_loaded(problem: Problem) -> Callable[..., Sequence[Any]]:
    """Returns what ``paddle.jit.load`` loads: a layer that takes tensors and returns output, h_n and c_n."""
    paddle = import_paddle()
    case = problem.case
    own = graph.calls(problem) if case.graph != "single" else (problem,)
    if case.graph == "twice":
        own = own[:1]
    layers = []
    for one in own:
        layer, cells = build_layer(one.case)
        set_parameters(cells, one)
        layers.append(layer)
    specifications = input_specifications(problem)

    base: Any = paddle.nn.Layer

    class Model(base):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = paddle.nn.LayerList(layers)

        def forward(self, arguments: Any) -> Any:
            # Paddle translates the code that it traces, and cannot translate zip(…, strict=True).
            return _run(case, self.layers, {name: arguments[k] for k, name in enumerate(specifications)})

    model = Model()
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        paddle.jit.save(model, f"{folder}/model", input_spec=[list(specifications.values())])
        return paddle.jit.load(f"{folder}/model")  # type: ignore[no-any-return]


def input_specifications(problem: Problem) -> dict[str, Any]:
    """Returns an ``InputSpec`` for each argument, by name. Axes in which calls differ have unknown sizes."""
    paddle = import_paddle()
    given = uses.arguments(models.built_problem(problem))
    axes = models.dynamic_axes(problem.case, list(given))
    return {
        name: paddle.static.InputSpec(
            [None if axis in axes[name] else size for axis, size in enumerate(array.shape)], str(array.dtype), name
        )
        for name, array in given.items()
    }


def _run(case: Case, layers: Sequence[Any], given: uses.Named) -> tuple[Any, Any, Any]:
    """Runs one layer, or the graph of the case, while Paddle traces it."""
    paddle = import_paddle()

    def call(layer: Any, one: uses.Named) -> dict[str, Any]:
        states = (one["h_0"], one["c_0"]) if "h_0" in one else None
        output, (h_n, c_n) = layer(one["input"], states, one.get("lengths"))
        return {"output": output, "h_n": h_n, "c_n": c_n}

    def call_apart(layer: Any, one: uses.Named) -> dict[str, Any]:
        return _apart(call(layer, _stacked(one, "0")), "n", case.num_layers)

    if case.graph == "single":
        results = call(layers[0], given)
    else:
        both = [partial(call_apart, layer) for layer in (layers[0], layers[-1])]
        apart = graph.run(case, both, _apart(given, "0", case.num_layers), paddle.concat, paddle.flip)
        results = _stacked(apart, "n")
    return results["output"], results["h_n"], results["c_n"]


def _apart(arrays: uses.Named, time: str, num_layers: int) -> dict[str, Any]:
    """Replaces stacked states by those of each layer and direction, as ``graph.run`` takes them."""
    names = (f"h_{time}", f"c_{time}")
    rest = {name: array for name, array in arrays.items() if name not in names}
    if names[0] not in arrays:
        return rest
    h, c = (arrays[name] for name in names)
    directions = h.shape[0] // num_layers
    indices = [range(layer * directions, (layer + 1) * directions) for layer in range(num_layers)]
    return rest | uses.name_states(time, [[state[k] for k in own for state in (h, c)] for own in indices])


def _stacked(arrays: uses.Named, time: str) -> dict[str, Any]:
    """Replaces the states of each layer and direction by stacked ones: the inverse of ``_apart``."""
    paddle = import_paddle()
    prefixes = (f"h_{time}_l", f"c_{time}_l")
    states = {prefix[:3]: [array for name, array in arrays.items() if name.startswith(prefix)] for prefix in prefixes}
    rest = {name: array for name, array in arrays.items() if not name.startswith(prefixes)}
    return rest | {name: paddle.stack(own) for name, own in states.items() if own}
