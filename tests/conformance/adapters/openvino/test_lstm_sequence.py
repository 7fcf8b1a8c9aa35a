"""Compares openvino[LSTMSequence] with the reference for each option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.openvino.lstm_sequence import OpenVinoSequence
from conformance.cases.case import Case
from conformance.verdict.declared import recording
from conformance.verdict.problem import make_problem

openvino = pytest.importorskip("openvino")

SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}
BOTH_WAYS = {"direction": "bidirectional"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, "batch_first": True},
        {"hidden_size": (4, 2), **BOTH_WAYS},
        {"direction": "reverse", "lengths": "ragged"},
        {"lengths": (2, 0, 4, 1), "padding": "nan", "num_layers": 2, **BOTH_WAYS},
        {"activations": ("tanh", "sigmoid", "relu"), **BOTH_WAYS},
        {"clip": 100.0},
    ],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(OpenVinoSequence(), SINGLE | options) < 2e-6


def test_each_result_has_the_shape_that_the_compiled_model_declares(case: Callable[..., Case]) -> None:
    with recording() as shapes:
        OpenVinoSequence().solve(make_problem(case(**SINGLE)))
    assert [shape.name for shape in shapes] == ["result0", "result1", "result2"]
    assert all(shape.conforms and None not in shape.declared for shape in shapes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bias": False}, "always has biases"),
        ({"initial_state": "omitted"}, "needs an initial state"),
        ({"peepholes": True}, "has no peepholes"),
        (
            {"activations": ("sigmoid", "tanh", "tanh", "sigmoid", "relu", "tanh"), **BOTH_WAYS},
            "one list of activations",
        ),
        ({"activations": ("sigmoid", "elu", "tanh")}, "Unknown activation function: elu"),
    ],
)
def test_refuses_unsupported_options_with_a_reason(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    assert words in (OpenVinoSequence().supports(case(**SINGLE | options)) or "")


@pytest.mark.parametrize(("dtype", "within"), [("float16", 0.01), ("bfloat16", 0.1)])
def test_lower_precisions(deviation: Callable[..., float], dtype: str, within: float) -> None:
    assert 1e-9 < deviation(OpenVinoSequence(), SINGLE | {"dtype": dtype}) < within


def test_passes_the_adapter_check() -> None:
    assert check_adapter(OpenVinoSequence(), [case for each in EXAMPLES if (case := each.forward_only())]) == []


def test_describe_reports_versions_and_method() -> None:
    described = OpenVinoSequence().describe()
    assert described["openvino"] == openvino.__version__
    assert "Transpose" in described["stacked"]
