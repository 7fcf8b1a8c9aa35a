"""``tf_keras.layers.LSTM``: Keras 2, which TensorFlow still publishes alongside Keras 3."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.keras.tensorflow_backend import TensorFlow


class TfKeras(TensorFlow):
    """TensorFlow under tf_keras, whose tensors and variables are TensorFlow's own."""

    def keras(self) -> Any:
        """Imports tf_keras."""
        with _keras.muted():
            import tf_keras
        return tf_keras

    def of_variable(self, variable: Any) -> Any:
        """Returns the variable itself, which is a TensorFlow variable."""
        return variable

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Concatenates with TensorFlow."""
        return self.tensorflow().concat(list(tensors), axis)

    def reverse(self, tensor: Any, axis: int) -> Any:
        """Reverses with TensorFlow."""
        return self.tensorflow().reverse(tensor, [axis])


class TfKerasLSTM(KerasLSTM):
    """Drives ``tf_keras.layers.LSTM`` and ``Bidirectional``, called eagerly."""

    name = "tf_keras.layers.LSTM"
    requires = ("tf_keras", "tensorflow")
    install = "pip install tensorflow-cpu tf_keras"
    own_process = True
    environment = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}  # noqa: RUF012
    backend = TfKeras()

    features = KerasLSTM.features - {"input dropout", "frozen", "saved"} - ARGUMENTS
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "frozen": "a variable of tf_keras is trainable or not from the start",
        "input dropout": "tf_keras does not expose the seed of its masks, so they cannot be known before the run",
    }
    activations: ClassVar[Mapping[str, str]] = {
        **{name: called for name, called in KerasLSTM.activations.items() if name != "hard_sigmoid_6"},
        "hard_sigmoid": "hard_sigmoid",
    }
