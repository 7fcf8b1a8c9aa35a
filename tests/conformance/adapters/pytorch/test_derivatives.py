"""Derivatives along a direction, of torch's forms of the LSTM."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

from conformance.adapters import Adapter
from conformance.adapters.pytorch.graphs import TorchLSTMCompiled
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.adapters.pytorch.lstm_cell import TorchLSTMCell
from conformance.adapters.pytorch.modes import TorchLSTMNative, TorchLSTMScript
from conformance.cases.case import Case

BOTH: dict[str, Any] = {"check": ["output", "gradients", "jvp", "hvp"]}
STACKED: dict[str, Any] = {"num_layers": 2, "direction": "bidirectional"}


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        (TorchLSTM(), {**BOTH, "proj_size": 2, "batch_first": True}),
        (TorchLSTM(), {"check": ["hvp"], "lengths": "ragged", "padding": "nan"}),
        (TorchLSTM(), {"check": ["jvp"], "initial_state": "omitted", "batch": "unbatched"}),
        (TorchLSTM(), {**BOTH, "chunks": [1, 3], "memory": "aliased"}),
        (TorchLSTMNative(), {**BOTH, **STACKED, "dropout": 0.5, "mode": "train"}),
        (TorchLSTMScript(), {"check": ["gradients", "hvp"], "cotangents": ["c_n"]}),
        (TorchLSTMCell(), {**BOTH, **STACKED, "bias": False}),
        (TorchLSTMCell(), {"check": ["jvp", "hvp"], "hidden_size": [5, 3]}),
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, options) < 1e-12


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (TorchLSTM(), {"check": ["jvp"], "lengths": "ragged"}, "_pack_padded_sequence has no forward-mode derivative"),
        (TorchLSTM(), {"check": ["jvp"], "memory": "expanded"}, "refuses one with a stride of 0"),
        (TorchLSTMScript(), {"check": ["jvp"]}, "does not take a scripted module"),
        (TorchLSTMCompiled(), {"check": ["hvp"]}, "does not currently support double backward"),
    ],
    ids=str,
)
def test_reports_unsupported_derivatives(
    case: Callable[..., Case], adapter: Adapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


def test_only_onednn_has_no_forward_mode(case: Callable[..., Case]) -> None:
    single = case(check=["jvp"], dtype="float32")
    reason = TorchLSTM().supports(single)
    assert reason is None or "mkldnn_rnn_layer" in reason
    assert TorchLSTMNative().supports(single) is None
    assert TorchLSTM().supports(case(check=["jvp"])) is None
