"""The torch adapters do not disturb each other in one process."""

from collections.abc import Callable

import pytest
import torch

from conformance.adapters import Adapter
from conformance.adapters.check import EXAMPLES, check_adapters
from conformance.adapters.pytorch.graphs import TorchLSTMCompiled, TorchLSTMDecomposed, TorchLSTMExport
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.adapters.pytorch.lstm_cell import TorchLSTMCell
from conformance.adapters.pytorch.modes import (
    TorchLSTMFunctionalCall,
    TorchLSTMNative,
    TorchLSTMScript,
    TorchLSTMVmap,
)
from conformance.adapters.pytorch.onnx_export import TorchOnnxLegacy
from conformance.adapters.pytorch.quantizable import QuantizableLSTM, QuantizableLSTMFromFloat, QuantizableLSTMSplit
from conformance.adapters.pytorch.reduced_precision import (
    TorchDynamicInt8,
    TorchDynamicInt8PerChannel,
    TorchDynamicLSTM,
    TorchLSTMAutocast,
)
from conformance.cases.case import Case

EAGER: list[type[Adapter]] = [
    *(TorchLSTM, TorchLSTMNative, TorchLSTMFunctionalCall, TorchLSTMVmap, TorchLSTMScript, TorchLSTMCell),
    *(QuantizableLSTM, QuantizableLSTMSplit, QuantizableLSTMFromFloat, TorchDynamicLSTM, TorchLSTMAutocast),
    *(TorchDynamicInt8, TorchDynamicInt8PerChannel),
]
RAISE = {
    "lengths[torch.nn.LSTM[functional_call]]",
    "unbatched[torch.ao.nn.quantizable.LSTM]",
    "unbatched[torch.ao.nn.quantizable.LSTM[split_gates]]",
    "unbatched[torch.ao.nn.quantizable.LSTM[from_float]]",
    "two layers both ways[torch.ao.nn.quantizable.LSTM]",
    "two layers both ways[torch.ao.nn.quantizable.LSTM[split_gates]]",
}
"""Known divergences in which an implementation raises."""


def test_eager_adapters_do_not_disturb_each_other_even_if_one_raises() -> None:
    violations = check_adapters([kind() for kind in EAGER], EXAMPLES)
    assert {line.partition(":")[0] for line in violations} == RAISE
    assert all("supports returned None, but solve raised RuntimeError" in line for line in violations)


def test_exporters_and_compilers_do_not_disturb_eager_adapters(case: Callable[..., Case]) -> None:
    pytest.importorskip("onnxruntime")
    kinds: list[type[Adapter]] = [
        *(TorchLSTM, TorchLSTMExport, TorchLSTMVmap, TorchLSTMScript, TorchLSTMDecomposed, TorchLSTMFunctionalCall),
        *(TorchLSTMCompiled, TorchOnnxLegacy, QuantizableLSTMFromFloat),
    ]
    small = {"hidden_size": 3, "seq_len": 2, "batch": 2, "dtype": "float32"}
    assert check_adapters([kind() for kind in kinds], [case(**small, name="small")]) == []


def test_torch_functional_call_leaves_its_tensors_in_flat_weights() -> None:
    """If this fails, torch restores them, and ``build_module`` may share modules again."""
    lstm = torch.nn.LSTM(2, 3)
    given = {name: torch.zeros_like(parameter) for name, parameter in lstm.named_parameters()}
    torch.func.functional_call(lstm, given, (torch.zeros(4, 1, 2),))
    assert lstm._flat_weights[0] is not lstm.weight_ih_l0
