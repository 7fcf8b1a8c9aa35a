"""keras.layers.LSTM on TensorFlow, eager and traced, equals the reference with every option."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras import lstm as keras_lstm
from conformance.adapters.keras.lstm import KerasLSTM, KerasLSTMTraced
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to

BOTH_WAYS = {"direction": "bidirectional"}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3, "batch_first": True},
    {"num_layers": 3, **BOTH_WAYS},
    {"num_layers": 2, "reverse_hidden_size": 2, **BOTH_WAYS},
    {"hidden_size": (4, 2), **BOTH_WAYS, "mode": "train"},
    {"bias": False, "initial_state": "omitted"},
    {"lengths": "ragged"},
    {"lengths": (2, 0, 4, 1), "num_layers": 3, "batch_first": True},
    {"lengths": (2, 0, 4, 1), "num_layers": 3, **BOTH_WAYS},
]
MORE: list[dict[str, Any]] = [
    {"direction": "reverse", "lengths": (2, 0, 4, 1)},
    {"mask": "left", "lengths": (2, 0, 4, 1), "num_layers": 2},
    {"mask": "holed", "lengths": (2, 3, 4, 1), **BOTH_WAYS},
    {"activations": ("hard_sigmoid_6", "softsign", "softsign"), **BOTH_WAYS},
    {"activations": ("tanh", "elu", "elu")},
    {"input_dropout": 0.5, "mode": "train", "num_layers": 2, **BOTH_WAYS},
    {"input_dropout": 0.5, "mode": "eval"},
    {"check": ["jvp", "hvp"], "lengths": "ragged", "num_layers": 2},
]


@pytest.mark.parametrize("options", OPTIONS + MORE, ids=str)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(KerasLSTM(), options) < 1e-12


# Tracing takes one or two seconds each.
@pytest.mark.parametrize("options", OPTIONS[1::3], ids=str)
def test_traced_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(KerasLSTMTraced(), options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "reverse", "num_layers": 2}, "processing order"),
        ({"activations": ("sigmoid", "tanh", "relu")}, "a single activation for the candidate and for the cell state"),
        ({"activations": ("hard_sigmoid", "tanh", "tanh")}, "no activation hard_sigmoid with the suite's constants"),
        ({"recurrent_dropout": 0.5}, "a mask for each gate"),
        ({"batch": "unbatched"}, "needs a batch axis"),
        ({"proj_size": 2}, "has no projection"),
        ({"dropout": 0.5, "num_layers": 2}, "drops elements of the layer's input"),
    ],
)
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (KerasLSTM().supports(case(**options)) or "")


@pytest.mark.parametrize("adapter", [KerasLSTM(), KerasLSTMTraced()], ids=lambda adapter: adapter.name)
def test_passes_the_adapter_check(adapter: KerasLSTM) -> None:
    few = ("one layer", "no state", "lengths", "batch first", "forward only")
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name in few]) == []


@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-4), ("float16", 0.1), ("bfloat16", 0.5)])
def test_lower_precisions_are_computed_in_their_own_dtype(
    case: Callable[..., Case], deviation: Callable[..., float], dtype: str, within: float
) -> None:
    adapter, options = KerasLSTM(), {"dtype": dtype, "num_layers": 2, **BOTH_WAYS}
    reason = adapter.supports(case(**options))
    if reason is not None:
        assert dtype in reason
        return
    assert 1e-9 < deviation(adapter, options) < within
    for array in adapter.solve(make_problem(case(**options))).values():
        assert np.array_equal(array, round_to(dtype, array))


def test_each_layer_draws_its_own_mask(case: Callable[..., Case]) -> None:
    adapter, problem = KerasLSTM(), make_problem(case(input_size=40, input_dropout=0.25, mode="train", num_layers=2))
    masks = adapter.dropout_masks(problem)
    assert {name: mask.shape for name, mask in masks.items()} == {"input_l0": (4, 40), "input_l1": (4, 5)}
    assert np.unique(masks["input_l0"]).tolist() == [0, 1 / 0.75]
    # 160 draws: four standard deviations are 0.14.
    assert (masks["input_l0"] == 0).mean() == pytest.approx(0.25, abs=0.14)
    assert all(np.array_equal(mask, masks[name]) for name, mask in adapter.dropout_masks(problem).items())


def test_a_trace_is_reused_for_every_batch_and_number_of_steps(case: Callable[..., Case]) -> None:
    adapter = KerasLSTMTraced()
    adapter.solve(make_problem(case(hidden_size=3, num_layers=2)))
    traces = keras_lstm.trace_layer.cache_info().misses
    adapter.solve(make_problem(case(hidden_size=3, seq_len=7, batch=2, num_layers=3, batch_first=True)))
    assert keras_lstm.trace_layer.cache_info().misses == traces


def test_only_a_single_direction_repeats_its_output_over_padding(case: Callable[..., Case]) -> None:
    assert KerasLSTM().dialect(case()).padding == "repeat"
    assert KerasLSTM().dialect(case(**BOTH_WAYS)).padding == "zero"


def test_describe_reports_versions_and_handling() -> None:
    described = KerasLSTM().describe()
    assert described["keras"] == _keras.import_keras("tensorflow").__version__
    assert described["device"] == "CPU:0"
    assert "transposed" in described["time-major"]
    assert KerasLSTMTraced().describe()["path"] != described["path"]
