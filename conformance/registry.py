"""Names to adapters: registered ones, ``path/file.py:Class`` or ``package.module:Class``, and processes of their own.

``cmd:./program args`` is a program that speaks the worker protocol, ``python:/path/to/python:NAME`` an adapter that
another environment's interpreter runs.
"""

import difflib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from conformance.adapters import Adapter
from conformance.errors import MISSING, UserError
from conformance.features import FEATURES
from conformance.worker.client import Limits, WorkerAdapter, elsewhere, isolated, program

GROUP = "conformance.adapters"
"""The entry-point group in which packages register adapters of their own."""

BUILT_IN = {
    "torch.nn.LSTM": "conformance.adapters.torch_lstm:TorchLSTM",
    "torch.nn.LSTMCell": "conformance.adapters.torch_lstm_cell:TorchLSTMCell",
    "torch.nn.LSTM[native]": "conformance.adapters.torch_lstm_modes:TorchLSTMNative",
    "torch.nn.LSTM[script]": "conformance.adapters.torch_lstm_modes:TorchLSTMScript",
    "torch.nn.LSTM[functional_call]": "conformance.adapters.torch_lstm_modes:TorchLSTMFunctionalCall",
    "torch.nn.LSTM[vmap]": "conformance.adapters.torch_lstm_modes:TorchLSTMVmap",
    "torch.nn.LSTM[export]": "conformance.adapters.torch_lstm_graphs:TorchLSTMExport",
    "torch.nn.LSTM[export,decomposed]": "conformance.adapters.torch_lstm_graphs:TorchLSTMDecomposed",
    "torch.nn.LSTM[compile,aot_eager]": "conformance.adapters.torch_lstm_graphs:TorchLSTMCompiled",
    "torch.nn.LSTM[compile,inductor]": "conformance.adapters.torch_lstm_graphs:TorchLSTMInductor",
    "torch.nn.LSTM[autocast]": "conformance.adapters.torch_lstm_reduced:TorchLSTMAutocast",
    "torch.ao.nn.quantized.dynamic.LSTM[float16]": "conformance.adapters.torch_lstm_reduced:TorchDynamicLSTM",
    "torch.ao.nn.quantizable.LSTM": "conformance.adapters.torch_quantizable:TorchQuantizableLSTM",
    "torch.ao.nn.quantizable.LSTM[split_gates]": "conformance.adapters.torch_quantizable:TorchQuantizableLSTMSplit",
    "torch.ao.nn.quantizable.LSTM[from_float]": "conformance.adapters.torch_quantizable:TorchQuantizableLSTMFromFloat",
    "keras.layers.LSTM[tensorflow]": "conformance.adapters.keras_lstm:KerasLSTM",
    "keras.layers.LSTM[tensorflow,traced]": "conformance.adapters.keras_lstm:KerasLSTMTraced",
    "keras.layers.LSTM[tensorflow,unroll]": "conformance.adapters.keras_lstm_variants:KerasLSTMUnrolled",
    "keras.layers.LSTM[tensorflow,implementation-1]": "conformance.adapters.keras_lstm_variants:KerasImplementation1",
    "keras.layers.LSTM[tensorflow,stateful]": "conformance.adapters.keras_lstm_variants:KerasLSTMStateful",
    "keras.layers.RNN[tensorflow,StackedRNNCells]": "conformance.adapters.keras_lstm_variants:KerasStackedCells",
    "keras.layers.LSTM[jax]": "conformance.adapters.keras_lstm_jax:KerasLSTMJax",
    "keras.layers.LSTM[jax,unroll]": "conformance.adapters.keras_lstm_jax:KerasLSTMJaxUnrolled",
    "keras.layers.RNN[jax,StackedRNNCells]": "conformance.adapters.keras_lstm_jax:KerasStackedCellsJax",
    "keras.layers.LSTM[torch]": "conformance.adapters.keras_lstm_torch:KerasLSTMTorch",
    "keras.layers.LSTM[torch,unroll]": "conformance.adapters.keras_lstm_torch:KerasLSTMTorchUnrolled",
    "keras.layers.RNN[torch,StackedRNNCells]": "conformance.adapters.keras_lstm_torch:KerasStackedCellsTorch",
    "keras.layers.LSTM[numpy]": "conformance.adapters.keras_lstm_forward:KerasLSTMNumpy",
    "keras.layers.LSTM[openvino]": "conformance.adapters.keras_lstm_forward:KerasLSTMOpenVINO",
    "tf_keras.layers.LSTM": "conformance.adapters.tf_keras_lstm:TfKerasLSTM",
    "tf.raw_ops.BlockLSTM": "conformance.adapters.tf_block_lstm:TFBlockLSTM",
    "tf.raw_ops.BlockLSTMV2": "conformance.adapters.tf_block_lstm:TFBlockLSTMV2",
    "ai_edge_litert.Interpreter[keras]": "conformance.adapters.litert_keras:LiteRTKeras",
    "flax.linen.LSTMCell": "conformance.adapters.flax_linen:FlaxLinenLSTMCell",
    "flax.linen.OptimizedLSTMCell": "conformance.adapters.flax_linen:FlaxLinenOptimizedLSTMCell",
    "flax.nnx.LSTMCell": "conformance.adapters.flax_nnx:FlaxNnxLSTMCell",
    "flax.nnx.OptimizedLSTMCell": "conformance.adapters.flax_nnx:FlaxNnxOptimizedLSTMCell",
    "equinox.nn.LSTMCell": "conformance.adapters.equinox_lstm_cell:EquinoxLSTMCell",
    "haiku.LSTM": "conformance.adapters.haiku_lstm:HaikuLSTM",
    "jax.experimental.rnn.lstm_ref": "conformance.adapters.jax_lstm_ref:JaxLSTMRef",
    "mlx.nn.LSTM": "conformance.adapters.mlx_lstm:MlxLSTM",
    "tinygrad.nn.LSTMCell": "conformance.adapters.tinygrad_lstm_cell:TinygradLSTMCell",
    "onnx.reference": "conformance.adapters.onnx_reference:OnnxReference",
    "onnxruntime": "conformance.adapters.onnxruntime_lstm:OnnxRuntime",
    "openvino[onnx]": "conformance.adapters.openvino_onnx:OpenVinoOnnx",
    "openvino[onnx,batchwise]": "conformance.adapters.openvino_onnx:OpenVinoOnnxBatchwise",
    "openvino[onnx,default-precision]": "conformance.adapters.openvino_onnx:OpenVinoOnnxDefault",
    "openvino[LSTMSequence]": "conformance.adapters.openvino_sequence:OpenVinoSequence",
    "opencv.dnn": "conformance.adapters.opencv_dnn:OpenCvDnn",
    "MNN": "conformance.adapters.mnn_lstm:Mnn",
    "MNN[useOriginRNNImpl]": "conformance.adapters.mnn_lstm:MnnOrigin",
    "ncnn.LSTM": "conformance.adapters.ncnn_lstm:NcnnLSTM",
    "torch.onnx.export[dynamo]": "conformance.adapters.torch_onnx:TorchOnnxDynamo",
    "torch.onnx.export[legacy]": "conformance.adapters.torch_onnx:TorchOnnxLegacy",
    "tvm.relax[torch.export]": "conformance.adapters.tvm_relax:TvmRelax",
    "paddle.nn.LSTM": "conformance.adapters.paddle_lstm:PaddleLSTM",
    "mindspore.nn.LSTM": "conformance.adapters.mindspore_lstm:MindsporeLSTM",
    "chainer.functions.n_step_lstm": "conformance.adapters.chainer_n_step:ChainerNStepLSTM",
}
"""The adapters of this package, by name, in the order in which they run; a checkout need not be installed."""


