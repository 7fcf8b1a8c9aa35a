"""``keras.layers.LSTM`` on NumPy and on OpenVINO, the back ends without gradients."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS, GRADIENT_USES, KerasAdapter
from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.functions import StackFunction, StackInputs
from conformance.adapters.keras.loss import Loss
from conformance.verdict.random_arrays import Array


class NumPy(Backend):
    """NumPy."""

    name = "numpy"

    def describe(self) -> dict[str, str]:
        """Returns NumPy's version."""
        return {"numpy": np.__version__}

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts with ``keras.ops.convert_to_tensor``."""
        return self.keras().ops.convert_to_tensor(array, dtype)

    def to_array(self, tensor: Any) -> Array:
        """Copies with ``keras.ops.convert_to_numpy``."""
        return _keras.copy_array(self.keras().ops.convert_to_numpy(tensor))

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts with ``keras.ops.convert_to_tensor``."""
        return self.keras().ops.convert_to_tensor(valid)

    def run(self, stack: StackFunction, inputs: StackInputs, loss: Loss | None) -> tuple[list[Array], list[Array]]:
        """Runs the stack forward."""
        del loss
        return [self.to_array(target) for target in stack(*inputs)], []


class OpenVINO(NumPy):
    """OpenVINO, whose tensors Keras converts as those of NumPy."""

    name = "openvino"

    def describe(self) -> dict[str, str]:
        """Adds OpenVINO's version."""
        import openvino

        return super().describe() | {"openvino": openvino.__version__}


class KerasLSTMNumpy(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on NumPy."""

    name = "keras.layers.LSTM[numpy]"
    requires: tuple[str, ...] = ("keras", "jax")  # This back end of Keras imports JAX.
    install = "pip install keras jax"
    own_process = True
    environment: Mapping[str, str] = {"KERAS_BACKEND": "numpy"}
    backend = NumPy()
    path = "the layer called eagerly"
    features = KerasAdapter.features - {"gradients"} - GRADIENT_USES | ARGUMENTS
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "gradients": "this back end of Keras supports inference only",
    }


class KerasLSTMOpenVINO(KerasLSTMNumpy):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on OpenVINO."""

    name = "keras.layers.LSTM[openvino]"
    requires = ("keras", "openvino", "scipy")  # This back end of Keras imports SciPy.
    install = "pip install keras openvino scipy"
    default_tag = "core"
    environment: Mapping[str, str] = {"KERAS_BACKEND": "openvino"}
    backend = OpenVINO()
