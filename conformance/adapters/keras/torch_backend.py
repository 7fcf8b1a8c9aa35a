"""``keras.layers.LSTM`` on PyTorch, where it runs step by step on a CPU."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import ARGUMENTS, KerasAdapter
from conformance.adapters.keras.functions import Array, StackFunction, StackInputs, Tensors, flatten_sources
from conformance.adapters.keras.loss import Loss
from conformance.adapters.keras.stacked import StackedCells
from conformance.adapters.pytorch import common as _torch


class KerasLSTMTorch(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on PyTorch, called as modules."""

    name = "keras.layers.LSTM[torch]"
    requires: tuple[str, ...] = ("keras", "torch")
    install = "pip install keras torch"
    own_process = True
    environment = {"KERAS_BACKEND": "torch"}  # noqa: RUF012
    features = KerasAdapter.features | ARGUMENTS | {"second derivatives"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "forward derivatives": "the layer's variables are torch parameters, which cannot carry a forward derivative",
    }

    def describe(self) -> dict[str, str]:
        """Returns versions and device, and how the adapter handles layers, lengths and the time axis."""
        keras = _keras.import_keras("torch")
        import torch

        return {
            "keras": keras.__version__,
            "torch": torch.__version__,
            "device": str(keras.ops.zeros(()).device),
            "threads": str(torch.get_num_threads()),
            "path": "the layer called as a module",
            "gradients": "torch.autograd",
            **self.handling,
        }

    def get_layer(self, config: _keras.LayerConfig, position: int) -> Any:
        """Returns a layer to call as a module."""
        return _get_layer(config.of_layer, position)

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

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Differentiates with ``torch.autograd``."""
        import torch

        if loss is None:
            with torch.no_grad():
                return [_torch.to_array(target) for target in stack(*inputs)], []
        sources = loss.select(flatten_sources(inputs))
        for source in sources:
            source.requires_grad_()
        targets = stack(*inputs)
        read, cotangents = loss.read(targets)
        cast = [cotangent.to(target.dtype) for cotangent, target in zip(cotangents, read, strict=True)]
        # A tensor that the loss does not depend on has a gradient of zeros.
        gradients = torch.autograd.grad(read, sources, cast, materialize_grads=True)
        return [_torch.to_array(target) for target in targets], [_torch.to_array(gradient) for gradient in gradients]

    def second_derivatives(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss, direction: Tensors
    ) -> list[Array]:
        """Differentiates with ``torch.autograd.grad(create_graph=True)``."""
        import torch

        sources = flatten_sources(inputs)
        for source in sources:
            source.requires_grad_()
        read, cotangents = loss.read(stack(*inputs))
        cast = [cotangent.to(target.dtype) for cotangent, target in zip(cotangents, read, strict=True)]
        gradients = torch.autograd.grad(read, sources, cast, create_graph=True, materialize_grads=True)
        # A gradient that depends on no source has a second derivative of 0.
        pairs = [pair for pair in zip(gradients, direction, strict=True) if pair[0].requires_grad]
        products = torch.autograd.grad(
            [gradient for gradient, _ in pairs], sources, [tangent for _, tangent in pairs], materialize_grads=True
        )
        return [_torch.to_array(product) for product in products]


class KerasLSTMTorchUnrolled(KerasLSTMTorch):
    """Drives layers with ``unroll=True``, which takes effect only with a mask."""

    name = "keras.layers.LSTM[torch,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsTorch(StackedCells, KerasLSTMTorch):
    """Drives one ``keras.layers.RNN`` with a cell per layer."""

    name = "keras.layers.RNN[torch,StackedRNNCells]"


@lru_cache(maxsize=64)
def _get_layer(config: _keras.LayerConfig, position: int) -> Any:
    del position
    return _keras.build_layer(_keras.import_keras("torch"), config)
