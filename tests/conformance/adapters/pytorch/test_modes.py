"""torch.nn.LSTM without oneDNN, scripted and under torch.func equals the reference, and runs as declared."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters import Adapter
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.adapters.pytorch.modes import (
    TorchLSTMFunctionalCall,
    TorchLSTMNative,
    TorchLSTMScript,
    TorchLSTMVmap,
    scripted,
)
from conformance.adapters.pytorch.module import build_module, lstm_options
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

ADAPTERS: list[Adapter] = [TorchLSTMNative(), TorchLSTMScript(), TorchLSTMFunctionalCall(), TorchLSTMVmap()]
ONE_LAYER = {"direction": "bidirectional"}
BOTH_WAYS = {"num_layers": 2, **ONE_LAYER}

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


@pytest.mark.parametrize(
    "use", [{"graph": "encoder-decoder", "saved": True}, {"graph": "parallel", **ONE_LAYER}], ids=str
)
def test_a_scripted_graph_equals_the_reference(deviation: Callable[..., float], use: dict[str, Any]) -> None:
    assert deviation(TorchLSTMScript(), use) < 1e-12


@by_name
def test_passes_the_adapter_check(adapter: Adapter) -> None:
    raises = isinstance(adapter, TorchLSTMFunctionalCall)
    assert check_adapter(adapter, [case for case in EXAMPLES if not (raises and case.lengths)]) == []


def test_lengths_without_gradients_work_in_a_functional_call(case: Callable[..., Case]) -> None:
    problem = make_problem(case(lengths="ragged", check=("output", "h_n")))
    solution, eager = TorchLSTMFunctionalCall().solve(problem), TorchLSTM().solve(problem)
    assert all(np.array_equal(solution[name], eager[name]) for name in ("output", "h_n"))


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (TorchLSTMVmap(), {"lengths": "ragged"}, "rows of equal length"),
        (TorchLSTMVmap(), {"batch": "unbatched"}, "a batch to map over"),
        (TorchLSTMVmap(), {"num_layers": 2, "dropout": 0.5}, "in another order"),
        (TorchLSTMVmap(), {"check": ("output",)}, "no batching rule"),
    ],
)
def test_reports_unsupported_options(
    case: Callable[..., Case], adapter: Adapter, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


def test_torch_has_no_batching_rule_for_an_lstm_without_grad() -> None:
    with pytest.raises(RuntimeError, match="Batching rule not implemented"):
        torch.func.vmap(torch.nn.LSTM(3, 4), in_dims=1)(torch.zeros(2, 3, 3))


def _operators(adapter: Adapter, case: Case) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        adapter.solve(make_problem(case))
    return {event.key for event in profile.key_averages()}


def test_native_disables_onednn_only_while_it_runs(case: Callable[..., Case]) -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    single = case(dtype="float32")
    assert "aten::mkldnn_rnn_layer" in _operators(TorchLSTM(), single)
    native = _operators(TorchLSTMNative(), single)
    assert "aten::lstm" in native
    assert not [name for name in native if "mkldnn" in name]
    assert torch.backends.mkldnn.enabled


@pytest.mark.parametrize("lengths", [None, "ragged"])
def test_the_scripted_module_is_torchscript(case: Callable[..., Case], lengths: str | None) -> None:
    script = scripted(lstm_options(case(lengths=lengths)), "float64", lengths is not None)
    assert isinstance(script, torch.jit.ScriptModule)
    assert f'CallMethod[name="forward__{0 if lengths is None else 1}"]' in str(script.graph)


@pytest.mark.parametrize("adapter", [TorchLSTMFunctionalCall(), TorchLSTMVmap()], ids=lambda adapter: adapter.name)
def test_a_functional_call_does_not_read_the_modules_own_parameters(
    monkeypatch: pytest.MonkeyPatch, deviation: Callable[..., float], adapter: TorchLSTM
) -> None:
    def module(case: Case) -> Any:
        built = build_module(case, case.dtype)
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.fill_(torch.nan)
        return built

    monkeypatch.setattr(adapter, "_module", module)
    assert deviation(adapter, {}) < 1e-12


@by_name
def test_describe_reports_the_mode(adapter: Adapter) -> None:
    described = adapter.describe()
    assert described["path"] != TorchLSTM().describe()["path"]
    assert ("lengths" in described) == ("lengths" in adapter.features)
    assert (described["oneDNN"] == "off") == isinstance(adapter, TorchLSTMNative)
