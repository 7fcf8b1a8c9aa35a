"""Keras' back end TensorFlow."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.functions import StackFunction, StackInputs, Tensors, flatten_sources
from conformance.adapters.keras.loss import Loss
from conformance.verdict.random_arrays import Array


class TensorFlow(Backend):
    """TensorFlow, which differentiates with tapes."""

    name = "tensorflow"

    def tensorflow(self) -> Any:
        """Imports TensorFlow after Keras, so that Keras uses it as its back end."""
        self.keras()
        import tensorflow

        return tensorflow

    def describe(self) -> dict[str, str]:
        """Returns version, device and threads, and how gradients are computed."""
        tf = self.tensorflow()
        threads = tf.config.threading
        return {
            "tensorflow": tf.__version__,
            "device": tf.zeros(()).device.rsplit("/device:", 1)[-1],
            "threads": "intra {}, inter {}".format(
                threads.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS", "default"),
                threads.get_inter_op_parallelism_threads() or os.environ.get("TF_NUM_INTEROP_THREADS", "default"),
            ),
            "oneDNN": "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "TensorFlow's default",
            "gradients": "tf.GradientTape, nested for second derivatives; forward mode: tf.autodiff.ForwardAccumulator",
        }

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

    def run(self, stack: StackFunction, inputs: StackInputs, loss: Loss | None) -> tuple[list[Array], list[Array]]:
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
