"""Variants of keras.layers.LSTM on TensorFlow equal the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import EXAMPLES, check_adapter, check_adapters
from conformance.adapters.keras.adapter import KerasAdapter
from conformance.adapters.keras.lstm import KerasLSTM, KerasLSTMTraced
from conformance.adapters.keras.variants import (
    KerasImplementation1,
    KerasLSTMStateful,
    KerasLSTMUnrolled,
    KerasStackedCells,
)
from conformance.adapters.tensorflow.block_lstm import TFBlockLSTM, TFBlockLSTMV2
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

FORWARD = ("output", "h_n", "c_n")
VARIANTS = [KerasLSTMUnrolled(), KerasImplementation1(), KerasStackedCells(), KerasLSTMStateful()]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2, "batch_first": True},
    {"hidden_size": (4, 2), "bias": False, "initial_state": "omitted"},
    {"lengths": (2, 0, 4, 1), "num_layers": 2},
    {"mask": "left", "lengths": (2, 1, 4, 1), "num_layers": 2},
    {"activations": ("hard_sigmoid_6", "relu", "relu")},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("adapter", VARIANTS, ids=lambda adapter: adapter.name)
def test_equals_the_reference(deviation: Callable[..., float], adapter: KerasAdapter, options: dict[str, Any]) -> None:
    check = {} if "gradients" in adapter.features else {"check": FORWARD}
    assert deviation(adapter, options | check) < 1e-12


@pytest.mark.parametrize(
    "options",
    [{"direction": "reverse", "num_layers": 2}, {"input_dropout": 0.5, "mode": "train", "num_layers": 2, "batch": 6}],
    ids=str,
)
def test_stacked_cells_support_reverse_and_input_dropout(
    deviation: Callable[..., float], options: dict[str, Any]
) -> None:
    assert deviation(KerasStackedCells(), options) < 1e-12


def test_a_failing_layer_is_not_reported_as_unsupported(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(KerasImplementation1().backend.keras().layers.LSTMCell, "call", fail)
    assert KerasImplementation1().supports(case(dtype="float32")) is None


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (KerasImplementation1(), {"direction": "bidirectional"}, "omits `implementation`"),
        (KerasStackedCells(), {"direction": "bidirectional"}, "only after the last layer"),
        (KerasLSTMStateful(), {}, "gradients do not pass through"),
        (KerasLSTMStateful(), {"check": FORWARD, "seq_len": 1}, "cannot be split"),
        (KerasLSTMStateful(), {"check": FORWARD, "direction": "reverse"}, "cannot be read backwards"),
    ],
    ids=str,
)
def test_reports_unsupported_options(
    case: Callable[..., Case], adapter: KerasAdapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


@pytest.mark.parametrize("adapter", VARIANTS, ids=lambda adapter: adapter.name)
def test_passes_the_adapter_check(adapter: KerasAdapter) -> None:
    few = ("one layer", "no state", "a size per layer")
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name in few]) == []


def test_tensorflow_adapters_do_not_disturb_each_other() -> None:
    adapters = [KerasLSTM(), *VARIANTS, KerasLSTMTraced(), TFBlockLSTM(), TFBlockLSTMV2()]
    few = ("one layer", "one layer, other values", "no state", "lengths", "a size per layer")
    violations = check_adapters(adapters, [case for case in EXAMPLES if case.name in few])
    # A single stacked cell with a mask raises: a known divergence.
    assert {line.partition(":")[0] for line in violations} == {f"lengths[{KerasStackedCells.name}]"}
    assert all("supports returned None, but solve raised ValueError" in line for line in violations)


def test_bidirectional_resets_the_implementation() -> None:
    keras = KerasImplementation1().backend.keras()
    both = keras.layers.Bidirectional(keras.layers.LSTM(2, implementation=1))
    assert both.forward_layer.cell.implementation == 2


def test_a_stateful_layer_carries_its_state(case: Callable[..., Case]) -> None:
    adapter = KerasLSTMStateful()
    adapter.solve(make_problem(case(check=FORWARD)))
    config = adapter.layer_config(case(check=FORWARD), (0,))
    assert abs(adapter.backend.to_array(adapter.get_layer(config, 0).states[0].value)).max() > 0
