"""Other ways through keras.layers.LSTM on TensorFlow: against the reference, option by option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.keras.adapter import KerasAdapter
from conformance.adapters.keras.variants import (
    KerasImplementation1,
    KerasLSTMStateful,
    KerasLSTMUnrolled,
    KerasStackedCells,
)
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
def test_stacked_cells_run_backwards_and_drop(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(KerasStackedCells(), options) < 1e-12


def test_a_layer_that_fails_is_not_unsupported(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(KerasImplementation1().keras().layers.LSTMCell, "call", fail)
    assert KerasImplementation1().supports(case(dtype="float32")) is None


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (KerasImplementation1(), {"direction": "bidirectional"}, "leaves out implementation"),
        (KerasStackedCells(), {"direction": "bidirectional"}, "before it joins directions"),
        (KerasLSTMStateful(), {}, "nothing is differentiated"),
        (KerasLSTMStateful(), {"check": FORWARD, "seq_len": 1}, "cannot be split"),
        (KerasLSTMStateful(), {"check": FORWARD, "direction": "reverse"}, "cannot be read backwards"),
    ],
    ids=str,
)
def test_says_what_it_lacks(
    case: Callable[..., Case], adapter: KerasAdapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


@pytest.mark.parametrize("adapter", VARIANTS, ids=lambda adapter: adapter.name)
def test_keeps_the_contract(adapter: KerasAdapter) -> None:
    few = [case for case in EXAMPLES if case.name in ("one layer", "a size per layer", "forward only")]
    assert check_adapter(adapter, few) == []


def test_bidirectional_loses_the_implementation() -> None:
    keras = KerasImplementation1().keras()
    both = keras.layers.Bidirectional(keras.layers.LSTM(2, implementation=1))
    assert both.forward_layer.cell.implementation == 2


def test_a_stateful_layer_carries_its_state(case: Callable[..., Case]) -> None:
    adapter = KerasLSTMStateful()
    adapter.solve(make_problem(case(check=FORWARD)))
    key = adapter.key(case(check=FORWARD), (0,))
    assert abs(adapter.array(adapter.made(key, 0).states[0].value)).max() > 0
