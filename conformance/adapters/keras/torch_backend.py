"""``keras.layers.LSTM`` on PyTorch, which on a CPU runs it step by step."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import Array, Given, KerasAdapter, Stack, Tensors, flat
from conformance.adapters.keras.stacked import StackedCells
from conformance.adapters.pytorch import common as _torch


class KerasLSTMTorch(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on PyTorch, called as a module."""

    name = "keras.layers.LSTM[torch]"
    requires = ("keras", "torch")
    install = "pip install keras torch"
    own_process = True
    environment = {"KERAS_BACKEND": "torch"}  # noqa: RUF012

    def describe(self) -> dict[str, str]:
        """Versions, device, and what the adapter does around the layer."""
        keras = _keras.keras("torch")
        import torch

        return {
            "keras": keras.__version__,
            "torch": torch.__version__,
            "device": str(keras.ops.zeros(()).device),
            "threads": str(torch.get_num_threads()),
            "path": "the layer called as a module",
            "gradients": "torch.autograd",
            **self.around,
        }

    def made(self, key: _keras.Key, position: int) -> Any:
        """The layer, made when first needed."""
        return _made(key, position)

    def tensor(self, array: Array, dtype: str) -> Any:
        """A tensor of the case's dtype."""
        return _torch.to_tensors({"": array}, dtype)[""]

    def array(self, tensor: Any) -> Array:
        """Detached, a copy."""
        return _torch.to_array(tensor)

    def mask(self, valid: NDArray[np.bool_]) -> Any:
        """A tensor."""
        import torch

        return torch.from_numpy(valid.copy())

    def run(self, stack: Stack, given: Given, cotangents: Tensors | None) -> tuple[list[Array], list[Array]]:
        """By ``torch.autograd`` where gradients are wanted."""
        import torch

        sources = flat(given)
        if cotangents is None:
            with torch.no_grad():
                return [_torch.to_array(target) for target in stack(*given)], []
        for source in sources:
            source.requires_grad_()
        targets = stack(*given)
        cast = [cotangent.to(target.dtype) for cotangent, target in zip(cotangents, targets, strict=True)]
        gradients = torch.autograd.grad(targets, sources, cast)
        return [_torch.to_array(target) for target in targets], [_torch.to_array(gradient) for gradient in gradients]


class KerasLSTMTorchUnrolled(KerasLSTMTorch):
    """With ``unroll=True``, which acts only where there is a mask."""

    name = "keras.layers.LSTM[torch,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsTorch(StackedCells, KerasLSTMTorch):
    """Layers as cells of one ``keras.layers.RNN``."""

    name = "keras.layers.RNN[torch,StackedRNNCells]"


@lru_cache(maxsize=64)
def _made(key: _keras.Key, position: int) -> Any:
    del position
    return _keras.build(_keras.keras("torch"), key)
