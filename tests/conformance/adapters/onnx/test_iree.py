"""IREE, with few models: it takes about a second to compile one."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.cases.case import Case
from conformance.run import implementations

SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.fixture(scope="module")
def iree() -> Adapter:
    """Loads the adapter as a run does: in a process of its own."""
    [adapter] = implementations.load_all(["iree"])
    if reason := installed.missing(adapter):
        pytest.skip(reason)
    return adapter


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "direction": "bidirectional", "batch_first": True},
        {"bias": False, "initial_state": "omitted", "earlier_calls": ("longer", "fewer-rows")},
    ],
)
def test_equals_the_reference(deviation: Callable[..., float], iree: Adapter, options: dict[str, Any]) -> None:
    assert deviation(iree, SINGLE | options) < 2e-6


def test_limits_are_refused_with_the_message_of_the_compiler(case: Callable[..., Case], iree: Adapter) -> None:
    for options, words in (
        ({"direction": "reverse"}, "failed to legalize operation"),
        ({"clip": 1.0}, "for an LSTM with clip"),
        ({"dtype": "float64"}, "undefined symbol: tanh"),
        ({"built_seq_len": 9}, "symbolic axes"),
    ):
        assert words in (iree.supports(case(**SINGLE | options)) or "")


def test_passes_the_adapter_check(iree: Adapter) -> None:
    one_layer = [example.forward_only() for example in EXAMPLES if example.name == "one layer"]
    assert check_adapter(iree, [example for example in one_layer if example]) == []


def test_describe_reports_versions_and_options(iree: Adapter) -> None:
    described = iree.describe()
    assert described["iree"]
    assert "llvm-cpu" in described["compiled"]
