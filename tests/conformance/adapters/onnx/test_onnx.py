"""Compares ONNX runtimes with the reference for each option, and checks the models that they read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.adapters import Adapter, installed, uses
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.onnx import common as _onnx
from conformance.adapters.onnx import session
from conformance.cases.case import Case
from conformance.run import implementations
from conformance.verdict.declared import DeclaredShape, recording
from conformance.verdict.problem import make_problem

onnx = pytest.importorskip("onnx")

FORWARD = [case for case in (example.forward_only() for example in EXAMPLES) if case]
SINGLE = {"dtype": "float32", "check": ("output", "h_n", "c_n")}
BOTH_WAYS = {"direction": "bidirectional"}
RUNTIMES = (
    "onnxruntime", "onnxruntime[unoptimized]", "onnx.reference", "openvino[onnx]", "opencv.dnn", "MNN",
    "MNN[useOriginRNNImpl]", "tract",
)  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {},
    {"graph": "twice", "num_layers": 2, "batch_first": True},
    {"graph": "encoder-decoder", "num_layers": 2},
    {"graph": "parallel", "batch_first": True, **BOTH_WAYS},
    {"num_layers": 3, "batch_first": True},
    {"num_layers": 2, **BOTH_WAYS},
    {"hidden_size": (4, 2), **BOTH_WAYS},
    {"bias": False, "initial_state": "omitted", **BOTH_WAYS},
    {"seq_len": 1, "batch": 1, "hidden_size": 1, "initial_state": "c_0-only"},
]
"""Options that every runtime computes correctly."""
MORE: dict[str, list[dict[str, Any]]] = {
    "onnxruntime": [
        {"direction": "reverse"},
        {"lengths": (2, 0, 4, 1), "padding": "nan", "num_layers": 2, **BOTH_WAYS},
        {"lengths": (0, 0, 0, 0), "direction": "reverse"},
        {"peepholes": True, "num_layers": 2, **BOTH_WAYS},
        {"coupled_gates": True},
        {"clip": 100.0},
        {"activations": ("hard_sigmoid_6", "scaled_tanh", "elu")},
        {"activations": ("hard_sigmoid", "affine", "tanh", "sigmoid", "leaky_relu", "softsign"), **BOTH_WAYS},
        {"chunks": (1, 3), "num_layers": 2},
        {"initial_state": "h_0-given", "hidden_size": (4, 2)},
        {"initial_state": "c_0-given", "memory": "expanded"},
        {"earlier_calls": ("longer", "fewer-rows", "error"), "lengths": "ragged", **BOTH_WAYS},
        {"saved": True, "memory": "strided", "batch_first": True},
        {"batching": "alone", "memory": "read-only"},
        {"graph": "twice", "lengths": (2, 0, 4, 1), "num_layers": 2, "batch_first": True, **BOTH_WAYS},
        {"graph": "encoder-decoder", "initial_state": "h_0-given", "hidden_size": (4, 2)},
        {
            "graph": "parallel",
            "activations": ("hard_sigmoid", "affine", "tanh", "sigmoid", "tanh", "softsign"),
            **BOTH_WAYS,
        },
    ],
    "onnx.reference": [
        {"direction": "reverse"},
        {"peepholes": True, **BOTH_WAYS},
        {"chunks": (1, 3), "saved": True},
        {"earlier_calls": ("longer", "fewer-rows", "error")},
    ],
    "openvino[onnx]": [
        {"direction": "reverse"},
        {"lengths": (2, 0, 4, 1), "padding": "nan", "num_layers": 2, **BOTH_WAYS},
        {"activations": ("tanh", "sigmoid", "relu"), **BOTH_WAYS},
        {"clip": 100.0},
        {"chunks": (1, 3), "num_layers": 2},
        {"earlier_calls": ("longer", "fewer-rows", "error"), **BOTH_WAYS},
        {"saved": True, "memory": "strided", "batch_first": True},
        {"batching": "alone", "memory": "read-only"},
    ],
    "opencv.dnn": [
        {"clip": 100.0},
        {"chunks": (1, 3), "num_layers": 2},
        {"earlier_calls": ("longer", "fewer-rows", "error"), **BOTH_WAYS},
        {"saved": True, "memory": "read-only"},
    ],
    "tract": [
        {"peepholes": True, "num_layers": 2, "initial_state": "omitted"},
        {"clip": 100.0},
        {"chunks": (1, 3), "num_layers": 2},
        {"earlier_calls": ("longer", "fewer-rows"), **BOTH_WAYS},
        {"saved": True, "memory": "strided", "batch_first": True},
        {"batching": "alone", "memory": "read-only"},
    ],
    "MNN": [
        {"activations": ("tanh", "sigmoid", "relu"), **BOTH_WAYS},
        {"chunks": (1, 3), "batch_first": True},
        {"earlier_calls": ("longer", "fewer-rows", "error"), **BOTH_WAYS},
        {"saved": True, "memory": "strided", "batching": "permuted"},
    ],
}

RAISES = {
    "tract": ("no state", "no bias, no state", "after other calls"),
    "opencv.dnn": ("no bias",),
    "MNN": ("in pieces", "after other calls"),
    "MNN[useOriginRNNImpl]": ("in pieces", "after other calls"),
}
"""Examples of the adapter check that raise because of a known divergence."""


def runtime(name: str) -> Adapter:
    """Loads an adapter as a run does: in a process of its own if it requires one."""
    [adapter] = implementations.load_all([name])
    if installed.missing(adapter):
        pytest.skip(installed.missing(adapter) or "")
    return adapter


@pytest.mark.parametrize("name", RUNTIMES)
def test_equals_the_reference(deviation: Callable[..., float], name: str) -> None:
    adapter = runtime(name)
    for options in [*OPTIONS, *MORE.get(name, [])]:
        assert deviation(adapter, SINGLE | options) < 2e-6, options


@pytest.mark.parametrize("name", [*RUNTIMES, "openvino[onnx,batchwise]"])
def test_refuses_unsupported_options_with_a_reason(case: Callable[..., Case], name: str) -> None:
    adapter = runtime(name)
    for options, words in (
        ({}, "has no gradients"),
        ({"proj_size": 2, "check": ("h_n",)}, "ONNX's LSTM has no projection"),
        ({"batch": "unbatched", "check": ("h_n",)}, "ONNX's LSTM needs a batch axis"),
        ({"lengths": "ragged", "mask": "left", **SINGLE}, "sequence_lens"),
    ):
        assert words in (adapter.supports(case(**{"dtype": "float32", **options})) or "")


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("onnxruntime", {"dtype": "float64"}, "does not support double yet"),
        ("openvino[onnx]", {"activations": ("sigmoid", "softsign", "tanh")}, "Unknown activation function: softsign"),
        ("openvino[onnx]", {"activations": ("hard_sigmoid", "tanh", "tanh")}, "Unsupported activation function"),
        ("openvino[onnx,batchwise]", {}, "layout=1 is for batch-first cases"),
        ("opencv.dnn", {"activations": ("sigmoid", "relu", "relu")}, "[Relu] for layer LSTM is not supported"),
        ("tract", {"dtype": "float64"}, "only supports f32 and f16"),
        ("tract", {"lengths": "ragged"}, "seq_len only supported for trivial noop case"),
        ("MNN", {"peepholes": True}, "not support 8th input"),
        ("MNN", {"activations": ("sigmoid", "tanh", "elu")}, "mnnconvert cannot convert this model"),
    ],
)
def test_limits_of_a_runtime_are_refused_with_its_message(
    case: Callable[..., Case], name: str, options: dict[str, Any], words: str
) -> None:
    assert words in (runtime(name).supports(case(**SINGLE | options)) or "")


def test_the_default_precision_of_openvino_is_declared(
    deviation: Callable[..., float], case: Callable[..., Case]
) -> None:
    adapter = runtime("openvino[onnx,default-precision]")
    coarse = adapter.profile(case(**SINGLE)).u > 2.0**-24
    off = deviation(adapter, SINGLE)
    assert (off > 1e-4) == coarse
    assert off < 0.05
    assert f"the plug-in's default, {'bf16' if coarse else 'f32'} here" in adapter.describe()["precision"]


# onnx.reference computes with the large values in the padding, so that exp overflows.
@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@pytest.mark.parametrize("name", RUNTIMES)
def test_passes_the_adapter_check(name: str) -> None:
    examples = [example for example in FORWARD if example.name not in RAISES.get(name, ())]
    assert check_adapter(runtime(name), examples) == []


@pytest.mark.parametrize("name", [*RUNTIMES, "openvino[onnx,batchwise]"])
def test_describe_reports_versions_and_method(name: str) -> None:
    described = runtime(name).describe()
    assert described["onnx"] == onnx.__version__
    assert described["batch first"] == ("layout=1" if name.endswith(("reference", "batchwise]")) else TRANSPOSED)
    if name.startswith("onnxruntime"):
        assert described["graph optimizations"] == ("off" if name.endswith("[unoptimized]") else "default")


TRANSPOSED = "Transpose nodes around the stack, as exporters write them"


@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, **BOTH_WAYS, "lengths": "ragged", "batch_first": True},
        {"bias": False, "initial_state": "omitted", "peepholes": True, "dtype": "float16"},
        {"coupled_gates": True, "clip": 0.5, "activations": ("hard_sigmoid", "affine", "elu"), **BOTH_WAYS},
    ],
)
@pytest.mark.parametrize("batchwise", [False, True])
@pytest.mark.parametrize("opset", [14, _onnx.OPSET])
def test_models_are_well_formed(
    case: Callable[..., Case], options: dict[str, Any], batchwise: bool, opset: int
) -> None:
    problem = make_problem(case(**options))
    model = _onnx.build_model(problem, batchwise, opset)
    onnx.checker.check_model(model, full_check=True)
    feeds = _onnx.build_feeds(problem.case, uses.arguments(problem), batchwise)
    declared = {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim] for value in model.graph.input
    }
    assert declared == {name: list(array.shape) for name, array in feeds.items()}


def test_constants_of_activations_are_concatenated(case: Callable[..., Case]) -> None:
    activations = ("hard_sigmoid", "tanh", "elu")
    model = _onnx.build_model(make_problem(case(activations=activations, **BOTH_WAYS)))
    [node] = [node for node in model.graph.node if node.op_type == "LSTM"]
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    assert attributes["activations"] == [b"HardSigmoid", b"Tanh", b"Elu"] * 2
    np.testing.assert_allclose(attributes["activation_alpha"], [0.2, 1.0] * 2)
    np.testing.assert_allclose(attributes["activation_beta"], [0.5] * 2)


def test_models_have_the_newest_opset_that_onnxruntime_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(model: bytes) -> None:
        if onnx.load_from_string(model).opset_import[0].version > 21:
            raise RuntimeError("Current official support for domain ai.onnx is till opset 21.")

    monkeypatch.setattr(session, "load", load)
    session.newest_opset.cache_clear()
    try:
        assert session.newest_opset(_onnx.OPSET) == 21
    finally:
        session.newest_opset.cache_clear()


def test_onnxruntime_compares_shapes_with_those_that_a_model_declares() -> None:
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, 1, shape) for name, shape in (("x", ["T", 2]), ("y", ["T", "Q"])))
    to = helper.make_tensor_value_info("to", onnx.TensorProto.INT64, [2])
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "to"], ["y"])], "merges", [x, to], [y])
    run = session.load(_onnx.make_model(graph, 15).SerializeToString())
    for steps in (1, 3):
        with recording() as shapes:
            run({"x": np.zeros((steps, 2), np.float32), "to": np.array([1, -1])})
        assert list(shapes) == [DeclaredShape("y", (steps, None), (1, 2 * steps))]
