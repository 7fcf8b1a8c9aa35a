"""The layers that are built for a case have its options."""

from collections.abc import Callable

import numpy as np

from conformance.adapters.keras.lstm import KerasLSTM, KerasLSTMTraced
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem


def test_a_frozen_weight_is_not_trainable(case: Callable[..., Case]) -> None:
    adapter, frozen = KerasLSTM(), case(frozen=["weight_hh_l0"])
    layer = adapter.get_layer(adapter.layer_config(frozen, (0,)), 0)
    assert [variable.name for variable in layer.non_trainable_weights] == ["recurrent_kernel"]
    assert "grad.weight_hh_l0" not in adapter.solve(make_problem(frozen))


def test_a_saved_layer_is_loaded_from_a_file(case: Callable[..., Case]) -> None:
    adapter, problem = KerasLSTM(), make_problem(case(saved=True))
    config = adapter.layer_config(problem.case, (0,))
    weights = [np.full(variable.shape, 0.5) for variable in adapter.get_layer(config, 0).weights]
    loaded = adapter.load_layer(config, 0, weights)
    assert loaded is not adapter.get_layer(config, 0)
    assert all((variable.numpy() == 0.5).all() for variable in loaded.weights)


def test_both_modes_are_calls_of_one_layer(case: Callable[..., Case]) -> None:
    adapter = KerasLSTM()
    layers = {
        id(adapter.get_layer(adapter.layer_config(case(mode=mode, lengths=lengths), (0,)), 0))
        for mode, lengths in (("eval", None), ("train", "ragged"))
    }
    assert len(layers) == 1


def test_only_layers_that_hold_their_weights_differ_by_position(case: Callable[..., Case]) -> None:
    for adapter, count in ((KerasLSTM(), 2), (KerasLSTMTraced(), 1)):
        config = adapter.layer_config(case(), (0,))
        assert len({id(adapter.get_layer(config, position)) for position in (0, 1)}) == count
