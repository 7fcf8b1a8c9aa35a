"""torch.nn.LSTM with its own kernels, scripted, and under torch.func: against the reference, and what really runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters import Adapter
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.pytorch.lstm import TorchLSTM, module_for
from conformance.adapters.pytorch.modes import (
    TorchLSTMFunctionalCall,
    TorchLSTMNative,
    TorchLSTMScript,
    TorchLSTMVmap,
    scripted,
)
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

ADAPTERS: list[Adapter] = [TorchLSTMNative(), TorchLSTMScript(), TorchLSTMFunctionalCall(), TorchLSTMVmap()]
BOTH_WAYS = {"num_layers": 2, "direction": "bidirectional"}

by_name = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)


@by_name
@pytest.mark.parametrize(
    "options",
    [
        BOTH_WAYS | {"batch_first": True},
        {"bias": False, "proj_size": 2},
        {"lengths": "ragged", "padding": "nan", **BOTH_WAYS},
        {"batch": "unbatched", "initial_state": "omitted"},
        {"dropout": 0.5, "mode": "train", **BOTH_WAYS},
        {"dropout": 0.5, "mode": "train", "lengths": "ragged", "num_layers": 3},
    ],
    ids=str,
)
def test_equals_the_reference(
    case: Callable[..., Case], deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]
) -> None:
    if isinstance(adapter, TorchLSTMFunctionalCall) and "lengths" in options:
        with pytest.raises(RuntimeError, match="doesn't have storage"):
            deviation(adapter, options)
        return
    if adapter.supports(case(**options)):
        assert set(options) & {"lengths", "batch", "dropout"}
        return
    assert deviation(adapter, options) < 1e-12


@by_name
def test_keeps_the_contract(adapter: Adapter) -> None:
    known = isinstance(adapter, TorchLSTMFunctionalCall)
    assert check_adapter(adapter, [case for case in EXAMPLES if not (known and case.lengths)]) == []


def test_lengths_without_gradients_work_in_a_functional_call(case: Callable[..., Case]) -> None:
    problem = make_problem(case(lengths="ragged", check=("output", "h_n")))
    solution, eager = TorchLSTMFunctionalCall().solve(problem), TorchLSTM().solve(problem)
    assert all(np.array_equal(solution[name], eager[name]) for name in ("output", "h_n"))


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (TorchLSTMVmap(), {"lengths": "ragged"}, "rows of one length"),
        (TorchLSTMVmap(), {"batch": "unbatched"}, "maps over rows"),
        (TorchLSTMVmap(), {"num_layers": 2, "dropout": 0.5}, "in its own order"),
        (TorchLSTMVmap(), {"check": ("output",)}, "no batching rule"),
    ],
)
def test_says_what_it_lacks(case: Callable[..., Case], adapter: Adapter, options: dict[str, Any], words: str) -> None:
    assert words in (adapter.supports(case(**options)) or "")


def test_vmap_has_that_limit_itself() -> None:
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        torch.func.vmap(torch.nn.LSTM(3, 4), in_dims=1)(torch.zeros(2, 3, 3))


def _operators(adapter: Adapter, case: Case) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        adapter.solve(make_problem(case))
    return {event.key for event in profile.key_averages()}


def test_native_runs_without_onednn_and_leaves_it_on(case: Callable[..., Case]) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    single = case(dtype="float32")
    assert "aten::mkldnn_rnn_layer" in _operators(TorchLSTM(), single)
    native = _operators(TorchLSTMNative(), single)
    assert "aten::lstm" in native
    assert not [name for name in native if "mkldnn" in name]
    assert torch.backends.mkldnn.enabled


@pytest.mark.parametrize("lengths", [None, "ragged"])
def test_what_is_scripted_is_torchscript(case: Callable[..., Case], lengths: str | None) -> None:
    single = case(lengths=lengths)
    module = module_for(single, "float64")
    script = scripted(module, lengths is not None)
    assert isinstance(script, torch.jit.ScriptModule)
    assert f'CallMethod[name="forward__{0 if lengths is None else 1}"]' in str(script.graph)
    assert script.lstm.weight_ih_l0 is module.weight_ih_l0


def test_a_functional_call_does_not_read_the_modules_own_parameters(
    case: Callable[..., Case], deviation: Callable[..., float]
) -> None:
    with torch.no_grad():
        for parameter in module_for(case(), "float64").parameters():
            parameter.fill_(torch.nan)
    assert deviation(TorchLSTMFunctionalCall(), {}) < 1e-12
    assert deviation(TorchLSTMVmap(), {}) < 1e-12


@by_name
def test_describes_the_run(adapter: Adapter) -> None:
    described = adapter.describe()
    assert described["path"] != TorchLSTM().describe()["path"]
    assert ("lengths" in described) == ("lengths" in adapter.features)
    assert (described["oneDNN"] == "off") == isinstance(adapter, TorchLSTMNative)
