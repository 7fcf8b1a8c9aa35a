"""torch.nn.LSTM exported and compiled equals the reference, and a graph is what runs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from conformance.adapters import Adapter
from conformance.adapters.check import check_adapter
from conformance.adapters.pytorch.graphs import (
    TorchLSTMCompiled,
    TorchLSTMDecomposed,
    TorchLSTMExport,
    TorchLSTMInductor,
    compiling,
)
from conformance.adapters.pytorch.module import build_module
from conformance.cases.case import Case
from conformance.verdict.declared import DeclaredShape, recording
from conformance.verdict.problem import make_problem

SHORT: dict[str, Any] = {"hidden_size": 3, "seq_len": 2, "batch": 2}
DROPS: dict[str, Any] = SHORT | {"num_layers": 2, "dropout": 1.0, "mode": "train"}
ADAPTERS: list[Adapter] = [TorchLSTMExport(), TorchLSTMDecomposed(), TorchLSTMCompiled()]

by_name = pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)


@by_name
@pytest.mark.parametrize(
    "options",
    [{"direction": "bidirectional", "batch_first": True}, {"initial_state": "omitted", "bias": False, "proj_size": 2}],
    ids=str,
)
def test_equals_the_reference(deviation: Callable[..., float], adapter: Adapter, options: dict[str, Any]) -> None:
    assert deviation(adapter, SHORT | options) < 1e-12


@pytest.mark.parametrize(
    ("adapter", "use"),
    [
        (TorchLSTMExport(), {"built_batch": 3, "saved": True, "frozen": ("weight_hh_l0",)}),
        (
            TorchLSTMExport(),
            {"memory": "strided", "initial_state": "omitted", "earlier_calls": ("more-rows", "no-grad")},
        ),
        (TorchLSTMDecomposed(), {"built_batch": 3, "saved": True, "cotangents": ("h_n",)}),
        (TorchLSTMCompiled(), {"built_seq_len": 1, "earlier_calls": ("other-mode",)}),
        (TorchLSTMExport(), {"graph": "encoder-decoder", "saved": True}),
    ],
    ids=str,
)
def test_equals_the_reference_in_each_use(
    deviation: Callable[..., float], adapter: Adapter, use: dict[str, Any]
) -> None:
    assert deviation(adapter, SHORT | use) < 1e-12


def test_results_have_the_shapes_of_the_exported_program(case: Callable[..., Case]) -> None:
    with recording() as shapes:
        TorchLSTMExport().solve(make_problem(case(**SHORT, built_batch=3)))
    assert list(shapes) == [
        DeclaredShape("output", (2, None, 3), (2, 2, 3)),
        DeclaredShape("h_n", (1, None, 3), (1, 2, 3)),
        DeclaredShape("c_n", (1, None, 3), (1, 2, 3)),
    ]


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ({"built_seq_len": 3}, "your code specialized it to be a constant"),
        ({"built_batch": 1}, "export 0/1 specialized due to hint of 1"),
    ],
)
def test_torch_export_refuses_what_is_reported_as_unsupported(
    case: Callable[..., Case], use: dict[str, Any], words: str
) -> None:
    assert "torch.export" in (TorchLSTMExport().supports(case(**SHORT | use)) or "")
    with pytest.raises((ValueError, AssertionError, RuntimeError), match=words):
        TorchLSTMExport().solve(make_problem(case(**SHORT | use)))


@by_name
def test_passes_the_adapter_check(case: Callable[..., Case], adapter: Adapter) -> None:
    few: list[dict[str, Any]] = [{}, {"dtype": "float32", "check": ("output", "h_n")}, {"lengths": "ragged"}]
    assert check_adapter(adapter, [case(**SHORT | options | {"name": str(options)}) for options in few]) == []


@pytest.mark.parametrize("adapter", [*ADAPTERS, TorchLSTMInductor()], ids=lambda adapter: adapter.name)
def test_reports_unsupported_options(case: Callable[..., Case], adapter: Adapter) -> None:
    assert "packed sequence" in (adapter.supports(case(lengths="ragged")) or "")


def test_torch_cannot_compile_packed_sequences() -> None:
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.zeros(2, 2, 3), torch.tensor([2, 1]))
    with compiling(), pytest.raises(Exception, match="data-dependent"):
        torch.compile(torch.nn.LSTM(3, 4), backend="aot_eager", fullgraph=True)(packed)


def test_an_exported_program_has_one_lstm_and_a_decomposed_one_has_none(case: Callable[..., Case]) -> None:
    module = build_module(case(**SHORT), "float64")
    inputs = torch.zeros(2, 2, 3, dtype=torch.float64)

    def operators(adapter: TorchLSTMExport) -> list[str]:
        program = adapter.export(module, inputs, None)
        assert program.module().weight_ih_l0 is module.weight_ih_l0
        return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]

    assert operators(TorchLSTMExport()).count("aten.lstm.input") == 1
    decomposed = operators(TorchLSTMDecomposed())
    assert not [name for name in decomposed if "lstm" in name or "mkldnn" in name]
    assert decomposed.count("aten.sigmoid.default") == 3 * SHORT["seq_len"]


def test_everything_is_compiled_to_one_graph(case: Callable[..., Case]) -> None:
    counters = torch._dynamo.utils.counters
    counters.clear()
    TorchLSTMCompiled().solve(make_problem(case(**SHORT)))
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert counters["aot_autograd"]["ok"] == 1
    assert not torch._dynamo.config.allow_rnn


def test_inductor_compiles_with_inductor(case: Callable[..., Case], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def compile_(module: Any, **options: Any) -> Any:
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", compile_)
    TorchLSTMInductor().solve(make_problem(case(**SHORT)))
    assert asked == [{"backend": "inductor", "fullgraph": True, "dynamic": False}]


def test_only_a_decomposed_lstm_drops_nothing(deviation: Callable[..., float]) -> None:
    assert deviation(TorchLSTMExport(), DROPS | {"dropout": 0.5}) < 1e-12
    assert deviation(TorchLSTMDecomposed(), DROPS) > 0.01
    assert deviation(TorchLSTMCompiled(), DROPS) > 0.01
