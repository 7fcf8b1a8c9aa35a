"""torch.nn.LSTMCell equals the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.lstm_cell import TorchLSTMCell
from conformance.cases.case import Case


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "direction": "bidirectional"},
        {"num_layers": 2, "direction": "reverse"},
        {"hidden_size": (4, 2, 3), "direction": "bidirectional", "batch_first": True},
        {"hidden_size": (4, 2), "initial_state": "omitted"},
        {"batch": "unbatched", "batch_first": True, "direction": "bidirectional"},
        {"batch": "unbatched", "hidden_size": (4, 2)},
        {"bias": False, "initial_state": "omitted", "mode": "train"},
        {"seq_len": 1, "initial_state": "h_0-only"},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(TorchLSTMCell(), options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lengths": "ragged"}, "has no lengths"),
        ({"proj_size": 2}, "has no projection"),
        ({"dropout": 0.5, "num_layers": 2}, "has no dropout"),
    ],
)
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (TorchLSTMCell().supports(case(**options)) or "")


def test_passes_the_adapter_check() -> None:
    assert check_adapter(TorchLSTMCell()) == []


def test_describe_reports_the_loop() -> None:
    assert "loop over time" in TorchLSTMCell().describe()["stacked"]
