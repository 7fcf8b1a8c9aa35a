"""tf_keras.layers.LSTM, in its own process, equals the reference with every option."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.cases.case import Case
from conformance.run import implementations

# Not importorskip: this process does not need the frameworks.
if not (installed.version("tensorflow") and installed.version("tf_keras")):
    pytest.skip("tensorflow or tf_keras is not installed", allow_module_level=True)


@pytest.fixture(scope="module")
def adapter() -> Iterator[Adapter]:
    [found] = implementations.load_all(["tf_keras.layers.LSTM"])
    yield found
    found.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "bidirectional", "reverse_hidden_size": 2, "num_layers": 2, "batch_first": True},
        {"lengths": (2, 0, 4, 1), "hidden_size": (4, 2)},
        {"mask": "left", "lengths": (2, 0, 4, 1), "direction": "bidirectional", "bias": False},
        {"direction": "reverse", "activations": ("hard_sigmoid", "tanh", "tanh")},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activations": ("hard_sigmoid_6", "tanh", "tanh")}, "no activation hard_sigmoid_6"),
        ({"input_dropout": 0.5}, "cannot be known before the run"),
    ],
)
def test_reports_unsupported_options(
    case: Callable[..., Case], adapter: Adapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


def test_passes_the_adapter_check(adapter: Adapter) -> None:
    assert (
        check_adapter(adapter, [case for case in EXAMPLES if case.name in ("one layer", "no state", "lengths")]) == []
    )
