"""``keras.layers.LSTM`` on TensorFlow, called eagerly, and traced as in ``fit`` and ``predict``."""

import gc
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

from conformance.adapters.adapter import Solution
from conformance.adapters.keras.adapter import ARGUMENTS, DERIVATIVES, KerasAdapter
from conformance.adapters.keras.calls import stateless
from conformance.adapters.keras.compiled import KerasCompiled
from conformance.adapters.keras.functions import LayerFunction, StackFunction, Tensors
from conformance.adapters.keras.layer import LayerConfig, get_layer, weights_of
from conformance.adapters.keras.tensorflow_backend import TensorFlow
from conformance.verdict import declared
from conformance.verdict.problem import Problem


class KerasLSTM(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on TensorFlow, called eagerly."""

    name = "keras.layers.LSTM[tensorflow]"
    requires: tuple[str, ...] = ("keras", "tensorflow")
    install = "pip install 'lstm-conformance[tensorflow]'"
    backend: ClassVar[TensorFlow] = TensorFlow()
    path = "the layer called eagerly"
    features = KerasAdapter.features | ARGUMENTS | DERIVATIVES


class KerasLSTMTraced(KerasCompiled, KerasLSTM):
    """Drives a function traced around the ``stateless_call`` of each layer.

    Tracing takes half a second per layer. A traced function accepts any batch and any number of time steps.
    """

    name = "keras.layers.LSTM[tensorflow,traced]"
    default_tag = "core"
    path = "tf.function around the layer's stateless_call, for any batch and number of time steps"

    def solve(self, problem: Problem) -> Solution:
        """Runs traced functions. Those to differentiate in forward mode are new: earlier gradients affect them."""
        if "jvp" in problem.case.check:
            trace_layer.cache_clear()
        return super().solve(problem)

    def compile_layer(self, config: LayerConfig) -> LayerFunction:
        """Returns a function that is traced for calls with or without states."""

        def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            return trace_layer(replace(config, given_state=bool(states)))(x, weights, states, masks)

        return run

    def compile_graph(self, stack: StackFunction) -> StackFunction:
        """Traces a stack for the shapes of each call."""
        traced = self.backend.tensorflow().function(stack, autograph=False)
        return lambda *inputs: traced.get_concrete_function(*inputs)(*inputs)


@lru_cache(maxsize=16)
def trace_layer(config: LayerConfig) -> LayerFunction:
    """Traces the ``stateless_call`` of a layer to a ``LayerFunction``.

    Takes half a second. The function holds about 12 MiB once it has been differentiated.
    """
    backend = KerasLSTMTraced.backend
    tf = backend.tensorflow()
    # Functions evicted from the cache are in reference cycles. Without this, they would accumulate.
    if trace_layer.cache_info().misses % 8 == 0:
        gc.collect()
    layer = get_layer(backend.keras(), config.of_layer, 0)
    signature = [
        tf.TensorSpec((None, None, config.input_size), config.dtype),
        [tf.TensorSpec(variable.shape, config.dtype) for variable in weights_of(layer)],
        [tf.TensorSpec((None, units), config.dtype) for units in config.state_units],
        [tf.TensorSpec((None, None), tf.bool)] * config.masked,
    ]
    # Without a concrete function, TensorFlow treats all layers as one function and warns that it is retraced.
    function = tf.function(stateless(layer, config), input_signature=signature, autograph=False)
    traced = function.get_concrete_function()

    def call(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        results: list[Any] = traced(x, weights, states, masks)
        for number, (tensor, result) in enumerate(zip(traced.structured_outputs, results, strict=True)):
            declared.record_shape(f"result{number}", tensor.shape.as_list(), result.shape.as_list())
        return results

    return call