@cache
def registered() -> dict[str, str]:
    """Every registered name and where its class is: built-in ones first, then others by name."""
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name)
    return BUILT_IN | {point.name: point.value for point in points if point.name not in BUILT_IN}


def load(name: str) -> Adapter:
    """The adapter that a name, a file or a module stands for.

    Args:
        name: a registered name, ``path/file.py:Class``, ``package.module:Class``, ``cmd:./program args`` or
            ``python:/path/to/python:NAME``. The last two start a process, to ask it for its name.

    Raises:
        UserError: nothing has that name, or what has it is no adapter.
    """
    kind, _, rest = name.partition(":")
    if kind in ("cmd", "python"):
        python, _, served = rest.partition(":")
        return program(rest) if kind == "cmd" else elsewhere(python, served)
    names = registered()
    place = names.get(name, name)
    where, colon, attribute = place.rpartition(":")
    if not colon:
        raise UserError(_unknown(name, names))
    module = _file(where) if where.endswith(".py") else _module(where)
    if not hasattr(module, attribute):
        classes = [key for key, value in vars(module).items() if inspect.isclass(value) and value is not Adapter]
        raise UserError(f"{where} has no {attribute!r}{_did_you_mean(attribute, classes)}")
    return _instance(place, getattr(module, attribute))


