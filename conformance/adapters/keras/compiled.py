"""Keras layers in compiled functions, which take weights as arguments as in ``fit`` and ``predict``."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from conformance.adapters.keras.adapter import KerasAdapter
from conformance.adapters.keras.functions import LayerFunction, StackFunction, Tensors
from conformance.adapters.keras.layer import LayerConfig, weights_of
from conformance.cases.case import Case
from conformance.verdict.random_arrays import Array


class KerasCompiled(KerasAdapter):
    """Base of the adapters that compile a function around the ``stateless_call`` of each layer."""

    @abstractmethod
    def compile_layer(self, config: LayerConfig) -> LayerFunction:
        """Compiles a function that runs one layer, or returns the one compiled earlier."""

    @abstractmethod
    def compile_graph(self, stack: StackFunction) -> StackFunction:
        """Compiles a function around the functions of several layers."""

    def get_layer(self, config: LayerConfig, position: int) -> Any:
        """Returns one layer for all positions, because weights are arguments of the call."""
        del position
        return super().get_layer(config, 0)

    def bind_layer(self, config: LayerConfig, position: int, weights: Sequence[Array]) -> tuple[LayerFunction, Tensors]:
        """Returns a compiled function and the weights that it takes."""
        if config.saved:
            loaded = weights_of(self.load_layer(config, position, weights))
            return self.compile_layer(config), [variable.value for variable in loaded]
        return self.compile_layer(config), [self.backend.to_tensor(array, config.dtype) for array in weights]

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Also compiles a graph of two calls around the layers' functions."""
        used = super().use_stack(stack, case)
        return used if case.graph == "single" else self.compile_graph(used)
