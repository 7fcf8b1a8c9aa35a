"""Keras models on PyTorch, exported to ONNX in a process of their own, equal the reference at their own shape."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.verdict.problem import make_problem

SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}


@pytest.fixture(scope="module")
def adapter() -> Iterator[Adapter]:
    [found] = implementations.load_all(["keras.Model.export[torch,onnx]"])
    if installed.missing(found):
        pytest.skip(installed.missing(found) or "")
    yield found
    found.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "direction": "bidirectional", "reverse_hidden_size": 2, "batch_first": True},
        {"initial_state": "omitted", "bias": False},
        {"built_batch": 1, "num_layers": 2},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, SINGLE | options) < 2e-6


def test_an_exported_model_with_a_dynamic_time_axis_has_one_step(case: Callable[..., Case], adapter: Adapter) -> None:
    problem = make_problem(case(**SINGLE, built_seq_len=3, seq_len=5))
    assert adapter.solve(problem)["output"].shape == (1, *problem.output_shape[1:])


def test_reports_unsupported_options(case: Callable[..., Case], adapter: Adapter) -> None:
    assert "no gradients" in (adapter.supports(case(dtype="float32")) or "")
    assert "does not support double" in (adapter.supports(case(dtype="float64", check=("output",))) or "")
