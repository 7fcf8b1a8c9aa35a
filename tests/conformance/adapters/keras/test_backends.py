"""keras.layers.LSTM on JAX, PyTorch, NumPy and OpenVINO, each in its own process, equals the reference."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter

FORWARD = {"check": ("output", "h_n", "c_n")}
UNLIKE = {"direction": "bidirectional", "reverse_hidden_size": 2}
NAMES = ("keras.layers.LSTM[jax]", "keras.layers.LSTM[torch]")


@pytest.fixture(scope="module", params=NAMES)
def adapter(request: pytest.FixtureRequest) -> Iterator[Adapter]:
    [found] = implementations.load_all([request.param])
    if installed.missing(found):
        pytest.skip(installed.missing(found) or "")
    assert isinstance(found, WorkerAdapter)
    yield found
    found.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lengths": (2, 0, 4, 1), **UNLIKE, "num_layers": 2, "batch_first": True},
        {"direction": "reverse", "input_dropout": 0.5, "mode": "train"},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert 1e-9 < deviation(adapter, {"dtype": "float32"} | options) < 1e-5


def test_a_float64_layer_with_a_mask_computes_in_float32(deviation: Callable[..., float], adapter: Adapter) -> None:
    assert 1e-10 < deviation(adapter, {"lengths": (2, 3, 4, 1), "initial_state": "omitted"}) < 1e-5


def test_passes_the_adapter_check(adapter: Adapter) -> None:
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name == "one layer"]) == []


def test_describe_reports_versions(adapter: Adapter) -> None:
    described = adapter.describe()
    backend = adapter.name.partition("[")[2].rstrip("]")
    assert described["keras"] == installed.version("keras")
    assert described[backend].partition("+")[0] == installed.version(backend).partition("+")[0]


@pytest.mark.parametrize("name", ["keras.layers.LSTM[numpy]", "keras.layers.LSTM[openvino]"])
def test_back_ends_without_gradients_equal_the_reference(
    case: Callable[..., Case], deviation: Callable[..., float], name: str
) -> None:
    [adapter] = implementations.load_all([name])
    if installed.missing(adapter):
        pytest.skip(installed.missing(adapter) or "")
    options = {"lengths": (2, 1, 4, 1), "dtype": "float32", **UNLIKE} | FORWARD
    assert 1e-9 < deviation(adapter, options) < 1e-5
    assert "inference only" in (adapter.supports(case(dtype="float32")) or "")


def test_every_back_end_lacks_projections(case: Callable[..., Case], adapter: Adapter) -> None:
    assert "no projection" in (adapter.supports(case(proj_size=2)) or "")
