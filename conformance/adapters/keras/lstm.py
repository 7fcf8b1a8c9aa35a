"""``keras.layers.LSTM`` on TensorFlow, called eagerly, and traced as in ``fit`` and ``predict``."""

import gc
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.adapter import Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS, DERIVATIVES, KerasAdapter
from conformance.adapters.keras.functions import (
    Array,
    LayerFunction,
    StackFunction,
    StackInputs,
    Tensors,
    flatten_sources,
)
from conformance.adapters.keras.loss import Loss
from conformance.cases.case import Case
from conformance.verdict import declared
from conformance.verdict.problem import Problem


class KerasLSTM(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on TensorFlow, called eagerly."""

    name = "keras.layers.LSTM[tensorflow]"
    requires: tuple[str, ...] = ("keras", "tensorflow")
    install = "pip install 'lstm-conformance[tensorflow]'"
    path: str = "the layer called eagerly"
    features = KerasAdapter.features | ARGUMENTS | DERIVATIVES

    def describe(self) -> dict[str, str]:
        """Returns versions, device and threads, and how the adapter handles layers, lengths and the time axis."""
        keras, tf = self.keras(), self.tensorflow()
        threads = tf.config.threading
        return {
            keras.__name__: keras.__version__,
            "tensorflow": tf.__version__,
            "device": tf.zeros(()).device.rsplit("/device:", 1)[-1],
            "threads": "intra {}, inter {}".format(
                threads.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS", "default"),
                threads.get_inter_op_parallelism_threads() or os.environ.get("TF_NUM_INTEROP_THREADS", "default"),
            ),
            "oneDNN": "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "TensorFlow's default",
            "path": self.path,
            "gradients": "tf.GradientTape, nested for second derivatives; forward mode: tf.autodiff.ForwardAccumulator",
            **self.handling,
        }

    def keras(self) -> Any:
        """Imports Keras."""
        return _keras.import_keras("tensorflow")

    def tensorflow(self) -> Any:
        """Imports TensorFlow after Keras, so that Keras uses it as its back end."""
        self.keras()
        import tensorflow

        return tensorflow

    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns a layer to call eagerly."""
        return get_eager_layer(self.keras(), config.of_layer, position)

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts to a constant."""
        tf = self.tensorflow()
        return tf.cast(tf.constant(array), dtype)

    def to_array(self, tensor: Any) -> Array:
        """Copies with ``numpy()``."""
        return _keras.copy_array(tensor.numpy())

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts to a constant."""
        return self.tensorflow().constant(valid)

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Differentiates with ``tf.GradientTape``."""
        sources = [] if loss is None else loss.select(flatten_sources(inputs))
        tf = self.tensorflow()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            targets = stack(*inputs)
        gradients = []
        if loss is not None:
            read, cotangents = loss.read(targets)
            # A tensor that the loss does not depend on has a gradient of zeros.
            gradients = tape.gradient(read, sources, cotangents, tf.UnconnectedGradients.ZERO)
        return [self.to_array(target) for target in targets], [self.to_array(gradient) for gradient in gradients]

    def forward_derivatives(self, stack: StackFunction, inputs: StackInputs, direction: Tensors) -> list[Array]:
        """Differentiates with ``tf.autodiff.ForwardAccumulator``."""
        tf = self.tensorflow()
        with tf.autodiff.ForwardAccumulator(flatten_sources(inputs), direction) as accumulator:
            targets = stack(*inputs)
        return [self.to_array(accumulator.jvp(target, tf.UnconnectedGradients.ZERO)) for target in targets]

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Differentiates with a tape around the tape of the gradient."""
        tf = self.tensorflow()
        sources, zero = flatten_sources(inputs), tf.UnconnectedGradients.ZERO
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(sources)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(sources)
                targets = stack(*inputs)
            read, cotangents = loss.read(targets)
            gradients = inner.gradient(read, sources, cotangents, zero)
        products = outer.gradient(gradients, sources, direction, zero)
        return [self.to_array(product) for product in products]

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Adds the errors of TensorFlow operations."""
        return (*super().unsupported_dtype_errors(), self.tensorflow().errors.OpError)


class KerasLSTMTraced(KerasLSTM):
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

    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns one layer for all positions, because weights are arguments of the call."""
        del position
        return get_eager_layer(self.keras(), config.of_layer, 0)

    def use_stack(self, stack: StackFunction, case: Case) -> StackFunction:
        """Also traces a graph of two calls around the layers' functions."""
        used = super().use_stack(stack, case)
        if case.graph == "single":
            return used
        traced = self.tensorflow().function(used, autograph=False)
        return lambda *inputs: traced.get_concrete_function(*inputs)(*inputs)

    def bind_layer(
        self, config: _keras.LayerConfig, position: int, weights: Sequence[Array]
    ) -> tuple[LayerFunction, Tensors]:
        """Returns a function that is traced for calls with or without states, and the weights that it takes."""
        if config.saved:
            tensors = [variable.value for variable in _keras.weights_of(self.load_layer(config, position, weights))]
        else:
            tensors = [self.to_tensor(array, config.dtype) for array in weights]

        def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> Sequence[Any]:
            return trace_layer(replace(config, given_state=bool(states)))(x, weights, states, masks)

        return run, tensors


@lru_cache(maxsize=64)
def get_eager_layer(keras: Any, config: _keras.LayerConfig, position: int) -> Any:
    """Builds a layer, or returns the one built earlier for the same configuration and position."""
    del position
    return _keras.build_layer(keras, config)


@lru_cache(maxsize=16)
def trace_layer(config: _keras.LayerConfig) -> LayerFunction:
    """Traces the ``stateless_call`` of a layer to a ``LayerFunction``.

    Takes half a second. The function holds about 12 MiB once it has been differentiated.
    """
    tf = KerasLSTM().tensorflow()
    # Functions evicted from the cache are in reference cycles. Without this, they would accumulate.
    if trace_layer.cache_info().misses % 8 == 0:
        gc.collect()
    layer = get_eager_layer(_keras.import_keras("tensorflow"), config.of_layer, 0)

    def run(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        return _keras.stateless_call(layer, weights, x, **_keras.call_arguments(config, states, masks))

    signature = [
        tf.TensorSpec((None, None, config.input_size), config.dtype),
        [tf.TensorSpec(variable.shape, config.dtype) for variable in _keras.weights_of(layer)],
        [tf.TensorSpec((None, units), config.dtype) for units in config.state_units],
        [tf.TensorSpec((None, None), tf.bool)] * config.masked,
    ]
    # Without a concrete function, TensorFlow treats all layers as one function and warns that it is retraced.
    traced = tf.function(run, input_signature=signature, autograph=False).get_concrete_function()

    def call(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        results: list[Any] = traced(x, weights, states, masks)
        for number, (tensor, result) in enumerate(zip(traced.structured_outputs, results, strict=True)):
            declared.record_shape(f"result{number}", tensor.shape.as_list(), result.shape.as_list())
        return results

    return call
