"""torch.onnx.export by both exporters, run on ONNX Runtime, equals the reference with every option."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.onnx_export import TorchOnnx, TorchOnnxDynamo, TorchOnnxLegacy
from conformance.cases.case import Case
from conformance.verdict.problem import make_problem

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}
BOTH_WAYS = {"direction": "bidirectional"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_layers": 3, **BOTH_WAYS, "batch_first": True, "dropout": 0.5},
        {"bias": False, "initial_state": "omitted"},
        {"batch": "unbatched", **BOTH_WAYS},
        {"lengths": "ragged", "padding": "nan", "num_layers": 2, **BOTH_WAYS},
        {"lengths": "ragged", "batch_first": True, "initial_state": "omitted"},
        {"built_seq_len": 1, "built_batch": 2, "batch_first": True, "num_layers": 2},
        {"built_seq_len": 6, "built_batch": 1, "lengths": "ragged"},
        {"chunks": (1, 3), "memory": "read-only"},
        {"earlier_calls": ("longer", "error"), "saved": True, "initial_state": "omitted"},
        {"batching": "alone", "memory": "strided"},
        {"graph": "encoder-decoder", "initial_state": "omitted", "saved": True},
    ],
    ids=str,
)
def test_legacy_equals_the_reference(deviation: Callable[..., float], options: dict[str, Any]) -> None:
    assert deviation(TorchOnnxLegacy(), SINGLE | options) < 2e-6


def test_dynamo_equals_the_reference(deviation: Callable[..., float]) -> None:
    pytest.importorskip("onnxscript")
    options = {"num_layers": 2, **BOTH_WAYS, "batch_first": True}
    assert deviation(TorchOnnxDynamo(), SINGLE | options) < 2e-6


def test_dynamo_joins_steps_and_rows_if_it_exports_a_single_step(case: Callable[..., Case]) -> None:
    pytest.importorskip("onnxscript")
    problem = make_problem(case(**SINGLE, seq_len=4, batch=3, built_seq_len=1, built_batch=3))
    steps, rows, width = problem.output_shape
    assert TorchOnnxDynamo().solve(problem)["output"].shape == (1, steps * rows, width)


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (TorchOnnxLegacy(), {"chunks": (1, 3), "initial_state": "omitted"}, "cannot continue a sequence"),
        (TorchOnnxLegacy(), {"graph": "twice", "lengths": "ragged"}, "the graph takes tensors, not packed sequences"),
        (TorchOnnxDynamo(), {"built_seq_len": 3}, "tracing inferred a static shape"),
        (TorchOnnxLegacy(), {"proj_size": 2}, "refuses LSTMs with projections"),
        (TorchOnnxLegacy(), {"lengths": (4, 0, 1, 2)}, "pack_padded_sequence refuses lengths of 0"),
        (TorchOnnxLegacy(), {"dropout": 0.5, "num_layers": 2, "mode": "train"}, "dropout is inactive"),
        (TorchOnnxDynamo(), {"lengths": "ragged"}, "torch.export cannot export pack_padded_sequence"),
        (TorchOnnxDynamo(), {"dtype": "float64"}, "does not support double yet"),
    ],
)
def test_reports_unsupported_options(
    case: Callable[..., Case], adapter: TorchOnnx, options: dict[str, Any], words: str
) -> None:
    assert words in (adapter.supports(case(**SINGLE | options)) or "")


def test_passes_the_adapter_check() -> None:
    assert check_adapter(TorchOnnxLegacy()) == []


def test_describe_reports_versions() -> None:
    described = TorchOnnxLegacy().describe()
    assert {"torch", "onnxruntime", "export"} <= described.keys()
