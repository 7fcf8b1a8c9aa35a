"""Compares paddle.nn.LSTM, in a process of its own, with the reference for each option."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.others.paddle import PaddleLSTM, build_layer
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.verdict.problem import make_problem
from conformance.worker.client import WorkerAdapter
from conformance.worker.failures import WorkerCrash

TRAIN = {"mode": "train", "dropout": 0.5}


@pytest.fixture(scope="module")
def paddle() -> Iterator[Adapter]:
    if reason := installed.missing(PaddleLSTM()):
        pytest.skip(reason)
    [worker] = implementations.load_all(["paddle.nn.LSTM"])
    yield worker
    assert isinstance(worker, WorkerAdapter)
    worker.close()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "direction": "bidirectional", "batch_first": True},
        {"initial_state": "omitted"},
        {"lengths": "ragged", "num_layers": 2},
        {"lengths": (2, 0, 4, 1), "direction": "bidirectional", "initial_state": "omitted"},
        {"proj_size": 2, "num_layers": 2, "direction": "bidirectional"},
        {"proj_size": 2, "bias": False},
        {"num_layers": 3, **TRAIN},
        {"num_layers": 2, "direction": "bidirectional", "lengths": "ragged", "initial_state": "zero", **TRAIN},
        {"num_layers": 2, "proj_size": 2, "batch_first": True, **TRAIN},
        {"chunks": (1, 3), "num_layers": 2, "initial_state": "omitted"},
        {"earlier_calls": ("other-weights", "fewer-rows", "error", "other-mode", "no-grad")},
        {"saved": True, "batching": "permuted", "cotangents": ("h_n",), "num_layers": 2},
        {"memory": "strided", "frozen": ("input", "h_0"), "batch_first": True},
        {"memory": "strided", "frozen": ("weight_hh_l0",), "proj_size": 2},
        {"memory": "aliased", "num_layers": 2},
        {"batching": "alone", "lengths": "ragged"},
    ],
    ids=str,
)
def test_equals_the_reference(paddle: Adapter, deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(paddle, options) < 1e-12


def test_with_a_projection_the_padding_is_not_zeroed(paddle: Adapter, deviation: Callable[..., float]) -> None:
    assert deviation(paddle, {"proj_size": 2, "lengths": "ragged"}) > 0.01


@pytest.mark.usefixtures("paddle")
def test_evaluation_runs_in_evaluation_mode(case: Callable[..., Case]) -> None:
    forward = case(check=("output",))
    assert not build_layer(forward)[0].training
    assert build_layer(case())[0].training, "Paddle's kernel computes gradients in training mode only"


def test_masks_keep_the_expected_share_of_elements(paddle: Adapter, case: Callable[..., Case]) -> None:
    problem = make_problem(case(num_layers=2, seq_len=50, dropout=0.25, mode="train"))
    [mask] = paddle.dropout_masks(problem).values()
    assert set(np.unique(mask)) == {0.0, 1 / 0.75}
    assert abs((mask > 0).mean() - 0.75) < 0.05


def test_a_crash_affects_its_case_only(
    paddle: Adapter, case: Callable[..., Case], deviation: Callable[..., float]
) -> None:
    with pytest.raises(WorkerCrash, match="died of SIGSEGV"):
        paddle.solve(make_problem(case(bias=False)))
    assert deviation(paddle, {}) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "reverse"}, "has no reverse-only direction"),
        ({"batch": "unbatched"}, "needs a batch axis"),
        ({"hidden_size": (4, 2)}, "one hidden size for all layers"),
        ({"dtype": "float16"}, "float16"),
        ({"lengths": "ragged", "refuses": "lengths-above", "check": ("h_n",)}, "never returns"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (PaddleLSTM().supports(case(**options)) or "")


def test_passes_the_adapter_check(paddle: Adapter) -> None:
    few = [example for example in EXAMPLES if (example.bias and not example.frozen) or example.proj_size]
    assert check_adapter(paddle, few) == []
