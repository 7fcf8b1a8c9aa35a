"""Uses of keras.layers.LSTM on TensorFlow equal the reference, and reach the layer as Keras' users make them."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.keras.variants import KerasLSTMStateful
from conformance.cases.case import Case
from conformance.verdict.declared import recording
from conformance.verdict.problem import make_problem

USES: list[dict[str, Any]] = [
    {"cotangents": ["c_n"], "num_layers": 2},
    {"frozen": ["weight_ih_l0", "bias_ih_l0", "bias_hh_l0", "h_0"], "num_layers": 2},
    {"built_seq_len": 1, "built_batch": 2},
    {"chunks": [1, 3], "num_layers": 2, "initial_state": "omitted"},
    {"earlier_calls": ["longer", "fewer-rows", "error", "no-grad", "other-weights"]},
    {"earlier_calls": ["other-mode"], "mode": "train", "input_dropout": 0.5},
    {"saved": True, "direction": "bidirectional", "reverse_hidden_size": 2},
    {"batching": "alone", "lengths": (2, 1, 4, 1)},
    {"batching": "permuted", "direction": "bidirectional"},
    {"graph": "twice", "lengths": (2, 1, 4, 1), "num_layers": 2},
    {"graph": "encoder-decoder", "num_layers": 2, "frozen": ["weight_hh_l1"]},
    {"graph": "parallel", "direction": "bidirectional", "initial_state": "omitted"},
]


@pytest.mark.parametrize("options", USES, ids=str)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(KerasLSTM(), options) < 1e-12


def test_a_stateful_layer_keeps_its_state_from_piece_to_piece(deviation: Callable[..., float]) -> None:
    check = {"check": ("output", "h_n", "c_n")}
    for options in ({"chunks": [1, 2, 1], "num_layers": 2}, {"chunks": [3, 1], "earlier_calls": ["same"]}):
        assert deviation(KerasLSTMStateful(), {**options, **check}) < 1e-12


def test_one_of_two_biases_cannot_be_frozen(case: Callable[..., Case]) -> None:
    assert "bias of layer 0 holds a frozen parameter and one" in (
        KerasLSTM().supports(case(frozen=["bias_ih_l0"])) or ""
    )
    assert KerasLSTM().supports(case(frozen=["bias_ih_l0", "bias_hh_l0"])) is None


@pytest.mark.parametrize("options", [{"num_layers": 2}, {"direction": "bidirectional"}], ids=str)
def test_each_result_has_the_shape_that_its_layer_declares(case: Callable[..., Case], options: dict[str, Any]) -> None:
    problem = make_problem(case(check=("output",), **options))
    with recording() as shapes:
        KerasLSTM().solve(problem)
    assert len({shape.name for shape in shapes}) == (5 if "direction" in options else 3)
    assert all(shape.conforms and None not in shape.declared for shape in shapes)
