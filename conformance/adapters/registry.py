"""Loads adapters by registered name, ``path/file.py:Class`` or ``package.module:Class``."""

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from conformance.adapters.adapter import Adapter
from conformance.cases.features import FEATURES
from conformance.errors import MISSING, UserError

GROUP = "conformance.adapters"
"""Entry-point group in which packages register their adapters."""

BUILT_IN = {
    "torch.nn.LSTM": "conformance.adapters.pytorch.lstm:TorchLSTM",
    "torch.nn.LSTMCell": "conformance.adapters.pytorch.lstm_cell:TorchLSTMCell",
    "torch.nn.LSTM[native]": "conformance.adapters.pytorch.modes:TorchLSTMNative",
    "torch.nn.LSTM[script]": "conformance.adapters.pytorch.modes:TorchLSTMScript",
    "torch.nn.LSTM[functional_call]": "conformance.adapters.pytorch.modes:TorchLSTMFunctionalCall",
    "torch.nn.LSTM[vmap]": "conformance.adapters.pytorch.modes:TorchLSTMVmap",
    "torch.nn.LSTM[export]": "conformance.adapters.pytorch.graphs:TorchLSTMExport",
    "torch.nn.LSTM[export,decomposed]": "conformance.adapters.pytorch.graphs:TorchLSTMDecomposed",
    "torch.nn.LSTM[compile,aot_eager]": "conformance.adapters.pytorch.graphs:TorchLSTMCompiled",
    "torch.nn.LSTM[compile,inductor]": "conformance.adapters.pytorch.graphs:TorchLSTMInductor",
    "torch.nn.LSTM[autocast]": "conformance.adapters.pytorch.reduced_precision:TorchLSTMAutocast",
    "torch.nn.LSTM[cuda]": "conformance.adapters.pytorch.cuda:TorchLSTMCuda",
    "torch.nn.LSTM[cuda,native]": "conformance.adapters.pytorch.cuda:TorchLSTMCudaNative",
    "torch.nn.LSTM[cuda,tf32]": "conformance.adapters.pytorch.cuda:TorchLSTMCudaTf32",
    "torch.ao.nn.quantized.dynamic.LSTM[float16]": "conformance.adapters.pytorch.reduced_precision:TorchDynamicLSTM",
    "torch.ao.nn.quantized.dynamic.LSTM[int8]": "conformance.adapters.pytorch.reduced_precision:TorchDynamicInt8",
    "torch.ao.nn.quantized.dynamic.LSTM[int8,per-channel]": (
        "conformance.adapters.pytorch.reduced_precision:TorchDynamicInt8PerChannel"
    ),
    "torch.ao.nn.quantizable.LSTM": "conformance.adapters.pytorch.quantizable:QuantizableLSTM",
    "torch.ao.nn.quantizable.LSTM[split_gates]": "conformance.adapters.pytorch.quantizable:QuantizableLSTMSplit",
    "torch.ao.nn.quantizable.LSTM[from_float]": "conformance.adapters.pytorch.quantizable:QuantizableLSTMFromFloat",
    "keras.layers.LSTM[tensorflow]": "conformance.adapters.keras.lstm:KerasLSTM",
    "keras.layers.LSTM[tensorflow,traced]": "conformance.adapters.keras.lstm:KerasLSTMTraced",
    "keras.layers.LSTM[tensorflow,unroll]": "conformance.adapters.keras.variants:KerasLSTMUnrolled",
    "keras.layers.LSTM[tensorflow,implementation-1]": "conformance.adapters.keras.variants:KerasImplementation1",
    "keras.layers.LSTM[tensorflow,stateful]": "conformance.adapters.keras.variants:KerasLSTMStateful",
    "keras.layers.RNN[tensorflow,StackedRNNCells]": "conformance.adapters.keras.variants:KerasStackedCells",
    "keras.layers.LSTM[jax]": "conformance.adapters.keras.lstm_jax:KerasLSTMJax",
    "keras.layers.LSTM[jax,unroll]": "conformance.adapters.keras.lstm_jax:KerasLSTMJaxUnrolled",
    "keras.layers.RNN[jax,StackedRNNCells]": "conformance.adapters.keras.lstm_jax:KerasStackedCellsJax",
    "keras.layers.LSTM[torch]": "conformance.adapters.keras.lstm_torch:KerasLSTMTorch",
    "keras.layers.LSTM[torch,unroll]": "conformance.adapters.keras.lstm_torch:KerasLSTMTorchUnrolled",
    "keras.layers.RNN[torch,StackedRNNCells]": "conformance.adapters.keras.lstm_torch:KerasStackedCellsTorch",
    "keras.layers.LSTM[tensorflow,wired-cudnn]": "conformance.adapters.keras.wired:KerasWiredTensorFlow",
    "keras.layers.LSTM[jax,wired-cudnn]": "conformance.adapters.keras.wired:KerasWiredJax",
    "keras.layers.LSTM[torch,wired-cudnn]": "conformance.adapters.keras.wired:KerasWiredTorch",
    "keras.Model.export[torch,onnx]": "conformance.adapters.keras.onnx_export:KerasOnnxExport",
    "keras.layers.LSTM[numpy]": "conformance.adapters.keras.forward_only:KerasLSTMNumpy",
    "keras.layers.LSTM[openvino]": "conformance.adapters.keras.forward_only:KerasLSTMOpenVINO",
    "tf_keras.layers.LSTM": "conformance.adapters.keras.tf_keras:TfKerasLSTM",
    "tf.compat.v1.nn.dynamic_rnn": "conformance.adapters.tensorflow.dynamic_rnn:TFDynamicRNN",
    "tf.raw_ops.BlockLSTM": "conformance.adapters.tensorflow.block_lstm:TFBlockLSTM",
    "tf.raw_ops.BlockLSTMV2": "conformance.adapters.tensorflow.block_lstm:TFBlockLSTMV2",
    "sonnet.LSTM": "conformance.adapters.tensorflow.sonnet:SonnetLSTM",
    "sonnet.UnrolledLSTM": "conformance.adapters.tensorflow.sonnet:SonnetUnrolledLSTM",
    "ai_edge_litert.Interpreter[keras]": "conformance.adapters.keras.litert:LiteRTKeras",
    "ai_edge_litert.Interpreter[keras,stateful]": "conformance.adapters.keras.litert:LiteRTKerasStateful",
    "openvino[keras]": "conformance.adapters.keras.converted:OpenVinoKeras",
    "tf2onnx": "conformance.adapters.keras.converted:Tf2OnnxKeras",
    "flax.linen.LSTMCell": "conformance.adapters.jax.flax_linen:FlaxLinenLSTMCell",
    "flax.linen.OptimizedLSTMCell": "conformance.adapters.jax.flax_linen:FlaxLinenOptimizedLSTMCell",
    "flax.nnx.LSTMCell": "conformance.adapters.jax.flax_nnx:FlaxNnxLSTMCell",
    "flax.nnx.OptimizedLSTMCell": "conformance.adapters.jax.flax_nnx:FlaxNnxOptimizedLSTMCell",
    "equinox.nn.LSTMCell": "conformance.adapters.jax.equinox:EquinoxLSTMCell",
    "haiku.LSTM": "conformance.adapters.jax.haiku:HaikuLSTM",
    "brainstate.nn.LSTMCell": "conformance.adapters.jax.brainstate:BrainstateLSTMCell",
    "jax.experimental.rnn.lstm_ref": "conformance.adapters.jax.lstm_ref:JaxLSTMRef",
    "mlx.nn.LSTM": "conformance.adapters.others.mlx:MlxLSTM",
    "tinygrad.nn.LSTMCell": "conformance.adapters.others.tinygrad:TinygradLSTMCell",
    "onnx.reference": "conformance.adapters.onnx.reference_evaluator:OnnxReference",
    "onnxruntime": "conformance.adapters.onnx.onnxruntime:OnnxRuntime",
    "onnxruntime[unoptimized]": "conformance.adapters.onnx.onnxruntime:OnnxRuntimeUnoptimized",
    "onnxruntime[int8]": "conformance.adapters.onnx.quantized:OnnxRuntimeInt8",
    "onnxruntime[int8,per-channel]": "conformance.adapters.onnx.quantized:OnnxRuntimeInt8PerChannel",
    "openvino[onnx]": "conformance.adapters.openvino.onnx_model:OpenVinoOnnx",
    "openvino[onnx,batchwise]": "conformance.adapters.openvino.onnx_model:OpenVinoOnnxBatchwise",
    "openvino[onnx,default-precision]": "conformance.adapters.openvino.onnx_model:OpenVinoOnnxDefault",
    "openvino[LSTMSequence]": "conformance.adapters.openvino.lstm_sequence:OpenVinoSequence",
    "opencv.dnn": "conformance.adapters.onnx.opencv:OpenCvDnn",
    "MNN": "conformance.adapters.onnx.mnn:Mnn",
    "MNN[useOriginRNNImpl]": "conformance.adapters.onnx.mnn:MnnOrigin",
    "tract": "conformance.adapters.onnx.tract:Tract",
    "iree": "conformance.adapters.onnx.iree:Iree",
    "onnx2tf": "conformance.adapters.onnx.onnx2tf:Onnx2Tf",
    "ncnn.LSTM": "conformance.adapters.others.ncnn:NcnnLSTM",
    "torch.onnx.export[dynamo]": "conformance.adapters.pytorch.onnx_export:TorchOnnxDynamo",
    "torch.onnx.export[legacy]": "conformance.adapters.pytorch.onnx_export:TorchOnnxLegacy",
    "openvino[torch]": "conformance.adapters.pytorch.converted:OpenVinoTorch",
    "openvino[torch.export]": "conformance.adapters.pytorch.converted:OpenVinoTorchExport",
    "executorch[portable]": "conformance.adapters.pytorch.converted:ExecuTorchPortable",
    "executorch[xnnpack]": "conformance.adapters.pytorch.converted:ExecuTorchXnnpack",
    "litert_torch": "conformance.adapters.pytorch.converted:LiteRTTorch",
    "tvm.relax[torch.export]": "conformance.adapters.others.tvm:TvmRelax",
    "paddle.nn.LSTM": "conformance.adapters.others.paddle:PaddleLSTM",
    "paddle.nn.LSTM[jit.save]": "conformance.adapters.others.paddle_jit:PaddleJit",
    "paddle.nn.RNN": "conformance.adapters.others.paddle_rnn:PaddleRNN",
    "paddle2onnx": "conformance.adapters.others.paddle2onnx:Paddle2Onnx",
    "mindspore.nn.LSTM": "conformance.adapters.others.mindspore:MindsporeLSTM",
    "mxnet.gluon.rnn.LSTM": "conformance.adapters.others.mxnet:MxnetLSTM",
    "chainer.functions.n_step_lstm": "conformance.adapters.others.chainer:ChainerNStepLSTM",
}
"""Classes of the built-in adapters by name, in the order in which reports list them.

They are not entry points, so that a checkout works without being installed.
"""


