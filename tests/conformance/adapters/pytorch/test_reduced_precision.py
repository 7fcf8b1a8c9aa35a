"""torch.nn.LSTM at reduced precision conforms in its declared profile and not in float32."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.adapters import Solution
from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.reduced_precision import (
    FLOAT16_WEIGHTS,
    TorchDynamicInt8,
    TorchDynamicInt8PerChannel,
    TorchDynamicLSTM,
    TorchLSTMAutocast,
)
from conformance.cases.case import Case
from conformance.verdict.judge import Verdict, judge
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import Problem, make_problem
from conformance.verdict.random_arrays import round_to
from reference import PROFILES, Dialect, Profile, quantize_weights

FORWARD = ("output", "h_n", "c_n")
BOTH_WAYS = {"num_layers": 2, "direction": "bidirectional"}


def judged(problem: Problem, solution: Solution, profile: Profile) -> Verdict:
    return judge(problem, solution, Oracle().expect(problem, profile, Dialect()))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("options", [BOTH_WAYS, {"proj_size": 2}], ids=str)
def test_autocast_computes_in_16_bits(case: Callable[..., Case], dtype: str, options: dict[str, Any]) -> None:
    adapter, problem = TorchLSTMAutocast(), make_problem(case(dtype=dtype, **options))
    reason = adapter.supports(problem.case)
    if reason is not None:
        assert "torch.autocast on this processor" in reason
        return
    solution = adapter.solve(problem)
    assert (round_to(dtype, solution["output"]) == solution["output"]).all()
    assert judged(problem, solution, adapter.profile(problem.case)).conforms


def test_autocast_reports_unsupported_dtypes(case: Callable[..., Case]) -> None:
    assert "bfloat16 or float16" in (TorchLSTMAutocast().supports(case(dtype="float32")) or "")


@pytest.mark.parametrize("options", [{}, BOTH_WAYS | {"batch_first": True}, {"lengths": "ragged"}], ids=str)
def test_only_weights_are_rounded_to_float16(case: Callable[..., Case], options: dict[str, Any]) -> None:
    adapter, problem = TorchDynamicLSTM(), make_problem(case(dtype="float32", check=FORWARD, **options))
    assert adapter.supports(problem.case) is None
    solution = adapter.solve(problem)
    assert judged(problem, solution, FLOAT16_WEIGHTS).conforms
    # The weights are indeed float16: in float32 the solution does not conform.
    assert judged(problem, solution, PROFILES["float32"]).error_ratio > 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float64", "check": FORWARD}, "float32"),
        ({"dtype": "float32"}, "inference only"),
        ({"dtype": "float32", "check": FORWARD, "bias": False}, "asserts"),
        ({"dtype": "float32", "check": FORWARD, "batch": "unbatched"}, "batch axis"),
        ({"dtype": "float32", "check": FORWARD, "proj_size": 2}, "no projection"),
    ],
)
def test_dynamic_reports_unsupported_options(case: Callable[..., Case], options: dict[str, Any], words: str) -> None:
    assert words in (TorchDynamicLSTM().supports(case(**options)) or "")


def test_the_quantized_module_runs(case: Callable[..., Case]) -> None:
    single = case(dtype="float32", check=FORWARD)
    with torch.no_grad():
        module = TorchDynamicLSTM()._callable(torch.nn.LSTM(3, 5), single)
    assert isinstance(module, torch.ao.nn.quantized.dynamic.LSTM)
    assert module.dtype == torch.float16


@pytest.mark.parametrize("adapter", [TorchDynamicInt8(), TorchDynamicInt8PerChannel()], ids=str)
@pytest.mark.parametrize("options", [{}, BOTH_WAYS | {"batch_first": True}, {"lengths": "ragged"}], ids=str)
def test_int8_conforms_in_8_bits(case: Callable[..., Case], adapter: TorchDynamicInt8, options: dict[str, Any]) -> None:
    problem = make_problem(case(dtype="float32", check=FORWARD, **options))
    solution = adapter.solve(problem)
    assert judged(problem, solution, adapter.profile(problem.case)).conforms
    assert judged(problem, solution, PROFILES["float32"]).error_ratio > 100


@pytest.mark.parametrize("adapter", [TorchDynamicInt8(), TorchDynamicInt8PerChannel()], ids=str)
def test_the_reference_rounds_weights_to_the_same_8_bits(case: Callable[..., Case], adapter: TorchDynamicInt8) -> None:
    single = case(dtype="float32", check=FORWARD)
    problem = make_problem(single)
    module: Any = adapter._load(problem)[1]
    weights = module.get_weight()
    for name, expected in quantize_weights(problem.parameters, adapter.profile(single)).items():
        if name.startswith("weight"):
            np.testing.assert_allclose(weights[name].dequantize(), expected, rtol=1e-6)


def test_steps_per_tensor_fail_where_steps_per_channel_are_declared(case: Callable[..., Case]) -> None:
    problem = make_problem(case(dtype="float32", check=FORWARD, hidden_size=16))
    scale = np.where(np.arange(64) % 2, 1.0, 1 / 64).astype(np.float32)[:, None]
    uneven = {name: p * scale if name.startswith("weight") else p for name, p in problem.parameters.items()}
    problem = replace(problem, parameters=uneven)
    profile = TorchDynamicInt8PerChannel().profile(problem.case)
    assert judged(problem, TorchDynamicInt8PerChannel().solve(problem), profile).conforms
    assert judged(problem, TorchDynamicInt8().solve(problem), profile).error_ratio > 1


@pytest.mark.parametrize(
    "adapter", [TorchLSTMAutocast(), TorchDynamicLSTM(), TorchDynamicInt8(), TorchDynamicInt8PerChannel()], ids=str
)
def test_passes_the_adapter_check(adapter: TorchLSTMAutocast | TorchDynamicLSTM) -> None:
    assert check_adapter(adapter) == []
    assert adapter.describe()["path"]
