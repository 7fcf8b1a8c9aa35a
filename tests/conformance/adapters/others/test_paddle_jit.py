"""Compares layers that paddle.jit.load loads, in a process of their own, with the reference for each use."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.others.paddle_jit import PaddleJit
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.worker.client import WorkerAdapter

FORWARD: dict[str, Any] = {"check": ("output", "h_n", "c_n")}


@pytest.fixture(scope="module")
def saved() -> Iterator[Adapter]:
    if reason := installed.missing(PaddleJit()):
        pytest.skip(reason)
    [worker] = implementations.load_all(["paddle.nn.LSTM[jit.save]"])
    yield worker
    assert isinstance(worker, WorkerAdapter)
    worker.close()


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "direction": "bidirectional", "batch_first": True, "saved": True},
        {"built_seq_len": 1, "built_batch": 1, "initial_state": "omitted", "lengths": "ragged"},
        {"built_seq_len": 7, "built_batch": 5, "proj_size": 2},
        {"chunks": (1, 3), "num_layers": 2},
        {"earlier_calls": ("longer", "fewer-rows", "error", "same"), "lengths": "ragged"},
        {"memory": "strided", "batching": "permuted"},
        {"graph": "twice", "lengths": "ragged", "batch_first": True},
        {"graph": "encoder-decoder", "num_layers": 2, "built_batch": 1},
        {"graph": "parallel", "direction": "bidirectional", "initial_state": "omitted"},
    ],
    ids=str,
)
def test_equals_the_reference(saved: Adapter, deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(saved, FORWARD | options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_layers": 2, "dropout": 0.5, "mode": "train"}, "saved for inference"),
        ({"chunks": (1, 3), "initial_state": "omitted"}, "cannot continue a sequence"),
        ({"check": ("gradients",)}, "saved for inference"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (PaddleJit().supports(case(**FORWARD | options)) or "")


def test_passes_the_adapter_check(saved: Adapter) -> None:
    assert check_adapter(saved, [example for example in EXAMPLES if example.bias]) == []