@cache
def registered() -> dict[str, str]:
    """Returns where the class of every registered name is defined: built-in adapters first, then others by name."""
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    return BUILT_IN | {point.name: point.value for point in points if point.name not in BUILT_IN}


def load(name: str) -> Adapter:
    """Loads an adapter, without importing its framework.

    Args:
        name: a registered name, ``path/file.py:Class`` or ``package.module:Class``.

    Raises:
        UserError: no adapter has that name, or the named object is not a valid adapter.
    """
    names = registered()
    place = names.get(name, name)
    where, colon, attribute = place.rpartition(":")
    if not colon:
        raise UserError(_unknown(name, names))
    module = _load_file(where) if where.endswith(".py") else _load_module(where)
    if not hasattr(module, attribute):
        classes = [key for key, value in vars(module).items() if inspect.isclass(value) and value is not Adapter]
        adapters = [key for key in classes if issubclass(vars(module)[key], Adapter)]
        hint = _did_you_mean(attribute, classes) or (f". Its adapters are: {', '.join(adapters)}" if adapters else "")
        raise UserError(f"{where} has no class {attribute!r}{hint}")
    return _instantiate(place, getattr(module, attribute))


def _unknown(name: str, names: dict[str, str]) -> str:
    return (
        f"no implementation is named {name!r}{_did_you_mean(name, list(names))}\n"
        "`conformance list --implementations` lists the registered names. Other names are:\n"
        "  path/file.py:Class, package.module:Class    an adapter of your own\n"
        "  cmd:./program                               a program that speaks the worker protocol\n"
        "  python:/path/to/python:NAME                 an adapter in another environment\n"
        "  NAME@package==version                       another release, in an environment created for it"
    )


