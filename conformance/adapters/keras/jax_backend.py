"""``keras.layers.LSTM`` on JAX, compiled around ``stateless_call`` as in ``fit`` and ``predict``."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import uses
from conformance.adapters.adapter import Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS, DERIVATIVES, KerasAdapter
from conformance.adapters.keras.functions import Array, LayerFunction, StackFunction, StackInputs, Tensors
from conformance.adapters.keras.loss import Loss
from conformance.adapters.keras.stacked import StackedCells
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from conformance.verdict.problem import Tensors as NamedArrays


class KerasLSTMJax(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on JAX, which compiles each layer for each shape."""

    name = "keras.layers.LSTM[jax]"
    requires = ("keras", "jax")
    install = "pip install keras jax"
    default_tag = "core"
    own_process = True
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}  # noqa: RUF012
    saves_weights_only = True
    features = (KerasAdapter.features - uses.BUILT) | ARGUMENTS | DERIVATIVES
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        **dict.fromkeys(uses.BUILT, "jax.jit compiles a layer for each shape"),
    }

    def describe(self) -> dict[str, str]:
        """Returns versions and device, and how the adapter handles layers, lengths and the time axis."""
        keras = _keras.import_keras("jax")
        import jax

        return {
            "keras": keras.__version__,
            "jax": jax.__version__,
            "device": str(jax.devices()[0]),
            "path": "jax.jit around the layer's stateless_call; float64 cases under jax.enable_x64",
            "gradients": "jax.vjp, twice for second derivatives; forward mode: jax.jvp",
            **self.handling,
        }

    def solve(self, problem: Problem) -> Solution:
        """Enables float64 in JAX if the case needs it, then solves the problem."""
        with _precision(problem):
            return super().solve(problem)

    def dropout_masks(self, problem: Problem) -> NamedArrays:
        """Returns the masks that the cells draw, in the precision of ``solve``."""
        with _precision(problem):
            return super().dropout_masks(problem)

    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns one layer for all positions, because weights are arguments of the call."""
        del position
        return _get_layer(config.of_layer)

    def bind_layer(
        self, config: _keras.LayerConfig, position: int, weights: Sequence[Array]
    ) -> tuple[LayerFunction, Tensors]:
        """Returns a compiled function and the weights that it takes."""
        if config.saved:
            loaded = _keras.weights_of(self.load_layer(config, position, weights))
            return compile_layer(config), [variable.value for variable in loaded]
        return compile_layer(config), [self.to_tensor(array, config.dtype) for array in weights]

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Also compiles a graph of two calls around the layers' functions."""
        import jax

        used = super().use_stack(stack, case)
        return used if case.graph == "single" else jax.jit(used)

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts with ``jax.numpy.asarray``."""
        _keras.import_keras("jax")
        import jax.numpy as jnp

        return jnp.asarray(array, dtype)

    def to_array(self, tensor: Any) -> Array:
        """Copies to NumPy."""
        return _keras.copy_array(tensor)

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts with ``jax.numpy.asarray``."""
        import jax.numpy as jnp

        return jnp.asarray(valid)

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Differentiates with ``jax.vjp``."""
        import jax

        if loss is None:
            return [self.to_array(target) for target in stack(*inputs)], []
        *given, masks = inputs
        # In the order of ``flatten_sources``.
        sources, tree = jax.tree.flatten(given)

        def read(trained: Sequence[Any]) -> tuple[Tensors, Tensors]:
            rest = iter(trained)
            chosen = [next(rest) if needs else source for source, needs in zip(sources, loss.trained, strict=True)]
            x, states, weights = jax.tree.unflatten(tree, chosen)
            targets = stack(x, states, weights, masks)
            return loss.read(targets)[0], targets

        results, vjp, targets = jax.vjp(read, loss.select(sources), has_aux=True)
        cotangents = loss.read(targets)[1]
        cast = [cotangent.astype(result.dtype) for cotangent, result in zip(cotangents, results, strict=True)]
        return [self.to_array(target) for target in targets], [self.to_array(gradient) for gradient in vjp(cast)[0]]

    def forward_derivatives(self, stack: StackFunction, inputs: StackInputs, direction: Tensors) -> list[Array]:
        """Differentiates with ``jax.jvp``."""
        import jax

        *given, masks = inputs
        sources, tree = jax.tree.flatten(given)

        def run(sources: Tensors) -> Tensors:
            x, states, weights = jax.tree.unflatten(tree, sources)
            return stack(x, states, weights, masks)

        _, tangents = jax.jvp(run, (sources,), (direction,))
        return [self.to_array(tangent) for tangent in tangents]

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Differentiates the gradient with ``jax.vjp``."""
        import jax

        *given, masks = inputs
        sources, tree = jax.tree.flatten(given)

        def gradients(sources: Tensors) -> Tensors:
            def read(sources: Tensors) -> list[Any]:
                x, states, weights = jax.tree.unflatten(tree, sources)
                return loss.read(stack(x, states, weights, masks))[0]

            results, pullback = jax.vjp(read, sources)
            cotangents = [each for each in loss.cotangents if each is not None]
            cast = [cotangent.astype(result.dtype) for cotangent, result in zip(cotangents, results, strict=True)]
            return pullback(cast)[0]  # type: ignore[no-any-return]

        _, pullback = jax.vjp(gradients, sources)
        return [self.to_array(product) for product in pullback(direction)[0]]


class KerasLSTMJaxUnrolled(KerasLSTMJax):
    """Drives layers with ``unroll=True``: a Python loop over time instead of ``lax.scan``."""

    name = "keras.layers.LSTM[jax,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsJax(StackedCells, KerasLSTMJax):
    """Drives one ``keras.layers.RNN`` with a cell per layer."""

    name = "keras.layers.RNN[jax,StackedRNNCells]"
    features = StackedCells.features - uses.BUILT


def _precision(problem: Problem) -> AbstractContextManager[object]:
    _keras.import_keras("jax")
    import jax

    # Only for float64 cases: enable_x64 would also change how float32 cases run.
    return jax.enable_x64(problem.case.dtype == "float64")  # type: ignore[no-any-return]


@lru_cache(maxsize=32)
def compile_layer(config: _keras.LayerConfig) -> LayerFunction:
    """Compiles the ``stateless_call`` of a layer to a ``LayerFunction``."""
    layer = _get_layer(config.of_layer)
    import jax

    def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        return _keras.stateless_call(layer, weights, x, **_keras.call_arguments(config, states, masks))

    return jax.jit(run)  # type: ignore[no-any-return]


@lru_cache(maxsize=32)
def _get_layer(config: _keras.LayerConfig) -> Any:
    return _keras.build_layer(_keras.import_keras("jax"), config)
