"""Compares the LSTM cells of flax.linen and flax.nnx with the reference for each option."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.jax import common as _jax
from conformance.adapters.jax.flax_linen import FlaxLinenLSTMCell, FlaxLinenOptimizedLSTMCell
from conformance.adapters.jax.flax_nnx import FlaxNnxLSTMCell, FlaxNnxOptimizedLSTMCell
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem
from conformance.verdict.random_arrays import round_to

pytest.importorskip("flax")

LINEN, LINEN_OPTIMIZED = FlaxLinenLSTMCell(), FlaxLinenOptimizedLSTMCell()
NNX, NNX_OPTIMIZED = FlaxNnxLSTMCell(), FlaxNnxOptimizedLSTMCell()
ALL = [LINEN, LINEN_OPTIMIZED, NNX, NNX_OPTIMIZED]
BOTH_WAYS = {"direction": "bidirectional"}
UNLIKE = {"reverse_hidden_size": 3, **BOTH_WAYS}
OTHERS = {"activations": ("hard_sigmoid_6", "relu", "relu", "sigmoid", "softsign", "softsign"), **BOTH_WAYS}


@pytest.mark.parametrize(
    ("adapter", "options"),
    [
        (LINEN, {"batch_first": True, "lengths": "ragged"}),
        (LINEN, OTHERS),
        (LINEN, {"batch": "unbatched", "batch_first": True}),
        (LINEN_OPTIMIZED, {"hidden_size": (5, 2), "initial_state": "omitted", "lengths": "ragged", **UNLIKE}),
        (NNX, OTHERS | {"initial_state": "omitted"}),
        (NNX, {"direction": "reverse", "lengths": "ragged", "hidden_size": (2, 3)}),
        (NNX_OPTIMIZED, {"lengths": "ragged", "padding": "nan", "check": ("output", "h_n", "c_n"), **UNLIKE}),
    ],
    ids=str,
)
def test_equals_the_reference(
    deviation: Callable[..., float], adapter: FlaxLinenLSTMCell, options: dict[str, Any]
) -> None:
    assert deviation(adapter, options) < 1e-12


@pytest.mark.parametrize("adapter", ALL, ids=lambda adapter: adapter.name)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bias": False}, "always has biases"),
        ({"activations": ("sigmoid", "tanh", "relu")}, "both the candidate and the cell state"),
        ({"activations": ("sigmoid", "leaky_relu", "leaky_relu")}, "no activation leaky_relu"),
        ({"lengths": "ragged", "mask": "left"}, "padding at the end"),
        ({"dropout": 0.5, "num_layers": 2}, "no dropout"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], adapter: FlaxLinenLSTMCell, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**options)) or "")


@pytest.mark.parametrize(
    ("adapter", "names"),
    [(LINEN, ("one layer", "one layer, other values", "bfloat16")), (NNX_OPTIMIZED, ("unbatched",))],
    ids=str,
)
def test_passes_the_adapter_check(adapter: FlaxLinenLSTMCell, names: tuple[str, ...]) -> None:
    assert check_adapter(adapter, [case for case in EXAMPLES if case.name in names]) == []


@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-4), ("float16", 0.1)])
def test_lower_precisions_are_computed_in_their_own_dtype(
    case: Callable[..., Case], deviation: Callable[..., float], dtype: str, within: float
) -> None:
    assert 1e-9 < deviation(NNX, {"dtype": dtype}) < within
    for array in NNX.solve(make_problem(case(dtype=dtype))).values():
        assert np.array_equal(array, round_to(dtype, array))


def test_a_function_is_compiled_once_per_shape(case: Callable[..., Case]) -> None:
    import jax

    compiled: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, _seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    problem = make_problem(case(hidden_size=6))
    LINEN.solve(problem)
    functions, count = _jax.compile_run.cache_info().misses, len(compiled)
    assert count > 0
    LINEN.solve(make_problem(case(hidden_size=6, values="scale-2")))
    assert (_jax.compile_run.cache_info().misses, len(compiled)) == (functions, count)


def test_solve_restores_the_configuration_of_jax(case: Callable[..., Case]) -> None:
    import jax

    LINEN.solve(make_problem(case(hidden_size=6)))
    assert not jax.config.jax_enable_x64


def test_describe_reports_versions_and_method() -> None:
    import flax
    import jax

    for adapter in ALL:
        described = adapter.describe()
        assert (described["flax"], described["jax"]) == (flax.__version__, jax.__version__)
    assert NNX.describe()["stacked"].startswith("flax.nnx.RNN")
