"""torch.ao.nn.quantizable.LSTM equals the reference, except where its known divergences apply."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from conformance.adapters.check import check_adapter
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
def test_raises_in_its_known_divergences(
    case: Callable[..., Case], adapter: QuantizableLSTM, options: dict[str, Any], message: str
) -> None:
    assert adapter.supports(case(**options)) is None
    if isinstance(adapter, QuantizableLSTMFromFloat) and "num_layers" in options:
        return
    with pytest.raises(RuntimeError, match=message):
        adapter.solve(make_problem(case(**options)))


def test_from_float_supports_bidirectional_layers(deviation: Callable[..., float]) -> None:
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
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (QuantizableLSTM().supports(case(**options)) or "")


def test_torch_warns_that_it_ignores_dropout() -> None:
    with pytest.warns(UserWarning, match="dropout option for quantizable LSTM is ignored"):
        torch.ao.nn.quantizable.LSTM(3, 4, num_layers=2, dropout=0.5)


@by_name
def test_passes_the_adapter_check_except_where_it_raises(adapter: QuantizableLSTM) -> None:
    violations = check_adapter(adapter)
    assert {line.partition(":")[0] for line in violations} <= {"two layers both ways", "unbatched"}
    assert all("supports returned None, but solve raised RuntimeError" in line for line in violations)


@by_name
def test_describe_reports_how_the_module_was_built(adapter: QuantizableLSTM) -> None:
    described = adapter.describe()["path"]
    assert described.endswith(f"split_gates={adapter.split_gates}")
    assert ("from_float" in described) == isinstance(adapter, QuantizableLSTMFromFloat)
