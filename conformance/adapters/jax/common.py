"""What the JAX adapters share: a problem as pytrees, and a compiled function for an architecture, with gradients."""

import os
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Model

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Options:
    """What a function is traced for, besides the shapes of its arguments."""

    model: Model
    dtype: str
    batched: bool
    activations: tuple[str, ...]

    @property
    def time_major(self) -> bool:
        """Whether time is the first axis of the input."""
        return not (self.batched and self.model.batch_first)


class JaxAdapter(Adapter):
    """An adapter of a library on JAX, which says how a stack is run; the rest is here."""

    layout: ClassVar[Layout]
    default_tag = "core"

    def layout_of(self, case: Case) -> Layout:
        """How the weights of a case are stored."""
        del case
        return self.layout

    @abstractmethod
    def run(self, options: Options, weights: Any, x: Any, initial: Any, lengths: Any) -> tuple[Any, Any]:
        """The implementation's output, and (h, c) for each layer and direction. Traced by JAX.

        Args:
            options: the architecture.
            weights: for each layer and direction, arrays by their names in ``layout``.
            x: the input as the case has it.
            initial: (h, c) for each layer and direction, or None.
            lengths: valid steps of each row (B,), or None.
        """

    def solve(self, problem: Problem) -> Solution:
        """Runs the compiled function, and names its results."""
        import jax

        case, model, layout = problem.case, problem.case.model, self.layout_of(problem.case)
        options = Options(model, case.dtype, case.rows is not None, case.activations)
        differentiates = "gradients" in case.check
        layers = range(model.num_layers)

        def pairs(given: Any, names: tuple[str, str]) -> list[list[tuple[Array, Array]]]:
            rows = [arrays.states(given, model, layer, names) for layer in layers]
            return [list(zip(row[0::2], row[1::2], strict=True)) for row in rows]

        initial = None if problem.initial_state is None else pairs(problem.initial_state, ("h_0", "c_0"))
        inputs = [[arrays.packed(problem, layout, layer) for layer in layers], problem.input, initial]
        cotangents = (problem.cotangents["output"], pairs(problem.cotangents, ("h_n", "c_n")))
        lengths = None if problem.lengths is None else problem.lengths.astype(np.int32)
        # Without x64 JAX makes every array float32; with it, no float32 case would be as its users run it.
        with jax.enable_x64(case.dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
            tensors, weights = jax.tree.map(lambda array: jax.numpy.array(array, case.dtype), (inputs, cotangents))
            function = compiled(self.run, options, differentiates)
            found = function(*tensors, lengths, *([weights] if differentiates else []))
            (output, finals), *gradients = jax.tree.map(_to_array, found)
        results = {"output": output, **_named(model, "{}_n", finals)}
        if gradients:
            own, results["grad.input"], states = gradients
            results |= _named(model, "grad.{}_0", states) if states is not None else {}
            for layer, of_layer in enumerate(own):
                results |= arrays.weight_gradients(model, layout, layer, of_layer)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Versions, device and threads, and how the function is made."""
        import jax

        return {
            "jax": jax.__version__,
            "jaxlib": version("jaxlib"),
            "device": jax.devices("cpu")[0].device_kind,
            "threads": f"XLA's pool, on {os.cpu_count()} processors",
            "float64": "jax.enable_x64, for float64 cases only",
            "gradients": "jax.vjp",
            "path": "jax.jit around output, final states and their gradients, once for each shape",
        }


@lru_cache(maxsize=16)
def compiled(run: Callable[..., Any], options: Options, differentiates: bool) -> Callable[..., Any]:
    """A function of weights, input, initial states, lengths and cotangents; it is compiled for each shape."""
    import jax

    def forward(weights: Any, x: Any, initial: Any, lengths: Any) -> Any:
        return (run(options, weights, x, initial, lengths),)

    def both(weights: Any, x: Any, initial: Any, lengths: Any, cotangents: Any) -> Any:
        results, pullback = jax.vjp(lambda *given: run(options, *given, lengths), weights, x, initial)
        return results, *pullback(cotangents)

    return jax.jit(both if differentiates else forward)  # type: ignore[no-any-return]


def _to_array(tensor: Any) -> Array:
    """A fresh NumPy array; bfloat16, which NumPy lacks, as float32."""
    return np.array(tensor, dtype=np.float32 if tensor.dtype.name == "bfloat16" else tensor.dtype, order="C")


def _named(model: Model, name: str, states: Any) -> dict[str, Array]:
    """(h, c) of each layer and direction under their canonical names."""
    return {
        tensor: array
        for position, state in enumerate("hc")
        for tensor, array in arrays.stacked(
            model, name.format(state), [[pair[position] for pair in layer] for layer in states]
        ).items()
    }
