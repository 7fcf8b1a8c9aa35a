"""ONNX Runtime's DynamicQuantizeLSTM conforms in 8 bits, except with padding."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("onnxruntime")

from conformance.adapters.check import check_adapter
from conformance.adapters.onnx.quantized import OnnxRuntimeInt8, OnnxRuntimeInt8PerChannel
from conformance.cases.case import Case
from conformance.known import divergences as known
from conformance.run.runner import Runner
from conformance.verdict.judge import judge
from conformance.verdict.oracle import Oracle, UnquantizableCaseError
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

FORWARD = ("output", "h_n", "c_n")


@pytest.mark.parametrize("adapter", [OnnxRuntimeInt8(), OnnxRuntimeInt8PerChannel()], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"num_layers": 2, "direction": "bidirectional"}, {"peepholes": True, "bias": False}], ids=str
)
def test_conforms_in_8_bits(case: Callable[..., Case], adapter: OnnxRuntimeInt8, options: dict[str, Any]) -> None:
    problem = make_problem(case(dtype="float32", check=FORWARD, **options))
    solution = adapter.solve(problem)
    expect = Oracle().expect
    assert judge(problem, solution, expect(problem, adapter.profile(problem.case), Dialect())).conforms
    assert judge(problem, solution, expect(problem, PROFILES["float32"], Dialect())).error_ratio > 100


def test_padding_changes_the_results_which_is_known(case: Callable[..., Case]) -> None:
    runner = Runner(Oracle(), divergences=known.shipped(), diagnoses=False)
    padded = case(dtype="float32", check=FORWARD, lengths="ragged")
    assert runner.check(padded, OnnxRuntimeInt8()).status == "known"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_nan": True}, "NaN"),
        ({"clip": 0.5}, "clip"),
        ({"activations": ("sigmoid", "relu", "tanh")}, "relu"),
    ],
    ids=str,
)
def test_cases_that_8_bits_cannot_judge_are_rejected(
    case: Callable[..., Case], options: dict[str, Any], words: str
) -> None:
    problem = make_problem(case(dtype="float32", check=FORWARD, **options))
    with pytest.raises(UnquantizableCaseError, match=words):
        Oracle(None).expect(problem, PROFILES["int8-dynamic"], Dialect())


def test_passes_the_adapter_check() -> None:
    assert check_adapter(OnnxRuntimeInt8()) == []
