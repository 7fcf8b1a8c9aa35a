"""A back end of Keras: its tensors, and how it runs and differentiates functions of layers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.functions import StackFunction, StackInputs, Tensors
from conformance.adapters.keras.loss import Loss
from conformance.verdict.random_arrays import Array


class Backend(ABC):
    """Base of the back ends. A back end without derivatives inherits the methods that raise ``NotImplementedError``."""

    name: ClassVar[str]
    """Keras' name of the back end."""

    def keras(self) -> Any:
        """Imports Keras."""
        return _keras.import_keras(self.name)

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Returns versions, device and threads, and how gradients are computed."""

    @abstractmethod
    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Converts an array to a tensor. bfloat16 arrays are float32."""

    @abstractmethod
    def to_array(self, tensor: Any) -> Array:
        """Copies a tensor to an array. bfloat16 becomes float32."""

    @abstractmethod
    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Converts a mask (B, T) to a tensor."""

    def of_variable(self, variable: Any) -> Any:
        """Returns the tensor of a layer's variable."""
        return variable.value

    def concatenate(self, tensors: Sequence[Any], axis: int) -> Any:
        """Concatenates tensors along an axis."""
        return self.keras().ops.concatenate(list(tensors), axis)

    def reverse(self, tensor: Any, axis: int) -> Any:
        """Reverses a tensor along an axis."""
        return self.keras().ops.flip(tensor, axis)

    @abstractmethod
    def run(self, stack: StackFunction, inputs: StackInputs, loss: Loss | None) -> tuple[list[Array], list[Array]]:
        """Runs a stack forward and, if there is a loss, backward.

        Returns:
            Copies of the results, and of the gradients of those of ``flatten_sources(inputs)`` that need one.
        """

    def forward_derivatives(self, stack: StackFunction, inputs: StackInputs, direction: Tensors) -> list[Array]:
        """Returns copies of the derivatives of the results along a direction, in forward mode.

        Args:
            stack: function that runs all layers.
            inputs: its arguments.
            direction: tangents of ``flatten_sources(inputs)``.
        """
        raise NotImplementedError(f"the {self.name} back end has no forward derivatives")

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Returns copies of the gradients of ⟨gradient, direction⟩, see ``forward_derivatives``."""
        raise NotImplementedError(f"the {self.name} back end has no second derivatives")

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns the exceptions that the back end raises for an unsupported dtype."""
        return (NotImplementedError, RuntimeError, TypeError, ValueError)
