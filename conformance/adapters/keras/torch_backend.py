"""Keras' back end PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras.backend import Backend
from conformance.adapters.keras.functions import StackFunction, StackInputs, Tensors, flatten_sources
from conformance.adapters.keras.loss import Loss
from conformance.adapters.pytorch import common as _torch
from conformance.verdict.random_arrays import Array


class Torch(Backend):
    """PyTorch, which differentiates with ``torch.autograd``."""

    name = "torch"

    def describe(self) -> dict[str, str]:
        """Returns version, device and threads, and how gradients are computed."""
        keras = self.keras()
        import torch

        return {
            "torch": torch.__version__,
            "device": str(keras.ops.zeros(()).device),
            "threads": str(torch.get_num_threads()),
            "gradients": "torch.autograd",
        }

    def to_tensor(self, array: Array, dtype: str) -> Any:
        """Copies to a tensor."""
        return _torch.to_tensors({"": array}, dtype)[""]

    def to_array(self, tensor: Any) -> Array:
        """Copies to NumPy."""
        return _torch.to_array(tensor)

    def to_mask(self, valid: NDArray[np.bool_]) -> Any:
        """Copies to a tensor."""
        import torch

        return torch.from_numpy(valid.copy())

    def run(self, stack: StackFunction, inputs: StackInputs, loss: Loss | None) -> tuple[list[Array], list[Array]]:
        """Differentiates with ``torch.autograd``."""
        import torch

        if loss is None:
            with torch.no_grad():
                return [self.to_array(target) for target in stack(*inputs)], []
        sources = _require_gradients(loss.select(flatten_sources(inputs)))
        targets = stack(*inputs)
        # A tensor that the loss does not depend on has a gradient of zeros.
        read, cotangents = _read(loss, targets)
        gradients = torch.autograd.grad(read, sources, cotangents, materialize_grads=True)
        return [self.to_array(target) for target in targets], [self.to_array(gradient) for gradient in gradients]

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Differentiates with ``torch.autograd.grad(create_graph=True)``."""
        import torch

        sources = _require_gradients(flatten_sources(inputs))
        read, cotangents = _read(loss, stack(*inputs))
        gradients = torch.autograd.grad(read, sources, cotangents, create_graph=True, materialize_grads=True)
        # A gradient that depends on no source has a second derivative of 0.
        pairs = [pair for pair in zip(gradients, direction, strict=True) if pair[0].requires_grad]
        products = torch.autograd.grad(
            [gradient for gradient, _ in pairs], sources, [tangent for _, tangent in pairs], materialize_grads=True
        )
        return [self.to_array(product) for product in products]


def _require_gradients(sources: Tensors) -> Tensors:
    """Marks tensors as those to differentiate with respect to, and returns them."""
    return [source.requires_grad_() for source in sources]


def _read(loss: Loss, targets: Sequence[Any]) -> tuple[Tensors, Tensors]:
    """Returns the results that a loss reads, and their cotangents in the dtypes of the results."""
    read, cotangents = loss.read(targets)
    return read, [cotangent.to(target.dtype) for cotangent, target in zip(cotangents, read, strict=True)]
