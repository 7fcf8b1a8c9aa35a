"""One Keras layer on any back end: its configuration, and how it is built, saved and loaded."""

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from conformance.adapters.keras.common import muted
from conformance.adapters.layout import KERAS

WEIGHTS = (KERAS.weight_ih, KERAS.weight_hh, KERAS.bias_ih)
"""Names of a layer's weights for one direction, in Keras' order. Without biases, the first two."""


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


@lru_cache(maxsize=64)
def get_layer(keras: Any, config: LayerConfig, position: int) -> Any:
    """Builds a layer, or returns the one built earlier for the same configuration and position."""
    del position
    return build_layer(keras, config)


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


def cells_of(layer: Any, config: LayerConfig) -> list[Any]:
    """Returns the cells of a layer: one for each direction or, if they are stacked, one for each layer."""
    if config.bidirectional:
        return [layer.forward_layer.cell, layer.backward_layer.cell]
    return list(layer.cell.cells) if isinstance(config.units, tuple) else [layer.cell]


def restart_dropout(cells: Sequence[Any]) -> None:
    """Resets the seed generators of cells, so that dropout draws the same masks again."""
    for cell in cells:
        cell.reset_dropout_mask()
        cell.seed_generator.state.assign([cell.seed, 0])
