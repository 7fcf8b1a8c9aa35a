"""Compares ncnn's LSTM with the reference for each option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.others.ncnn import NcnnLSTM
from conformance.cases.case import Case

FORWARD = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "direction": "bidirectional"},
        {"num_layers": 2, "direction": "reverse", "batch_first": True},
        {"hidden_size": (4, 2), "direction": "bidirectional"},
        {"hidden_size": 20, "input_size": 100, "seq_len": 10},
        {"initial_state": "omitted", "num_layers": 2},
        {"batch": "unbatched", "num_layers": 2, "direction": "bidirectional"},
        {"proj_size": 2, "num_layers": 2, "direction": "bidirectional"},
        {"chunks": (1, 3), "hidden_size": (4, 2)},
        {"earlier_calls": ("longer", "error", "same"), "initial_state": "omitted"},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    pytest.importorskip("ncnn")
    assert 0 < deviation(NcnnLSTM(), FORWARD | options) < 2e-6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"check": ("output",)}, "has no float64"),
        ({"dtype": "float32"}, "has no gradients"),
        (FORWARD | {"bias": False}, "always has biases"),
        (FORWARD | {"lengths": "ragged"}, "has no lengths"),
        (FORWARD | {"refuses": "c_0-rows"}, "has no batch axis"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (NcnnLSTM().supports(case(**options)) or "")


def test_passes_the_adapter_check() -> None:
    pytest.importorskip("ncnn")
    assert check_adapter(NcnnLSTM()) == []


def test_describe_reports_rows_and_precision() -> None:
    pytest.importorskip("ncnn")
    described = NcnnLSTM().describe()
    assert "one extractor per row" in described["rows"]
    assert "bf16_* are off" in described["precision"]
