"""``keras.layers.LSTM`` on JAX, compiled around ``stateless_call`` as in ``fit`` and ``predict``."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, ClassVar

from conformance.adapters import models
from conformance.adapters.adapter import Solution
from conformance.adapters.keras.adapter import ARGUMENTS, DERIVATIVES, KerasAdapter
from conformance.adapters.keras.calls import stateless
from conformance.adapters.keras.compiled import KerasCompiled
from conformance.adapters.keras.functions import LayerFunction, StackFunction
from conformance.adapters.keras.jax_backend import Jax
from conformance.adapters.keras.layer import LayerConfig, get_layer
from conformance.adapters.keras.stacked import StackedCells
from conformance.verdict.problem import Problem, Tensors


class KerasLSTMJax(KerasCompiled):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on JAX, which compiles each layer for each shape."""

    name = "keras.layers.LSTM[jax]"
    requires = ("keras", "jax")
    install = "pip install keras jax"
    default_tag = "core"
    own_process = True
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}  # noqa: RUF012
    backend: ClassVar[Jax] = Jax()
    path = "jax.jit around the layer's stateless_call; float64 cases under jax.enable_x64"
    saves_weights_only = True
    features = (KerasAdapter.features - models.BUILT) | ARGUMENTS | DERIVATIVES
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        **dict.fromkeys(models.BUILT, "jax.jit compiles a layer for each shape"),
    }

    def solve(self, problem: Problem) -> Solution:
        """Enables float64 in JAX if the case needs it, then solves the problem."""
        with self._precision(problem):
            return super().solve(problem)

    def dropout_masks(self, problem: Problem) -> Tensors:
        """Returns the masks that the cells draw, in the precision of ``solve``."""
        with self._precision(problem):
            return super().dropout_masks(problem)

    def compile_layer(self, config: LayerConfig) -> LayerFunction:
        """Compiles the ``stateless_call`` of a layer."""
        return _compile_layer(config)

    def compile_graph(self, stack: StackFunction) -> StackFunction:
        """Compiles with ``jax.jit``."""
        import jax

        return jax.jit(stack)  # type: ignore[no-any-return]

    def _precision(self, problem: Problem) -> AbstractContextManager[object]:
        self.backend.keras()
        import jax

        # Only for float64 cases: enable_x64 would also change how float32 cases run.
        return jax.enable_x64(problem.case.dtype == "float64")  # type: ignore[no-any-return]


class KerasLSTMJaxUnrolled(KerasLSTMJax):
    """Drives layers with ``unroll=True``: a Python loop over time instead of ``lax.scan``."""

    name = "keras.layers.LSTM[jax,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsJax(StackedCells, KerasLSTMJax):
    """Drives one ``keras.layers.RNN`` with a cell per layer."""

    name = "keras.layers.RNN[jax,StackedRNNCells]"
    features = StackedCells.features - models.BUILT


@lru_cache(maxsize=32)
def _compile_layer(config: LayerConfig) -> LayerFunction:
    layer = get_layer(KerasLSTMJax.backend.keras(), config.of_layer, 0)
    import jax

    return jax.jit(stateless(layer, config))  # type: ignore[no-any-return]
