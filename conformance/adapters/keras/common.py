"""Keras layers on any backend: the module, the layer and its arguments."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import KERAS

WEIGHTS = (KERAS.weight_ih, KERAS.weight_hh, KERAS.bias_ih)
"""Names of a layer's weights in Keras' order, for each direction; without biases the first two."""

ACTIVATIONS = {
    "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "elu": "elu", "softsign": "softsign",
    "hard_sigmoid_6": "hard_sigmoid",
}  # fmt: skip
"""What Keras 3 calls those of the suite's activations that it has by name, with the same constants."""


@dataclass(frozen=True)
class Key:
    """What a Keras layer, and a function traced around it, are made for."""

    input_size: int
    units: int | tuple[int, ...]
    """Of the layer, or of each cell in a ``StackedRNNCells``."""
    bidirectional: bool
    use_bias: bool
    dtype: str
    training: bool
    masked: bool
    given_state: bool
    options: tuple[tuple[str, Any], ...] = ()
    """Further arguments of the layer, such as ``("unroll", True)``."""
    batch: int | None = None
    """Rows, where the layer holds a state for each."""

    @property
    def arrays(self) -> list[str]:
        """The layer's weights by name, in Keras' order."""
        cells = len(self.units) if isinstance(self.units, tuple) else 2 if self.bidirectional else 1
        return list(WEIGHTS[: 3 if self.use_bias else 2]) * cells


def keras(backend: str) -> Any:
    """The module ``keras``, on a backend.

    Raises:
        RuntimeError: Keras is already set to another backend in this process.
    """
    if "keras" in sys.modules:
        import keras
    else:
        os.environ.setdefault("KERAS_BACKEND", backend)
        # What TensorFlow logs as an error and does not raise is advice about processors.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with muted():
            import keras
    found = keras.backend.backend()
    if found != backend:
        raise RuntimeError(
            f"Keras uses its {found} backend in this process, keras.layers.LSTM[{backend}] needs {backend}: "
            "unset KERAS_BACKEND, and import keras nowhere else before the run"
        )
    return keras


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


def build(keras: Any, key: Key) -> Any:
    """The real layer, with weights at zero: the default initialiser cannot draw 16-bit numbers.

    Args:
        keras: the module ``keras`` or ``tf_keras``.
        key: what the layer is made for.
    """
    own = {
        "use_bias": key.use_bias,
        "kernel_initializer": "zeros",
        "recurrent_initializer": "zeros",
        "unit_forget_bias": False,
        "dtype": key.dtype,
    }
    returns = {"return_sequences": True, "return_state": True}
    if isinstance(key.units, tuple):
        options = dict(key.options)
        of_layer = ("go_backwards", "unroll", "stateful")
        of_cells = {name: value for name, value in options.items() if name not in of_layer}
        options = {name: value for name, value in options.items() if name in of_layer}
        cells = [keras.layers.LSTMCell(units, **own, **of_cells) for units in key.units]
        stack = keras.layers.StackedRNNCells(cells, dtype=key.dtype)
        layer = keras.layers.RNN(stack, dtype=key.dtype, **returns, **options)
    else:
        layer = keras.layers.LSTM(key.units, **own, **returns, **dict(key.options))
    if key.bidirectional:
        # Without a dtype of its own, Bidirectional casts float64 outputs to float32.
        layer = keras.layers.Bidirectional(layer, merge_mode="concat", dtype=key.dtype)
    layer.build((key.batch, None, key.input_size))
    names = [variable.name.rpartition("/")[2].removesuffix(":0") for variable in layer.trainable_variables]
    if names != key.arrays:
        raise RuntimeError(f"{type(layer).__name__} has weights {names}, which is not the order known here")
    return layer


def arguments(key: Key, states: Sequence[Any], masks: Sequence[Any]) -> dict[str, Any]:
    """What a layer is called with, besides its input."""
    initial = list(states)
    if isinstance(key.units, tuple):
        initial = [initial[2 * cell :][:2] for cell in range(len(key.units))] if initial else []
    return {"initial_state": initial or None, "mask": masks[0] if masks else None, "training": key.training}


def results(returned: Sequence[Any]) -> list[Any]:
    """What a layer returned: the sequence and all final states, those of stacked cells out of their lists."""
    return [
        tensor for item in returned for tensor in (item if isinstance(item, list | tuple) else [item])
    ]  # fmt: skip


def restart(cells: Sequence[Any]) -> None:
    """Lets the cells' seed generators start anew, so that dropout draws the same again."""
    for cell in cells:
        cell.reset_dropout_mask()
        cell.seed_generator.state.assign([cell.seed, 0])


def words(error: Exception) -> str:
    """The line of an error's message that says what is wrong; Keras puts it between where, and the arguments."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return (told or lines or [""])[0]


def fresh(array: Any) -> NDArray[np.floating]:
    """A copy as NumPy has it: bfloat16, which it lacks, as float32."""
    return np.array(array, dtype=np.float32 if array.dtype.name == "bfloat16" else array.dtype, order="C")
