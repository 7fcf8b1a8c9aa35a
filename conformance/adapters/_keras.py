"""Keras layers on TensorFlow: made, traced and kept for reuse."""

import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from conformance.layout import KERAS

WEIGHTS = (KERAS.weight_ih, KERAS.weight_hh, KERAS.bias_ih)
"""Names of a layer's weights in Keras' order, for each direction; without biases the first two."""


@dataclass(frozen=True)
class Key:
    """What a Keras layer, and a function traced around it, are made for."""

    input_size: int
    units: int
    bidirectional: bool
    use_bias: bool
    dtype: str
    training: bool
    masked: bool
    given_state: bool

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1


def keras() -> Any:
    """The module ``keras``, on TensorFlow.

    Raises:
        RuntimeError: Keras is already set to another backend in this process.
    """
    if "keras" in sys.modules:
        import keras
    else:
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        # What TensorFlow logs as an error and does not raise is advice about processors.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with muted():
            import keras
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise RuntimeError(
            f"Keras uses its {backend} backend in this process, keras.layers.LSTM[tensorflow] needs tensorflow: "
            "unset KERAS_BACKEND, and import keras nowhere else before the run"
        )
    return keras


def tensorflow() -> Any:
    """The module ``tensorflow``, once Keras has taken it for its backend."""
    keras()
    import tensorflow

    return tensorflow


@contextmanager
def muted() -> Iterator[None]:
    """Holds back what native code writes to standard error; shows it if an exception comes out."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def build(key: Key) -> Any:
    """The real layer, with weights at zero: the default initialiser cannot draw 16-bit numbers."""
    layers = keras().layers
    layer = layers.LSTM(
        key.units,
        use_bias=key.use_bias,
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        unit_forget_bias=False,
        return_sequences=True,
        return_state=True,
        dtype=key.dtype,
    )
    if key.bidirectional:
        # Without a dtype of its own, Bidirectional casts float64 outputs to float32.
        layer = layers.Bidirectional(layer, merge_mode="concat", dtype=key.dtype)
    layer.build((None, None, key.input_size))
    names = [variable.name for variable in layer.trainable_variables]
    if names != list(WEIGHTS[: 3 if key.use_bias else 2]) * key.directions:
        raise RuntimeError(f"keras.layers.LSTM has weights {names}, which is not the order known here")
    return layer


def arguments(key: Key, states: Sequence[Any], masks: Sequence[Any]) -> dict[str, Any]:
    return {
        "initial_state": list(states) if states else None,
        "mask": masks[0] if masks else None,
        "training": key.training,
    }  # fmt: skip


@lru_cache(maxsize=64)
def eager(key: Key, position: int) -> Any:
    del position
    return build(key)


@lru_cache(maxsize=16)
def traced(key: Key) -> Callable[..., Any]:
    """A function of sequence, weights, initial states and masks (the last two may be empty), traced once.

    It holds about 12 MiB once it has been differentiated, and takes half a second to make.
    """
    tf = tensorflow()
    # Functions that left the cache lie in reference cycles, which Python would let pile up.
    if traced.cache_info().misses % 8 == 0:
        gc.collect()
    layer = build(key)

    def call(x: Any, weights: list[Any], states: list[Any], masks: list[Any]) -> list[Any]:
        results, _ = layer.stateless_call(
            weights, layer.non_trainable_variables, x, **arguments(key, states, masks)
        )  # fmt: skip
        return list(results)

    signature = [
        tf.TensorSpec((None, None, key.input_size), key.dtype),
        [tf.TensorSpec(variable.shape, key.dtype) for variable in layer.trainable_variables],
        [tf.TensorSpec((None, key.units), key.dtype)] * (2 * key.directions if key.given_state else 0),
        [tf.TensorSpec((None, None), tf.bool)] * key.masked,
    ]
    # The concrete function: tf.function would take many layers for one function that is traced again and again.
    return tf.function(call, input_signature=signature, autograph=False).get_concrete_function()  # type: ignore[no-any-return]


@cache
def refusal(dtype: str) -> str | None:
    """TensorFlow's own words if it does not run the layer in a dtype on this machine; else None."""
    tf = tensorflow()
    try:
        layer = build(Key(3, 4, True, True, dtype, training=False, masked=False, given_state=False))
        with tf.GradientTape() as tape:
            output = layer(tf.zeros((2, 3, 3), dtype))[0]
        tape.gradient(output, [variable.value for variable in layer.trainable_variables])
    except (tf.errors.OpError, NotImplementedError, TypeError, ValueError) as error:
        return f"TensorFlow on this processor, in {dtype}: {str(error).strip().splitlines()[0]}"
    return None
