"""torch.ao.nn.quantizable.LSTM: against the reference, option by option, and what it gets wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.pytorch.quantizable import (
    QuantizableLSTM,
    QuantizableLSTMFromFloat,
    QuantizableLSTMSplit,
)
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

by_name = pytest.mark.parametrize(
    "adapter",
    [QuantizableLSTM(), QuantizableLSTMSplit(), QuantizableLSTMFromFloat()],
    ids=lambda adapter: adapter.name,
)


@by_name
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "batch_first": True},
        {"direction": "bidirectional", "bias": False},
        {"direction": "bidirectional", "batch": 1, "mode": "train"},
    ],
    ids=str,
)
def test_equals_the_reference(
    deviation: Callable[..., float], adapter: QuantizableLSTM, options: dict[str, Any]
) -> None:
    assert deviation(adapter, options) < 1e-12


@by_name
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "bidirectional", "num_layers": 2}, "size mismatch for layers"),
        ({"initial_state": "omitted"}, "same dtype"),
        ({"batch": "unbatched"}, "invalid for input of size"),
    ],
)
def test_raises_where_it_is_known_to(
    case: Callable[..., Case], adapter: QuantizableLSTM, options: dict[str, Any], message: str
) -> None:
    assert adapter.supports(case(**options)) is None
    if isinstance(adapter, QuantizableLSTMFromFloat) and "num_layers" in options:
        return
    with pytest.raises(RuntimeError, match=message):
        adapter.solve(make_problem(case(**options)))


def test_layers_of_both_ways_come_from_float_alone(deviation: Callable[..., float]) -> None:
    options = {"direction": "bidirectional", "num_layers": 3, "mode": "train"}
    assert deviation(QuantizableLSTMFromFloat(), options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lengths": "ragged"}, "no packed sequences"),
        ({"proj_size": 2}, "no projection"),
        ({"dropout": 0.5, "num_layers": 2}, "ignores dropout"),
    ],
)
def test_says_what_it_lacks(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (QuantizableLSTM().supports(case(**options)) or "")


def test_it_does_ignore_dropout() -> None:
    with pytest.warns(UserWarning, match="dropout option for quantizable LSTM is ignored"):
        torch.ao.nn.quantizable.LSTM(3, 4, num_layers=2, dropout=0.5)


@by_name
def test_keeps_the_contract(adapter: QuantizableLSTM) -> None:
    known = ("two layers both ways", "unbatched", "no bias, no state")
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name not in known]) == []
    described = adapter.describe()["path"]
    assert described.endswith(f"split_gates={adapter.split_gates}")
    assert ("from_float" in described) == isinstance(adapter, QuantizableLSTMFromFloat)