def load_all(names: Sequence[str] = (), isolate: bool = False, limits: Limits | None = None) -> list[Adapter]:
    """The named adapters, or all registered ones.

    Args:
        names: see ``load``.
        isolate: whether each gets a process of its own, not only those that cannot do without.
        limits: what such processes may take.

    Raises:
        UserError: one of them cannot be had, or two have the same name.
    """
    adapters: dict[str, Adapter] = {}
    for name in names or registered():
        adapter = load(name)
        if (isolate or adapter.own_process or adapter.environment) and not isinstance(adapter, WorkerAdapter):
            adapter = isolated(adapter, registered().get(name, name))
        if isinstance(adapter, WorkerAdapter):
            adapter.limits = limits or adapter.limits
        if adapter.name in adapters:
            raise UserError(f"two implementations are named {adapter.name}: give one of them another name")
        adapters[adapter.name] = adapter
    return list(adapters.values())


def missing(adapter: Adapter) -> str | None:
    """What an adapter needs that is not installed, and the command that installs it. Imports none of it."""
    absent = [module for module in adapter.requires if not _is_installed(module)]
    if not absent:
        return None
    how = "" if adapter.install.startswith("see ") else "install with: "
    hint = f"; {how}{adapter.install}" if adapter.install else ""
    return f"{adapter.name} needs {' and '.join(absent)}, which {_is(absent)} not installed{hint}"


def split(adapters: Sequence[Adapter]) -> tuple[list[Adapter], dict[str, str]]:
    """The adapters of which everything is installed, and by the others' names what they need."""
    absent = {adapter.name: reason for adapter in adapters if (reason := missing(adapter))}
    return [adapter for adapter in adapters if adapter.name not in absent], absent


def versions(adapter: Adapter) -> dict[str, str]:
    """Versions of the packages that an adapter requires: as its own process says, or read without importing them."""
    if isinstance(adapter, WorkerAdapter) and adapter.packages:
        return dict(adapter.packages)
    return {module: version(module) for module in adapter.requires}


@cache
def version(module: str) -> str:
    """The version of the distribution that a top-level module comes from; empty when there is none."""
    # A wheel may be named otherwise than its module: tensorflow comes in tensorflow-cpu too.
    for distribution in (module, f"{module}-cpu", *metadata.packages_distributions().get(module, ())):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return module in sys.modules


def _is(things: Sequence[str]) -> str:
    return "is" if len(things) == 1 else "are"


def _unknown(name: str, names: dict[str, str]) -> str:
    return (
        f"no implementation is named {name!r}{_did_you_mean(name, list(names))}\n"
        f"registered: {', '.join(names)}\nor name a class: path/file.py:Class, package.module:Class"
        "\nor a process: cmd:./program, python:/path/to/python:NAME"
    )


def _did_you_mean(word: str, words: list[str]) -> str:
    lower = {other.lower(): other for other in words}
    close = difflib.get_close_matches(word.lower(), lower, 1, 0.5)
    return f", did you mean {lower[close[0]]!r}?" if close else ""


def _file(path: str) -> object:
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file")
    name = f"_conformance_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # Its own folder comes first, as when Python runs the file.
    folder = str(Path(path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failed(path, error) from error
    return module


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(where: str, error: BaseException) -> UserError:
    if isinstance(error, SyntaxError):
        return UserError(f"{error.filename}:{error.lineno}: {error.msg}")
    code = MISSING if isinstance(error, ImportError) else 2
    return UserError(f"{where} cannot be imported: {type(error).__name__}: {error}", code)


def _instance(place: str, found: object) -> Adapter:
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        lacks = [part for part in ("name", "supports", "solve") if not hasattr(found, part)]
        also = f"; it lacks {', '.join(lacks)}" if lacks else ""
        raise UserError(f"{place} is not an adapter: it must be a subclass of conformance.adapters.Adapter{also}")
    lacks = sorted(found.__abstractmethods__) + ([] if hasattr(found, "name") else ["name"])
    if lacks:
        raise UserError(f"{place} is not a whole adapter: it lacks {', '.join(lacks)}")
    if wrong := _misdeclared(found):
        raise UserError(f"{place} is not a right adapter: {wrong}")
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise UserError(f"{place} cannot be made: {type(error).__name__}: {error}") from error


def _misdeclared(found: type[Adapter]) -> str:
    """What an adapter's data is wrong in; empty if it is right."""
    if not isinstance(found.name, str) or not re.fullmatch(r"\S+", found.name):
        return f"its name must be text without blanks, not {found.name!r}"
    if isinstance(found.requires, str):
        return f"requires must be a tuple of modules, not {found.requires!r}"
    for what, names in (("features", found.features), ("lacks", found.lacks)):
        if isinstance(names, str):
            return f"{what} must be a collection of names, not {names!r}"
        for feature in names:
            if feature not in FEATURES:
                return f"its {what} name {feature!r}, which is no feature{_did_you_mean(str(feature), list(FEATURES))}"
    return ""
