"""Compares mlx.nn.LSTM with the reference for each option."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.others.mlx import MlxLSTM
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to

pytest.importorskip("mlx.core")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "batch_first": True},
        {"hidden_size": (4, 2)},
        {"bias": False, "initial_state": "omitted"},
        {"batch": "unbatched", "batch_first": True},
        {"seq_len": 1, "batch": 1, "hidden_size": 1},
        {"chunks": (1, 3), "num_layers": 2, "initial_state": "omitted"},
        {"earlier_calls": ("other-weights", "fewer-rows", "error", "no-grad"), "hidden_size": (4, 2)},
        {"saved": True, "batching": "permuted", "cotangents": ("h_n",)},
        {"memory": "strided", "frozen": ("weight_hh_l0", "h_0"), "batch_first": True},
        {"memory": "expanded", "initial_state": "c_0-given"},
        {"memory": "aliased", "num_layers": 2, "batching": "alone"},
        {"check": ("output", "h_n", "c_n", "gradients", "jvp", "hvp"), "num_layers": 2},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    # A known divergence: its float64 is only as accurate as float32.
    assert deviation(MlxLSTM(), options) < 1e-6


@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-4), ("float16", 0.1), ("bfloat16", 0.5)])
def test_lower_precisions_are_computed_in_their_own_dtype(
    case: Callable[..., Case], deviation: Callable[..., float], dtype: str, within: float
) -> None:
    options = {"dtype": dtype, "num_layers": 2}
    assert 1e-9 < deviation(MlxLSTM(), options) < within
    for array in MlxLSTM().solve(make_problem(case(**options))).values():
        assert np.array_equal(array, round_to(dtype, array))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"direction": "bidirectional"}, "runs forward only"),
        ({"lengths": "ragged"}, "has no lengths"),
        ({"proj_size": 2}, "has no projection"),
        ({"frozen": ("bias_ih_l0",)}, "holds a frozen parameter and one that is not"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (MlxLSTM().supports(case(**options)) or "")


def test_passes_the_adapter_check() -> None:
    assert check_adapter(MlxLSTM()) == []


def test_describe_reports_versions_and_method() -> None:
    assert MlxLSTM().describe()["gradients"].startswith("mlx.core.vjp")
