"""torch.nn.LSTM equals the reference with every option."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.common import to_arguments
from conformance.adapters.pytorch.lstm import TorchLSTM
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to

DEEP = {"num_layers": 3, "direction": "bidirectional"}
DROPS = DEEP | {"dropout": 0.5, "mode": "train"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        DEEP,
        DEEP | {"batch_first": True, "initial_state": "omitted"},
        {"bias": False, "num_layers": 2},
        {"batch": "unbatched", "direction": "bidirectional"},
        {"batch": "unbatched", "batch_first": True},
        {"proj_size": 2, **DEEP},
        {"lengths": "ragged", "padding": "nan", **DEEP},
        {"lengths": "ragged", "batch_first": True, "proj_size": 2},
        {"lengths": (2, 2, 1, 2)},
        {"seq_len": 1, "batch": 1, "hidden_size": 1},
        {"initial_state": "c_0-only"},
        {"dropout": 0.5, "num_layers": 2},
        {"dropout": 0.5, "mode": "train"},
        {"dropout": 1, "mode": "train", "num_layers": 2},
        DROPS,
        DROPS | {"direction": "forward", "bias": False},
        DROPS | {"batch_first": True, "proj_size": 3},
        DROPS | {"lengths": "ragged", "padding": "nan", "batch_first": True},
        DROPS | {"batch": "unbatched", "dropout": 0.1},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(TorchLSTM(), options) < 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "reverse"}, "no reverse-only direction"),
        ({"hidden_size": (5, 4)}, "one hidden size for all layers"),
        ({"lengths": (4, 0, 1, 2)}, "pack_padded_sequence refuses lengths of 0"),
    ],
)
def test_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (TorchLSTM().supports(case(**options)) or "")


@pytest.mark.parametrize(
    "use",
    [
        {"cotangents": ("c_n",), "proj_size": 2, "seq_len": 1},
        {"cotangents": ("h_n",), "lengths": "ragged"},
        {"frozen": ("input", "weight_ih_l1"), "num_layers": 2},
        {"chunks": (1, 3), "initial_state": "omitted", "batch_first": True, "num_layers": 2},
        {"chunks": (1, 3), "batch": "unbatched"},
        {"earlier_calls": ("same", "shorter", "more-rows", "error"), "lengths": "ragged", **DEEP},
        {"earlier_calls": ("other-mode", "other-weights", "no-grad"), "dropout": 0.5, "num_layers": 2},
        {"earlier_calls": ("same",), "frozen": ("input", "weight_ih_l0", "weight_hh_l0"), "bias": False},
        {"saved": True, **DEEP},
        {"memory": "strided", "lengths": "ragged", "dtype": "bfloat16", "check": ("output",)},
        {"memory": "expanded", **DEEP},
        {"memory": "aliased", "batch_first": True},
        {"batching": "alone", "lengths": "ragged", "initial_state": "omitted"},
        {"batching": "permuted", "chunks": (2, 2)},
        {"graph": "twice", "initial_state": "omitted", "batch_first": True, **DEEP},
        {"graph": "twice", "earlier_calls": ("other-weights", "no-grad"), "saved": True},
        {"graph": "encoder-decoder", "num_layers": 2, "proj_size": 2, "check": ("h_n", "gradients", "hvp")},
        {"graph": "encoder-decoder", "batch": "unbatched", "saved": True, "earlier_calls": ("other-weights",)},
        {"graph": "parallel", "direction": "bidirectional", "frozen": ("weight_hh_l0", "bias_ih_l0_reverse")},
        {"graph": "parallel", "direction": "bidirectional", "initial_state": "omitted", "batch_first": True},
    ],
    ids=str,
)
def test_equals_the_reference_in_each_use(deviation: Callable[..., float], use: dict[str, Any]) -> None:
    assert deviation(TorchLSTM(), use) < (0.1 if use.get("dtype") else 1e-12)


def test_frozen_parameters_have_no_gradient(case: Callable[..., Case]) -> None:
    solution = TorchLSTM().solve(make_problem(case(frozen=("weight_hh_l0", "h_0"))))
    assert {"grad.weight_hh_l0", "grad.h_0"}.isdisjoint(solution)
    assert {"grad.weight_ih_l0", "grad.c_0"} <= solution.keys()


@pytest.mark.parametrize(
    ("memory", "is_as_required"),
    [
        ("strided", lambda given: not given["input"].is_contiguous() and not given["h_0"].is_contiguous()),
        ("expanded", lambda given: given["h_0"].stride()[1] == 0),
        ("aliased", lambda given: given["h_0"].data_ptr() == given["c_0"].data_ptr()),
        ("contiguous", lambda given: given["input"].is_contiguous()),
    ],
)
def test_tensors_have_the_required_memory(
    case: Callable[..., Case], memory: str, is_as_required: Callable[[dict[str, Any]], bool]
) -> None:
    problem = make_problem(case(memory=memory))
    given = to_arguments(problem, "float64", grad=True)
    assert is_as_required(given)
    assert all(tensor.is_leaf for tensor in given.values())


def test_a_write_into_the_input_is_an_error(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.nn.LSTM.forward

    def forward(self: Any, inputs: Any, state: Any = None) -> Any:
        results = original(self, inputs, state)
        inputs.detach().add_(1)
        return results

    monkeypatch.setattr(torch.nn.LSTM, "forward", forward)
    with pytest.raises(RuntimeError, match="wrote into its argument input"):
        TorchLSTM().solve(make_problem(case(check=("output",))))


def test_torch_cannot_pack_rows_of_length_0() -> None:
    with pytest.raises(RuntimeError, match="greater than 0"):
        torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(4, 2, 3), torch.tensor([4, 0]), enforce_sorted=False)


def test_a_failing_module_is_not_reported_as_unsupported(
    case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(torch.nn.LSTM, "forward", fail)
    assert TorchLSTM().supports(case(dtype="float32")) is None
    with pytest.raises(RuntimeError, match="broken"):
        TorchLSTM().solve(make_problem(case(dtype="float32")))


def test_passes_the_adapter_check() -> None:
    assert check_adapter(TorchLSTM()) == []


@pytest.mark.parametrize("options", [DROPS, {}])
def test_torchs_random_state_is_unchanged(case: Callable[..., Case], options: dict[str, Any]) -> None:
    adapter, problem = TorchLSTM(), make_problem(case(**options, hidden_size=6))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = adapter.solve(problem)
        adapter.dropout_masks(problem)
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        second = adapter.solve(problem)
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-4), ("float16", 0.1), ("bfloat16", 0.5)])
def test_lower_precisions_are_computed_in_their_own_dtype(
    case: Callable[..., Case], deviation: Callable[..., float], dtype: str, within: float
) -> None:
    adapter, options = TorchLSTM(), {"dtype": dtype, **DEEP}
    reason = adapter.supports(case(**options))
    if reason is not None:
        assert dtype in reason
        return
    assert 1e-9 < deviation(adapter, options) < within
    for array in adapter.solve(make_problem(case(**options))).values():
        assert np.array_equal(array, round_to(dtype, array))


def test_returns_only_the_compared_tensors(case: Callable[..., Case]) -> None:
    assert list(TorchLSTM().solve(make_problem(case(check=("c_n",))))) == ["c_n"]


def test_describe_reports_versions_and_lengths() -> None:
    described = TorchLSTM().describe()
    assert described["torch"] == torch.__version__
    assert described["threads"] == str(torch.get_num_threads())
    assert "pack_padded_sequence" in described["lengths"]
