"""``keras.layers.LSTM`` on NumPy and on OpenVINO, back ends without gradients."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Array, Given, KerasAdapter, Stack, Tensors


class KerasLSTMNumpy(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on NumPy."""

    name = "keras.layers.LSTM[numpy]"
    requires: tuple[str, ...] = ("keras", "jax")  # This back end of Keras imports JAX.
    install = "pip install keras jax"
    own_process = True
    environment: Mapping[str, str] = {"KERAS_BACKEND": "numpy"}
    backend: ClassVar[str] = "numpy"
    features = KerasAdapter.features - {"gradients"}
    lacks: ClassVar[Mapping[str, str]] = {**KerasAdapter.lacks, "gradients": "this back end of Keras is for inference"}

    def describe(self) -> dict[str, str]:
        """Versions, and what the adapter does around the layer."""
        keras = _keras.keras(self.backend)
        return {"keras": keras.__version__, "numpy": np.__version__, "path": "the layer called eagerly", **self.around}

    def made(self, key: _keras.Key, position: int) -> Any:
        """The layer, made when first needed."""
        return _made(self.backend, key, position)

    def tensor(self, array: Array, dtype: str) -> Any:
        """What the back end computes with."""
        return _keras.keras(self.backend).ops.convert_to_tensor(array, dtype)

    def array(self, tensor: Any) -> Array:
        """A copy."""
        return _keras.fresh(_keras.keras(self.backend).ops.convert_to_numpy(tensor))

    def mask(self, valid: NDArray[np.bool_]) -> Any:
        """What the back end computes with."""
        return _keras.keras(self.backend).ops.convert_to_tensor(valid)

    def run(self, stack: Stack, given: Given, cotangents: Tensors | None) -> tuple[list[Array], list[Array]]:
        """The stack alone."""
        del cotangents
        return [self.array(target) for target in stack(*given)], []


class KerasLSTMOpenVINO(KerasLSTMNumpy):
    """Drives them on OpenVINO."""

    name = "keras.layers.LSTM[openvino]"
    requires = ("keras", "openvino")
    install = "pip install keras openvino"
    default_tag = "core"
    environment: Mapping[str, str] = {"KERAS_BACKEND": "openvino"}
    backend = "openvino"

    def describe(self) -> dict[str, str]:
        """OpenVINO's version too."""
        import openvino

        return {**super().describe(), "openvino": openvino.__version__}


@lru_cache(maxsize=64)
def _made(backend: str, key: _keras.Key, position: int) -> Any:
    del position
    return _keras.build(_keras.keras(backend), key)
