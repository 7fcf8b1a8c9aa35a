"""Keras layers on TensorFlow, converted by other frameworks' converters and run by their engines."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance import threads
from conformance.adapters import graph
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import (
    ARGUMENTS,
    DERIVATIVES,
    USES,
    Array,
    StackFunction,
    StackInputs,
    flatten_sources,
)
from conformance.adapters.keras.loss import Loss
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.openvino import common as _openvino
from conformance.verdict import declared

Engine = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Function from the inputs of a converted model to its outputs, both by name."""

_INFERENCE = "the model is converted for inference"


class KerasConverted(KerasLSTM):
    """Base of the converters' adapters: traces a function of a stack of layers, converts it and runs it once.

    The sequence, the states and the masks are inputs of the converted model, with fixed shapes. Weights are constants.
    """

    default_tag = "core"
    features = KerasLSTM.features - {"input dropout", "gradients"} - USES - ARGUMENTS - DERIVATIVES | graph.USES
    lacks: ClassVar[Mapping[str, str]] = {**KerasLSTM.lacks, "input dropout": _INFERENCE, "gradients": _INFERENCE}

    def describe(self) -> dict[str, str]:
        """Adds the version of the converter."""
        converter = self.requires[0].replace("_", "-")
        return {converter: version(converter), **super().describe(), "gradients": "none"}

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Converts the stack and runs the result."""
        del loss
        tf = self.tensorflow()
        x, states, weights, masks = inputs
        tensors = [*flatten_sources((x, states, [])), *masks]
        names = [f"input{number}" for number in range(len(tensors))]

        def model(**named: Any) -> dict[str, Any]:
            rest = [named[name] for name in names]
            nested, at = [], 1
            for layer in states:
                nested.append(rest[at : at + len(layer)])
                at += len(layer)
            return {f"result{k}": tensor for k, tensor in enumerate(stack(rest[0], nested, weights, rest[at:]))}

        specifications = {name: tf.TensorSpec(t.shape, t.dtype, name) for name, t in zip(names, tensors, strict=True)}
        with _keras.muted():
            traced = tf.function(model, autograph=False).get_concrete_function(**specifications)
            engine = self.convert(traced, flatten_sources(([], [], weights))[1:])
        results = engine({name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)})
        return [np.array(results[f"result{k}"]) for k in range(len(results))], []

    @abstractmethod
    def convert(self, traced: Any, weights: Sequence[Any]) -> Engine:
        """Converts a traced function.

        Args:
            traced: concrete function with named inputs and outputs.
            weights: the weights that it reads.
        """

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns nothing: ``features`` contains the dtypes that can be converted."""
        return ()


class LiteRTKeras(KerasConverted):
    """Drives ``ai_edge_litert.interpreter.Interpreter`` with a model converted from ``keras.layers.LSTM``."""

    name = "ai_edge_litert.Interpreter[keras]"
    requires = ("ai_edge_litert", "keras", "tensorflow")
    install = "pip install 'lstm-conformance[litert]'"
    path = "tf.lite.TFLiteConverter, shapes fixed, weights in the model; sequence, states and mask are its inputs"
    features = KerasConverted.features - {"float64", "float16", "bfloat16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasConverted.lacks,
        "float64": "tf.lite.TFLiteConverter fails on tf.Transpose in float64",
        "float16": "tf.lite.TFLiteConverter fails on tf.Transpose in float16",
        "bfloat16": "tf.lite.TFLiteConverter fails on TensorListReserve in bfloat16",
    }

    def convert(self, traced: Any, weights: Sequence[Any]) -> Engine:
        """Converts with ``tf.lite.TFLiteConverter``."""
        tf = self.tensorflow()
        # The model has a signature only if a module tracks its weights.
        module = tf.Module()
        module.weights = weights
        converted = tf.lite.TFLiteConverter.from_concrete_functions([traced], module).convert()
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(model_content=converted, num_threads=threads.required() or 1).get_signature_runner()
        details = runner.get_output_details()

        def run(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
            results: dict[str, Array] = runner(**arrays)
            for name, array in results.items():
                signature = details[name]["shape_signature"]
                declared.record_shape(name, [None if size < 0 else int(size) for size in signature], array.shape)
            return results

        return run


class OpenVinoKeras(KerasConverted):
    """Drives ``openvino.convert_model`` with a traced function of Keras layers."""

    name = "openvino[keras]"
    requires = ("openvino", "keras", "tensorflow")
    install = "pip install 'lstm-conformance[openvino,tensorflow]'"
    path = "openvino.convert_model(concrete function), and the CPU plug-in"
    features = KerasConverted.features - {"bfloat16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasConverted.lacks,
        "bfloat16": "openvino.convert_model raises OpConversionFailure in bfloat16",
    }

    def convert(self, traced: Any, weights: Sequence[Any]) -> Engine:
        """Converts with ``openvino.convert_model``. The results are computed in the precision of the case."""
        del weights
        import openvino

        model = openvino.convert_model(traced)
        run = _openvino.load(model, traced.inputs[0].dtype.name)
        inputs, outputs = ([port.get_any_name() for port in ports] for ports in (model.inputs, model.outputs))
        return lambda arrays: dict(zip(outputs, run([arrays[name] for name in inputs]), strict=True))


class Tf2OnnxKeras(KerasConverted):
    """Drives ``tf2onnx.convert`` with a traced function of Keras layers, run on ONNX Runtime."""

    name = "tf2onnx"
    requires = ("tf2onnx", "keras", "tensorflow", "onnx", "onnxruntime")
    install = "pip install 'lstm-conformance[tf2onnx]'"
    path = "tf2onnx.convert.from_function, run on onnxruntime"
    features = KerasConverted.features - {"float64", "bfloat16"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasConverted.lacks,
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": "tf2onnx: \"unsupported numpy dtype 'bfloat16' for mapping to onnx\"",
    }

    def describe(self) -> dict[str, str]:
        """Adds the version of ONNX Runtime."""
        return super().describe() | _onnxruntime.describe() | {"path": self.path}

    def convert(self, traced: Any, weights: Sequence[Any]) -> Engine:
        """Converts with ``tf2onnx.convert.from_function``, which passes the inputs by position."""
        del weights
        import tf2onnx

        specifications = traced.structured_input_signature[1]
        function = self.tensorflow().function(
            lambda *inputs: traced(**dict(zip(specifications, inputs, strict=True))), autograph=False
        )
        model, _ = tf2onnx.convert.from_function(function, input_signature=list(specifications.values()))
        return _onnxruntime.load(model.SerializeToString())
