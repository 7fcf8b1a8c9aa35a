"""Helpers for Keras layers on any back end: importing Keras, building layers, calling them."""

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
"""Names of a layer's weights for one direction, in Keras' order. Without biases, the first two."""

ACTIVATIONS = {
    "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "elu": "elu", "softsign": "softsign",
    "hard_sigmoid_6": "hard_sigmoid",
}  # fmt: skip
"""Keras 3's names of the suite's activations. Only activations with the same constants are listed."""


@dataclass(frozen=True)
class LayerConfig:
    """Configuration of a Keras layer, and of a function traced around it.

    Attributes:
        input_size: number of features of the layer's input.
        units: units of the layer, or of each cell of a ``StackedRNNCells``.
        bidirectional: whether the layer is wrapped in ``Bidirectional``.
        use_bias: whether the layer has biases.
        dtype: dtype of weights and computation.
        training: value of the argument ``training`` of each call.
        masked: whether each call gets a mask.
        given_state: whether each call gets initial states.
        options: additional arguments of the layer, such as ``("unroll", True)``.
        batch: number of rows if the layer holds a state for each row, else None.
    """

    input_size: int
    units: int | tuple[int, ...]
    bidirectional: bool
    use_bias: bool
    dtype: str
    training: bool
    masked: bool
    given_state: bool
    options: tuple[tuple[str, Any], ...] = ()
    batch: int | None = None

    @property
    def weight_names(self) -> list[str]:
        """Names of the layer's weights in Keras' order."""
        cells = len(self.units) if isinstance(self.units, tuple) else 2 if self.bidirectional else 1
        return list(WEIGHTS[: 3 if self.use_bias else 2]) * cells


def import_keras(backend: str) -> Any:
    """Imports Keras on a back end.

    Args:
        backend: Keras' name of the back end.

    Raises:
        RuntimeError: Keras already uses another back end in this process.
    """
    if "keras" in sys.modules:
        import keras
    else:
        os.environ.setdefault("KERAS_BACKEND", backend)
        # TensorFlow logs advice about processors as errors.
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
    """Captures the standard error of native code, and prints it only if an exception is raised."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def build_layer(keras: Any, config: LayerConfig) -> Any:
    """Builds a Keras layer with all weights zero, because the default initializer cannot draw 16-bit numbers.

    Args:
        keras: the module ``keras`` or ``tf_keras``.
        config: configuration of the layer.

    Raises:
        RuntimeError: this version of Keras orders the weights differently.
    """
    own = {
        "use_bias": config.use_bias,
        "kernel_initializer": "zeros",
        "recurrent_initializer": "zeros",
        "unit_forget_bias": False,
        "dtype": config.dtype,
    }
    returns = {"return_sequences": True, "return_state": True}
    if isinstance(config.units, tuple):
        options = dict(config.options)
        of_layer = ("go_backwards", "unroll", "stateful")
        of_cells = {name: value for name, value in options.items() if name not in of_layer}
        options = {name: value for name, value in options.items() if name in of_layer}
        cells = [keras.layers.LSTMCell(units, **own, **of_cells) for units in config.units]
        stack = keras.layers.StackedRNNCells(cells, dtype=config.dtype)
        layer = keras.layers.RNN(stack, dtype=config.dtype, **returns, **options)
    else:
        layer = keras.layers.LSTM(config.units, **own, **returns, **dict(config.options))
    if config.bidirectional:
        # Without a dtype of its own, Bidirectional casts float64 outputs to float32.
        layer = keras.layers.Bidirectional(layer, merge_mode="concat", dtype=config.dtype)
    layer.build((config.batch, None, config.input_size))
    names = [variable.name.rpartition("/")[2].removesuffix(":0") for variable in layer.trainable_variables]
    if names != config.weight_names:
        raise RuntimeError(f"{type(layer).__name__} has weights {names}, expected {config.weight_names}")
    return layer


def call_arguments(config: LayerConfig, states: Sequence[Any], masks: Sequence[Any]) -> dict[str, Any]:
    """Returns the keyword arguments of a layer's call.

    Args:
        config: configuration of the layer.
        states: initial states in Keras' order, or none.
        masks: one mask, or none.
    """
    initial = list(states)
    if isinstance(config.units, tuple):
        initial = [initial[2 * cell :][:2] for cell in range(len(config.units))] if initial else []
    return {"initial_state": initial or None, "mask": masks[0] if masks else None, "training": config.training}


def flatten_results(returned: Sequence[Any]) -> list[Any]:
    """Flattens a layer's result: the sequence and all final states. Stacked cells return lists of states."""
    return [
        tensor for item in returned for tensor in (item if isinstance(item, list | tuple) else [item])
    ]  # fmt: skip


def restart_dropout(cells: Sequence[Any]) -> None:
    """Resets the seed generators of cells, so that dropout draws the same masks again."""
    for cell in cells:
        cell.reset_dropout_mask()
        cell.seed_generator.state.assign([cell.seed, 0])


def error_line(error: Exception) -> str:
    """Returns the line of an error's message that states the problem. Keras prints the layer before it."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in str(error).splitlines()]
    stating = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    return (stating or lines or [""])[0]


def copy_array(array: Any) -> NDArray[np.floating]:
    """Copies an array. NumPy has no bfloat16, so bfloat16 becomes float32."""
    return np.array(array, dtype=np.float32 if array.dtype.name == "bfloat16" else array.dtype, order="C")
