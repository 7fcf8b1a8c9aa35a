"""``keras.layers.LSTM`` on NumPy and on OpenVINO, the back ends without gradients."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS, GRADIENT_USES, KerasAdapter
from conformance.adapters.keras.functions import Array, StackFunction, StackInputs
from conformance.adapters.keras.loss import Loss


class KerasLSTMNumpy(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on NumPy."""

    name = "keras.layers.LSTM[numpy]"
    requires: tuple[str, ...] = ("keras", "jax")  # This back end of Keras imports JAX.
    install = "pip install keras jax"
    own_process = True
    environment: Mapping[str, str] = {"KERAS_BACKEND": "numpy"}
    backend: ClassVar[str] = "numpy"
    features = KerasAdapter.features - {"gradients"} - GRADIENT_USES | ARGUMENTS
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "gradients": "this back end of Keras supports inference only",
    }

    def describe(self) -> dict[str, str]:
        """Returns versions, and how the adapter handles layers, lengths and the time axis."""
        keras = _keras.import_keras(self.backend)
        return {
            "keras": keras.__version__,
            "numpy": np.__version__,
            "path": "the layer called eagerly",
            **self.handling,
        }

    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns a layer built for this back end."""
        return _get_layer(self.backend, config.of_layer, position)

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts with ``keras.ops.convert_to_tensor``."""
        return _keras.import_keras(self.backend).ops.convert_to_tensor(array, dtype)

    def to_array(self, tensor: Any) -> Array:
        """Copies with ``keras.ops.convert_to_numpy``."""
        return _keras.copy_array(_keras.import_keras(self.backend).ops.convert_to_numpy(tensor))

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts with ``keras.ops.convert_to_tensor``."""
        return _keras.import_keras(self.backend).ops.convert_to_tensor(valid)

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Runs the stack forward."""
        del loss
        return [self.to_array(target) for target in stack(*inputs)], []


class KerasLSTMOpenVINO(KerasLSTMNumpy):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on OpenVINO."""

    name = "keras.layers.LSTM[openvino]"
    requires = ("keras", "openvino", "scipy")  # This back end of Keras imports SciPy.
    install = "pip install keras openvino scipy"
    default_tag = "core"
    environment: Mapping[str, str] = {"KERAS_BACKEND": "openvino"}
    backend = "openvino"

    def describe(self) -> dict[str, str]:
        """Adds OpenVINO's version."""
        import openvino

        return {**super().describe(), "openvino": openvino.__version__}


@lru_cache(maxsize=64)
def _get_layer(backend: str, config: _keras.LayerConfig, position: int) -> Any:
    del position
    return _keras.build_layer(_keras.import_keras(backend), config)
