"""``keras.layers.LSTM`` on TensorFlow: called eagerly, and traced, as ``fit`` and ``predict`` run it."""

import gc
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Array, Call, Given, KerasAdapter, Stack, Tensors, flat


class KerasLSTM(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional``, called eagerly."""

    name = "keras.layers.LSTM[tensorflow]"
    requires: tuple[str, ...] = ("keras", "tensorflow")
    install = "pip install 'lstm-conformance[tensorflow]'"
    path: str = "the layer called eagerly"

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and what the adapter does around the layer."""
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
            "gradients": "tf.GradientTape",
            **self.around,
        }

    def keras(self) -> Any:
        """The module that holds the layers."""
        return _keras.keras("tensorflow")

    def tensorflow(self) -> Any:
        """The module ``tensorflow``, once Keras has taken it for its backend."""
        self.keras()
        import tensorflow

        return tensorflow

    def made(self, key: _keras.Key, position: int) -> Any:
        """The layer, made when first needed."""
        return eager(self.keras(), key, position)

    def tensor(self, array: Array, dtype: str) -> Any:
        """A constant."""
        tf = self.tensorflow()
        return tf.cast(tf.constant(array), dtype)

    def array(self, tensor: Any) -> Array:
        """Through ``numpy()``."""
        return _keras.fresh(tensor.numpy())

    def mask(self, valid: NDArray[np.bool_]) -> Any:
        """A constant."""
        return self.tensorflow().constant(valid)

    def run(self, stack: Stack, given: Given, cotangents: Tensors | None) -> tuple[list[Array], list[Array]]:
        """Under a tape where gradients are wanted."""
        sources = flat(given)
        with self.tensorflow().GradientTape(watch_accessed_variables=False) as tape:
            if cotangents is not None:
                tape.watch(sources)
            targets = stack(*given)
        gradients = [] if cotangents is None else tape.gradient(targets, sources, output_gradients=cotangents)
        return [self.array(target) for target in targets], [self.array(gradient) for gradient in gradients]

    def refuses(self) -> tuple[type[Exception], ...]:
        """TensorFlow's errors of operations too."""
        return (*super().refuses(), self.tensorflow().errors.OpError)


class KerasLSTMTraced(KerasLSTM):
    """The same layers through functions traced around ``stateless_call``, which takes half a second for each.

    A traced function takes any batch and any number of time steps; a stack chains one for each layer.
    """

    name = "keras.layers.LSTM[tensorflow,traced]"
    default_tag = "core"
    path = "tf.function around the layer's stateless_call, for any batch and number of time steps"

    def made(self, key: _keras.Key, position: int) -> Any:
        """One for all that are made alike: it is called with weights of each one's own."""
        del position
        return eager(self.keras(), key, 0)

    def layer(self, key: _keras.Key, position: int, weights: Sequence[Array]) -> tuple[Call, Tensors]:
        """A traced function of everything."""
        del position
        return traced(key), [self.tensor(array, key.dtype) for array in weights]


@lru_cache(maxsize=64)
def eager(keras: Any, key: _keras.Key, position: int) -> Any:
    """A layer, kept for reuse."""
    del position
    return _keras.build(keras, key)


@lru_cache(maxsize=16)
def traced(key: _keras.Key) -> Call:
    """A function of sequence, weights, initial states and masks (the last two may be empty), traced once.

    It holds about 12 MiB once it has been differentiated, and takes half a second to make.
    """
    tf = KerasLSTM().tensorflow()
    # Functions that left the cache lie in reference cycles, which Python would let pile up.
    if traced.cache_info().misses % 8 == 0:
        gc.collect()
    layer = eager(_keras.keras("tensorflow"), key, 0)

    def call(x: Any, weights: Tensors, states: Tensors, masks: Tensors) -> list[Any]:
        results, _ = layer.stateless_call(
            weights, layer.non_trainable_variables, x, **_keras.arguments(key, states, masks)
        )  # fmt: skip
        return _keras.results(results)

    signature = [
        tf.TensorSpec((None, None, key.input_size), key.dtype),
        [tf.TensorSpec(variable.shape, key.dtype) for variable in layer.trainable_variables],
        [tf.TensorSpec((None, key.units), key.dtype)] * (key.given_state * (4 if key.bidirectional else 2)),
        [tf.TensorSpec((None, None), tf.bool)] * key.masked,
    ]
    # The concrete function: tf.function would take many layers for one function that is traced again and again.
    return tf.function(call, input_signature=signature, autograph=False).get_concrete_function()  # type: ignore[no-any-return]
