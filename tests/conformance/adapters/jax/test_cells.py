"""Compares equinox.nn.LSTMCell, haiku.LSTM and jax.experimental.rnn.lstm_ref with the reference for each option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.jax.common import JaxAdapter
from conformance.adapters.jax.equinox import EquinoxLSTMCell
from conformance.adapters.jax.haiku import HaikuLSTM
from conformance.adapters.jax.lstm_ref import JaxLSTMRef
from conformance.cases.case import Case

pytest.importorskip("jax")
pytest.importorskip("equinox")
pytest.importorskip("haiku")

EQUINOX, HAIKU, REF = EquinoxLSTMCell(), HaikuLSTM(), JaxLSTMRef()
BOTH_WAYS = {"direction": "bidirectional"}


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        (EQUINOX, {"hidden_size": (3, 2), **BOTH_WAYS}),
        (EQUINOX, {"direction": "reverse", "bias": False, "batch_first": True}),
        (EQUINOX, {"batch": "unbatched"}),
        (HAIKU, {"hidden_size": (3, 2), "batch_first": True}),
        (HAIKU, {"direction": "reverse", "num_layers": 2, "initial_state": "omitted"}),
        (HAIKU, {"batch": "unbatched", "forget_bias": 1.0, **BOTH_WAYS}),
        (REF, {"num_layers": 2, **BOTH_WAYS}),
        (REF, {"lengths": "ragged", "batch_first": True}),
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: JaxAdapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, options) < 1e-12


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (EQUINOX, {"lengths": "ragged"}, "has no lengths"),
        (EQUINOX, {"initial_state": "omitted"}, "requires an initial state"),
        (HAIKU, {"lengths": "ragged"}, "have no lengths"),
        (HAIKU, {"bias": False}, "always has biases"),
        (HAIKU, {"forget_bias": 0.5}, "adds 1 to the forget gate, not 0.5"),
        (REF, {"direction": "reverse"}, "no reverse-only direction"),
        (REF, {"bias": False}, "always has biases"),
        (REF, {"hidden_size": (3, 2)}, "one hidden size for all layers"),
        (REF, {"dropout": 0.5, "num_layers": 2}, "refuses dropout"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], adapter: JaxAdapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


@pytest.mark.parametrize("adapter", [EQUINOX, HAIKU, REF], ids=lambda adapter: adapter.name)
def test_passes_the_adapter_check(adapter: JaxAdapter) -> None:
    few = [case for case in EXAMPLES if case.name in ("one layer", "one layer, other values", "lengths")]
    assert check_adapter(adapter, few) == []


@pytest.mark.parametrize(
    ("adapter", "package"), [(EQUINOX, "equinox"), (HAIKU, "haiku"), (REF, "jax")], ids=lambda each: str(each)
)
def test_describe_reports_versions_and_method(adapter: JaxAdapter, package: str) -> None:
    described = adapter.describe()
    assert described[package]
    assert "jax.vjp" in described["gradients"]
