"""Keras' code around cuDNN, with an equivalent instead of the kernel."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import installed, registry
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter

SINGLE = {"dtype": "float32"}
TORCH, TENSORFLOW, JAX = (f"keras.layers.LSTM[{backend},wired-cudnn]" for backend in ("torch", "tensorflow", "jax"))


@pytest.mark.parametrize(
    ("name", "options", "right"),
    [
        (TORCH, {"direction": "reverse"}, True),
        (JAX, {"direction": "reverse", "check": ("output",)}, False),
        (TENSORFLOW, {"direction": "bidirectional", "reverse_hidden_size": 2, "lengths": (2, 3, 4, 1)}, True),
    ],
)
def test_layers_equal_the_reference_except_reverse_layers_on_jax(
    deviation: Callable[..., float], name: str, options: dict[str, Any], right: bool
) -> None:
    [adapter] = implementations.load_all([name])
    if reason := installed.missing(adapter):
        pytest.skip(reason)
    assert isinstance(adapter, WorkerAdapter)
    assert (deviation(adapter, SINGLE | options) < 1e-5) == right
    assert "instead of cuDNN" in adapter.describe()["kernel"]
    if name == TORCH:
        assert check_adapter(adapter, [example for example in EXAMPLES if example.name == "one layer"]) == []
    adapter.close()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (JAX, {"bias": False}, "only for tanh and sigmoid with biases"),
        (JAX, {"lengths": "ragged"}, "does not use cuDNN for a layer with a mask"),
        (TORCH, {"lengths": "ragged"}, "does not use cuDNN for a layer with a mask"),
        (TENSORFLOW, {"lengths": (4, 0, 4, 1)}, "has no valid step"),
        (TENSORFLOW, {"lengths": (4, 2, 4, 1), "padding": "nan"}, "NaN in the padding"),
        (TENSORFLOW, {"lengths": "ragged", "mask": "left"}, "only if the padding is at the end"),
    ],
)
def test_cases_that_do_not_reach_the_kernel_are_refused(
    case: Callable[..., Case], name: str, options: dict[str, Any], words: str
) -> None:
    assert words in (registry.load(name).supports(case(**SINGLE | options)) or "")
