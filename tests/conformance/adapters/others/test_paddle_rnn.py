"""Compares paddle.nn.RNN and BiRNN, in a process of their own, with the reference for each option."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.others.paddle_rnn import PaddleRNN
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.verdict.problem import make_problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import Raised

UNLIKE = {"direction": "bidirectional", "reverse_hidden_size": 2}


@pytest.fixture(scope="module")
def paddle() -> Iterator[Adapter]:
    if reason := installed.missing(PaddleRNN()):
        pytest.skip(reason)
    [worker] = implementations.load_all(["paddle.nn.RNN"])
    yield worker
    assert isinstance(worker, WorkerAdapter)
    worker.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_size": (4, 2), "direction": "reverse", "batch_first": True, "bias": False},
        {"num_layers": 2, "direction": "bidirectional", "initial_state": "omitted"},
        {"num_layers": 2, **UNLIKE},
    ],
    ids=str,
)
def test_equals_the_reference(paddle: Adapter, deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(paddle, options) < 1e-12


def test_cells_of_different_sizes_need_initial_states(paddle: Adapter, case: Callable[..., Case]) -> None:
    with pytest.raises(Raised, match="matmul"):
        paddle.solve(make_problem(case(initial_state="omitted", **UNLIKE)))


def test_passes_the_adapter_check(paddle: Adapter) -> None:
    assert check_adapter(paddle, EXAMPLES) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({"lengths": "ragged"}, "not driven with sequence_length"), ({"batch": "unbatched"}, "needs a batch axis")],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (PaddleRNN().supports(case(**options)) or "")