def _did_you_mean(word: str, words: list[str]) -> str:
    lower = {other.lower(): other for other in words}
    close = difflib.get_close_matches(word.lower(), lower, 1, 0.5)
    return f", did you mean {lower[close[0]]!r}?" if close else ""


def _load_file(path: str) -> object:
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    name = f"_conformance_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # The file can import modules from its own folder, as when Python runs it.
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failed(path, error) from error
    return module


def _load_module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(where: str, error: BaseException) -> UserError:
    if isinstance(error, SyntaxError):
        return UserError(f"{error.filename}:{error.lineno}: {error.msg}")
    code = MISSING if isinstance(error, ImportError) else 2
    return UserError(f"{where} cannot be imported: {type(error).__name__}: {error}", code)


def _instantiate(place: str, found: object) -> Adapter:
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        lacks = [part for part in ("name", "supports", "solve") if not hasattr(found, part)]
        also = f" (missing: {', '.join(lacks)})" if lacks else ""
        raise UserError(f"{place} is not an adapter: it must be a subclass of conformance.Adapter{also}")
    lacks = sorted(found.__abstractmethods__) + ([] if hasattr(found, "name") else ["name"])
    if lacks:
        raise UserError(f"{place} is not a complete adapter: missing {', '.join(lacks)}")
    if wrong := _misdeclared(found):
        raise UserError(f"{place} is not a valid adapter: {wrong}")
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise UserError(f"{place} cannot be instantiated: {type(error).__name__}: {error}") from error


def _misdeclared(found: type[Adapter]) -> str:
    """Describes the first mistake in an adapter's class attributes; empty if there is none."""
    if not isinstance(found.name, str) or not re.fullmatch(r"\S+", found.name):
        return f"name must be text without spaces, got {found.name!r}"
    if isinstance(found.requires, str):
        return f"requires must be a tuple of module names, got {found.requires!r}"
    for what, names in (("features", found.features), ("lacks", found.lacks)):
        if isinstance(names, str):
            return f"{what} must be a collection of features, got {names!r}"
        for feature in names:
            if feature not in FEATURES:
                return (
                    f"{what} contains {feature!r}, which is not a feature{_did_you_mean(str(feature), list(FEATURES))}"
                )
    return ""
