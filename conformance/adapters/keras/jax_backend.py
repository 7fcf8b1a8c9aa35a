"""``keras.layers.LSTM`` on JAX: compiled around ``stateless_call``, as ``fit`` and ``predict`` run it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Array, Call, Given, KerasAdapter, Stack, Tensors, flat
from conformance.adapters.keras.stacked import StackedCells
from conformance.verdict.problem import Problem
from conformance.verdict.problem import Tensors as Named


class KerasLSTMJax(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on JAX. It compiles each layer for each shape."""

    name = "keras.layers.LSTM[jax]"
    requires = ("keras", "jax")
    install = "pip install keras jax"
    default_tag = "core"
    own_process = True
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}  # noqa: RUF012

    def describe(self) -> dict[str, str]:
        """Versions, device, and what the adapter does around the layer."""
        keras = _keras.keras("jax")
        import jax

        return {
            "keras": keras.__version__,
            "jax": jax.__version__,
            "device": str(jax.devices()[0]),
            "path": "jax.jit around the layer's stateless_call, in float64 under jax.enable_x64",
            "gradients": "jax.vjp",
            **self.around,
        }

    def solve(self, problem: Problem) -> Solution:
        """In float64 under ``jax.enable_x64``, without which JAX has none."""
        with _precision(problem):
            return super().solve(problem)

    def dropout_masks(self, problem: Problem) -> Named:
        """As ``solve`` draws them."""
        with _precision(problem):
            return super().dropout_masks(problem)

    def made(self, key: _keras.Key, position: int) -> Any:
        """One for all that are made alike: it is called with weights of each one's own."""
        del position
        return _made(key)

    def layer(self, key: _keras.Key, position: int, weights: Sequence[Array]) -> tuple[Call, Tensors]:
        """A compiled function of everything."""
        del position
        return compiled(key), [self.tensor(array, key.dtype) for array in weights]

    def tensor(self, array: Array, dtype: str) -> Any:
        """An array of JAX."""
        _keras.keras("jax")
        import jax.numpy as jnp

        return jnp.asarray(array, dtype)

    def array(self, tensor: Any) -> Array:
        """A copy."""
        return _keras.fresh(tensor)

    def mask(self, valid: NDArray[np.bool_]) -> Any:
        """An array of JAX."""
        import jax.numpy as jnp

        return jnp.asarray(valid)

    def run(self, stack: Stack, given: Given, cotangents: Tensors | None) -> tuple[list[Array], list[Array]]:
        """By ``jax.vjp`` where gradients are wanted."""
        import jax

        if cotangents is None:
            return [self.array(target) for target in stack(*given)], []
        *sources, masks = given
        targets, back = jax.vjp(lambda x, states, weights: stack(x, states, weights, masks), *sources)
        cast = [cotangent.astype(target.dtype) for cotangent, target in zip(cotangents, targets, strict=True)]
        return [self.array(target) for target in targets], [self.array(gradient) for gradient in flat(back(cast))]


class KerasLSTMJaxUnrolled(KerasLSTMJax):
    """With ``unroll=True``: a Python loop over time in place of ``lax.scan``."""

    name = "keras.layers.LSTM[jax,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsJax(StackedCells, KerasLSTMJax):
    """Layers as cells of one ``keras.layers.RNN``."""

    name = "keras.layers.RNN[jax,StackedRNNCells]"


def _precision(problem: Problem) -> AbstractContextManager[object]:
    _keras.keras("jax")
    import jax

    # With it, no float32 case would be as its users run it.
    return jax.enable_x64(problem.case.dtype == "float64")  # type: ignore[no-any-return]


@lru_cache(maxsize=32)
def compiled(key: _keras.Key) -> Call:
    """A function of sequence, weights, initial states and masks (the last two may be empty)."""
    layer = _made(key)
    import jax

    def call(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        results, _ = layer.stateless_call(
            weights, layer.non_trainable_variables, x, **_keras.arguments(key, states, masks)
        )  # fmt: skip
        return _keras.results(results)

    return jax.jit(call)  # type: ignore[no-any-return]


@lru_cache(maxsize=32)
def _made(key: _keras.Key) -> Any:
    return _keras.build(_keras.keras("jax"), key)
