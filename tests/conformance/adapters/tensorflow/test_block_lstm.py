"""tf.raw_ops.BlockLSTM and BlockLSTMV2 equal the reference with every option, except V2's gradients."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.tensorflow.block_lstm import TFBlockLSTM, TFBlockLSTMV2
from conformance.cases.case import Case

FORWARD = {"check": ("output", "h_n", "c_n")}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "direction": "bidirectional", "batch_first": True},
    {"hidden_size": (4, 2), "direction": "reverse"},
    {"peepholes": True, "direction": "bidirectional"},
]


@pytest.mark.parametrize("options", [*OPTIONS, {"forget_bias": 1.5}, {"cell_clip": 0.5, **FORWARD}], ids=str)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert 1e-9 < deviation(TFBlockLSTM(), {"dtype": "float32"} | options) < 1e-5


@pytest.mark.parametrize("options", [*OPTIONS, {"cell_clip": 0.5}], ids=str)
def test_v2_equals_the_reference_forward(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert 1e-9 < deviation(TFBlockLSTMV2(), {"dtype": "float32"} | options | FORWARD) < 1e-5


def test_gradients_of_v2_are_wrong(deviation: Callable[..., float]) -> None:
    assert deviation(TFBlockLSTMV2(), {"dtype": "float32"}) > 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float32", "lengths": "ragged"}, "a single seq_len_max for all rows"),
        ({}, "registered for float32 and float16 only"),
        ({"dtype": "float32", "bias": False}, "always has biases"),
        ({"dtype": "float32", "initial_state": "omitted"}, "needs an initial state"),
    ],
    ids=str,
)
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (TFBlockLSTM().supports(case(**options)) or "")


@pytest.mark.parametrize("adapter", [TFBlockLSTM(), TFBlockLSTMV2()], ids=lambda adapter: adapter.name)
def test_passes_the_adapter_check(adapter: TFBlockLSTM) -> None:
    assert check_adapter(adapter) == []


def test_describe_reports_the_operation() -> None:
    assert "BlockLSTMV2" in TFBlockLSTMV2().describe()["path"]
