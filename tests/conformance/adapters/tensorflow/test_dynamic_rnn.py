"""tf.compat.v1.nn.dynamic_rnn and bidirectional_dynamic_rnn, in a process of their own, equal the reference."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.tensorflow.dynamic_rnn import TFDynamicRNN
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter

BOTH_WAYS = {"direction": "bidirectional"}


@pytest.fixture(scope="module")
def adapter() -> Iterator[Adapter]:
    if reason := installed.missing(TFDynamicRNN()):
        pytest.skip(reason)
    [worker] = implementations.load_all(["tf.compat.v1.nn.dynamic_rnn"])
    yield worker
    assert isinstance(worker, WorkerAdapter)
    worker.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 2, "reverse_hidden_size": 2, "batch_first": True, **BOTH_WAYS},
        {"lengths": (2, 0, 4, 1), "initial_state": "omitted", **BOTH_WAYS},
        {"peepholes": True, "cell_clip": 0.5, "forget_bias": 1.0, "hidden_size": (4, 2)},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, options) < 1e-12


def test_passes_the_adapter_check(adapter: Adapter) -> None:
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name == "lengths"]) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "reverse"}, "runs forward only"),
        ({"bias": False}, "always has biases"),
        ({"lengths": "ragged", "mask": "left"}, "has no masks"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (TFDynamicRNN().supports(case(**options)) or "")
