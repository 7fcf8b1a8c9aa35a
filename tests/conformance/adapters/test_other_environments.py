"""Adapters of what is run in environments of their own: what they refuse everywhere, and the rest where it is there."""

from collections.abc import Callable
from typing import Any

import pytest

from conformance.adapters import Adapter, installed
from conformance.adapters.check import EXAMPLES, check_adapter
from conformance.adapters.jax.brainstate import BrainstateLSTMCell
from conformance.adapters.onnx.onnx2tf import Onnx2Tf
from conformance.adapters.others.chainer import ChainerNStepLSTM
from conformance.adapters.others.mindspore import MindsporeLSTM
from conformance.adapters.others.mxnet import MxnetLSTM
from conformance.adapters.others.paddle2onnx import Paddle2Onnx
from conformance.adapters.others.tvm import TvmRelax
from conformance.adapters.pytorch.converted import ExecuTorchPortable, ExecuTorchXnnpack, LiteRTTorch
from conformance.adapters.tensorflow.sonnet import SonnetLSTM, SonnetUnrolledLSTM
from conformance.cases.case import Case

FLOAT32 = {"dtype": "float32"}
FORWARD = FLOAT32 | {"check": ("output", "h_n", "c_n")}
BOTH_WAYS = {"num_layers": 2, "direction": "bidirectional"}


@pytest.mark.parametrize(
    ("adapter", "options", "within"),
    [
        (ChainerNStepLSTM, {}, 1e-12),
        (ChainerNStepLSTM, BOTH_WAYS | {"batch_first": True}, 1e-12),
        (ChainerNStepLSTM, BOTH_WAYS | {"lengths": (2, 0, 4, 1)}, 1e-12),
        (MindsporeLSTM, FLOAT32 | BOTH_WAYS, 1e-4),
        (MindsporeLSTM, FLOAT32 | {"bias": False, "initial_state": "omitted", "batch_first": True}, 1e-4),
        (MxnetLSTM, BOTH_WAYS | {"batch_first": True}, 1e-12),
        (MxnetLSTM, FORWARD | {"proj_size": 2, "initial_state": "omitted"}, 1e-6),
        (BrainstateLSTMCell, BOTH_WAYS | {"batch_first": True}, 1e-12),
        (BrainstateLSTMCell, {"direction": "reverse", "initial_state": "omitted"}, 1e-12),
        (SonnetLSTM, BOTH_WAYS | {"batch_first": True, "forget_bias": 1.0}, 1e-12),
        (SonnetLSTM, {"direction": "reverse", "initial_state": "omitted"}, 1e-12),
        (SonnetUnrolledLSTM, FORWARD | BOTH_WAYS, 1e-5),
        (ExecuTorchPortable, FORWARD | {"direction": "bidirectional", "bias": False}, 1e-6),
        (ExecuTorchXnnpack, FORWARD | {"batch": "unbatched", "initial_state": "omitted"}, 1e-6),
        (LiteRTTorch, FORWARD | {"direction": "bidirectional", "proj_size": 2}, 1e-6),
        (TvmRelax, FORWARD | BOTH_WAYS, 1e-6),
        (TvmRelax, FORWARD | {"proj_size": 2, "batch": "unbatched"}, 1e-6),
        (Onnx2Tf, FORWARD | BOTH_WAYS, 1e-6),
        (Onnx2Tf, FORWARD | {"direction": "reverse", "seq_len": 3, "batch_first": True, "coupled_gates": True}, 1e-6),
        (Paddle2Onnx, FORWARD | {"direction": "bidirectional", "batch_first": True, "initial_state": "omitted"}, 1e-6),
        (Paddle2Onnx, FORWARD | {"chunks": (1, 3), "earlier_calls": ("fewer-rows", "error"), "saved": True}, 1e-6),
    ],
    ids=str,
)
def test_equals_the_reference(
    deviation: Callable[..., float], adapter: type[Adapter], options: dict[str, Any], within: float
) -> None:
    _skip_without(adapter)
    assert deviation(adapter(), options) < within


@pytest.mark.parametrize(
    ("adapter", "options", "words"),
    [
        (ChainerNStepLSTM, {"bias": False}, "always has biases"),
        (ChainerNStepLSTM, {"initial_state": "omitted"}, "needs an initial state"),
        (ChainerNStepLSTM, {"lengths": (0, 0, 0, 0)}, "no valid step"),
        (ChainerNStepLSTM, {"dropout": 0.5}, "for each direction"),
        (MindsporeLSTM, {}, "float16 and float32"),
        (MindsporeLSTM, FLOAT32 | {"dropout": 0.5}, "does not return them"),
        (MxnetLSTM, {"lengths": "ragged"}, "only available for cuDNN"),
        (MxnetLSTM, {"proj_size": 2}, "No training support"),
        (BrainstateLSTMCell, {"forget_bias": 0.5}, "always adds 1"),
        (BrainstateLSTMCell, {"lengths": "ragged"}, "has no lengths"),
        (SonnetLSTM, {"lengths": "ragged"}, "no reverse direction"),
        (SonnetUnrolledLSTM, {}, "float32 and float16 only"),
        (ExecuTorchPortable, FORWARD | {"lengths": "ragged"}, "packed sequences"),
        (LiteRTTorch, FORWARD | {"num_layers": 2, "dropout": 0.5, "mode": "train"}, "dropout is inactive"),
        (TvmRelax, FORWARD | {"lengths": "ragged"}, "packed sequences"),
        (TvmRelax, FORWARD | {"num_layers": 2, "dropout": 0.5, "mode": "train"}, "dropout is inactive"),
        (TvmRelax, FLOAT32, "converted for inference"),
        (Onnx2Tf, FORWARD | {"chunks": (2, 2)}, "in pieces"),
        (Paddle2Onnx, FORWARD | {"proj_size": 2}, "the conversion is aborted"),
        (Paddle2Onnx, FORWARD | {"num_layers": 2, "dropout": 0.5, "mode": "train"}, "dropout is inactive"),
    ],
)
def test_says_what_it_lacks(
    case: Callable[..., Case], adapter: type[Adapter], options: dict[str, Any], words: str
) -> None:
    assert words in (adapter().supports(case(**options)) or "")


@pytest.mark.parametrize(
    "adapter",
    [BrainstateLSTMCell, ChainerNStepLSTM, MindsporeLSTM, MxnetLSTM, Onnx2Tf, Paddle2Onnx, SonnetLSTM, TvmRelax],
)
def test_keeps_the_contract(adapter: type[Adapter]) -> None:
    _skip_without(adapter)
    few = ("batch first", "lengths", "forward only")
    assert check_adapter(adapter(), [case for case in EXAMPLES if case.name in few]) == []


def _skip_without(adapter: type[Adapter]) -> None:
    if reason := installed.missing(adapter()):
        pytest.skip(reason)
