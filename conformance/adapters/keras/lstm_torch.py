"""``keras.layers.LSTM`` on PyTorch, where it runs step by step on a CPU."""

from collections.abc import Mapping
from typing import Any, ClassVar

from conformance.adapters.keras.adapter import ARGUMENTS, KerasAdapter
from conformance.adapters.keras.stacked import StackedCells
from conformance.adapters.keras.torch_backend import Torch


class KerasLSTMTorch(KerasAdapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional`` on PyTorch, called as modules."""

    name = "keras.layers.LSTM[torch]"
    requires: tuple[str, ...] = ("keras", "torch")
    install = "pip install keras torch"
    own_process = True
    environment = {"KERAS_BACKEND": "torch"}  # noqa: RUF012
    backend: ClassVar[Torch] = Torch()
    path = "the layer called as a module"
    features = KerasAdapter.features | ARGUMENTS | {"second derivatives"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasAdapter.lacks,
        "forward derivatives": "the layer's variables are torch parameters, which cannot carry a forward derivative",
    }


class KerasLSTMTorchUnrolled(KerasLSTMTorch):
    """Drives layers with ``unroll=True``, which takes effect only with a mask."""

    name = "keras.layers.LSTM[torch,unroll]"
    options: ClassVar[Mapping[str, Any]] = {"unroll": True}


class KerasStackedCellsTorch(StackedCells, KerasLSTMTorch):
    """Drives one ``keras.layers.RNN`` with a cell per layer."""

    name = "keras.layers.RNN[torch,StackedRNNCells]"
