"""Uses of equinox.nn.LSTMCell and flax.linen.LSTMCell equal the reference."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.jax.common import JaxAdapter
from conformance.adapters.jax.equinox import EquinoxLSTMCell
from conformance.adapters.jax.flax_linen import FlaxLinenLSTMCell

jax = pytest.importorskip("jax")
pytest.importorskip("equinox")
pytest.importorskip("flax")

USES: list[tuple[JaxAdapter, dict[str, Any]]] = [
    (EquinoxLSTMCell(), {"cotangents": ["c_n"], "chunks": [1, 3]}),
    (
        FlaxLinenLSTMCell(),
        {"chunks": [3, 1], "initial_state": "omitted", "check": ["output", "c_n"]},
    ),
    (FlaxLinenLSTMCell(), {"batching": "permuted", "lengths": (2, 1, 4, 1), "check": ["output", "h_n"]}),
    (EquinoxLSTMCell(), {"batching": "alone", "check": ["output", "c_n"]}),
    (EquinoxLSTMCell(), {"earlier_calls": ["error", "other-weights"], "saved": True}),
    (EquinoxLSTMCell(), {"check": ["jvp", "hvp"], "seq_len": 2}),
    (
        FlaxLinenLSTMCell(),
        {
            "graph": "parallel",
            "direction": "bidirectional",
            "activations": ["sigmoid", "tanh", "tanh", "tanh", "relu", "relu"],
            "check": ["output", "h_n"],
        },
    ),
]


@pytest.mark.parametrize(("adapter", "options"), USES, ids=str)
def test_equals_the_reference(deviation: Callable[..., float], adapter: JaxAdapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, options) < 1e-12


@pytest.mark.parametrize("adapter", [EquinoxLSTMCell(), FlaxLinenLSTMCell()], ids=str)
def test_saved_weights_are_loaded_into_other_arrays(adapter: JaxAdapter) -> None:
    weights = [[{"weight": jax.numpy.arange(3.0), "bias": jax.numpy.ones(2)}]]
    loaded = adapter.save_and_load(weights)
    assert loaded[0][0]["weight"] is not weights[0][0]["weight"]
    assert {name: array.tolist() for name, array in loaded[0][0].items()} == {"weight": [0, 1, 2], "bias": [1, 1]}
