"""torch.onnx.export by both exporters, run on ONNX Runtime, equals the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.onnx_export import TorchOnnx, TorchOnnxDynamo, TorchOnnxLegacy
from conformance.cases.case import Case

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}
BOTH_WAYS = {"direction": "bidirectional"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, **BOTH_WAYS, "batch_first": True, "dropout": 0.5},
        {"bias": False, "initial_state": "omitted"},
        {"batch": "unbatched", **BOTH_WAYS},
        {"lengths": "ragged", "padding": "nan", "num_layers": 2, **BOTH_WAYS},
        {"lengths": "ragged", "batch_first": True, "initial_state": "omitted"},
    ],
    ids=str,
)
def test_legacy_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(TorchOnnxLegacy(), SINGLE | options) < 2e-6


def test_dynamo_equals_the_reference(deviation: Callable[..., float]) -> None:
    pytest.importorskip("onnxscript")
    options = {"num_layers": 2, **BOTH_WAYS, "batch_first": True}
    assert deviation(TorchOnnxDynamo(), SINGLE | options) < 2e-6


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (TorchOnnxLegacy(), {"proj_size": 2}, "refuses LSTMs with projections"),
        (TorchOnnxLegacy(), {"lengths": (4, 0, 1, 2)}, "pack_padded_sequence refuses lengths of 0"),
        (TorchOnnxLegacy(), {"dropout": 0.5, "num_layers": 2, "mode": "train"}, "dropout is inactive"),
        (TorchOnnxDynamo(), {"lengths": "ragged"}, "torch.export cannot export pack_padded_sequence"),
        (TorchOnnxDynamo(), {"dtype": "float64"}, "does not support double yet"),
    ],
)
def test_reports_unsupported_options(
    case: Callable[..., Case], adapter: TorchOnnx, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**SINGLE | options)) or "")


def test_passes_the_adapter_check() -> None:
    assert check_adapter(TorchOnnxLegacy()) == []


def test_describe_reports_versions() -> None:
    described = TorchOnnxLegacy().describe()
    assert {"torch", "onnxruntime", "export"} <= described.keys()
