"""Helpers for Keras layers on any back end: importing Keras, building layers, calling them."""

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.layout import KERAS
from conformance.verdict import declared

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
        built: numbers of rows and of steps for which the layer is built; None for any number.
        trained: whether each weight is trainable, in Keras' order; empty if all are.
        saved: whether the layer is saved and loaded before it is called.
        backward_units: units of the backward layer of a ``Bidirectional``, if they are not ``units``; else 0.
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
    built: tuple[int | None, int | None] = (None, None)
    trained: tuple[bool, ...] = ()
    saved: bool = False
    backward_units: int = 0

    @property
    def of_layer(self) -> "LayerConfig":
        """The configuration without the arguments of a call. Calls that differ only in these share a layer."""
        return replace(self, training=False, masked=False, given_state=False)

    @property
    def state_units(self) -> list[int | tuple[int, ...]]:
        """Widths of the initial states of a call, in Keras' order."""
        reverse = [self.backward_units or self.units] * self.bidirectional
        return [units for units in (self.units, *reverse) for _ in "hc"] if self.given_state else []

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
        arguments = {**own, **returns, **dict(config.options)}
        layer = keras.layers.LSTM(config.units, **arguments)
    if config.bidirectional:
        # Without a dtype of its own, Bidirectional casts float64 outputs to float32.
        both = {"merge_mode": "concat", "dtype": config.dtype}
        if config.backward_units:
            both["backward_layer"] = keras.layers.LSTM(config.backward_units, go_backwards=True, **arguments)
        layer = keras.layers.Bidirectional(layer, **both)
    rows, steps = config.built
    layer.build((config.batch or rows, steps, config.input_size))
    names = [_short_name(variable) for variable in layer.trainable_variables]
    if names != config.weight_names:
        raise RuntimeError(f"{type(layer).__name__} has weights {names}, expected {config.weight_names}")
    for variable, is_trained in zip(layer.trainable_variables, config.trained, strict=False):
        variable.trainable = is_trained
    return layer


def weights_of(layer: Any) -> list[Any]:
    """Returns the variables of a layer's weights in Keras' order, whether or not they are trainable."""
    return [variable for variable in layer.variables if _short_name(variable) in WEIGHTS]


def _short_name(variable: Any) -> str:
    return str(variable.name.rpartition("/")[2].removesuffix(":0"))


def stateless_call(layer: Any, weights: Sequence[Any], x: Any, **arguments: Any) -> list[Any]:
    """Calls a layer with weights as arguments, as Keras' trainers on JAX do, and returns its flattened results."""
    given = {id(variable): weight for variable, weight in zip(weights_of(layer), weights, strict=True)}
    trainable, other = (
        [given.get(id(variable), variable.value) for variable in variables]
        for variables in (layer.trainable_variables, layer.non_trainable_variables)
    )
    returned, _ = layer.stateless_call(trainable, other, x, **arguments)
    results = flatten_results(returned)
    record_shapes(layer, x, results)
    return results


def save_and_load(keras: Any, layer: Any, config: LayerConfig, weights_only: bool) -> Any:
    """Saves a layer in a model to a file and returns the layer of the loaded model.

    Args:
        keras: the module ``keras``.
        layer: the layer.
        config: its configuration.
        weights_only: whether the file is ``.weights.h5``, which is loaded into a new layer, or ``.keras``.
    """

    def model_of(layer: Any) -> Any:
        x = keras.Input((None, config.input_size), batch_size=config.batch, dtype=config.dtype)
        return keras.Model(x, layer(x))

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), muted():
        # Saving imports TensorFlow, which logs, and copies variables in a way that NumPy deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        if weights_only:
            file = str(Path(folder, "model.weights.h5"))
            model_of(layer).save_weights(file)
            model = model_of(build_layer(keras, config))
            model.load_weights(file)
        else:
            file = str(Path(folder, "model.keras"))
            model_of(layer).save(file)
            model = keras.models.load_model(file, compile=False)
    return model.layers[-1]


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


def record_shapes(layer: Any, x: Any, results: Sequence[Any]) -> None:
    """Records the shapes that a layer declares for an input, and those of its flattened results."""
    given, found = tuple(x.shape), [tuple(tensor.shape) for tensor in results]
    if any(size is None for shape in (given, *found) for size in shape):
        return  # The layer is traced for any size.
    # A shape is a list or a tuple of sizes. Stacked cells declare a list of shapes for the states of each cell.
    shapes = flatten_results(
        [shape if isinstance(shape[0], list | tuple) else [shape] for shape in layer.compute_output_shape(given)]
    )
    for number, (shape, result) in enumerate(zip(shapes, found, strict=True)):
        declared.record_shape(f"result{number}", shape, result)


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
