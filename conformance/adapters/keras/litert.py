"""Keras layers converted for LiteRT, formerly TensorFlow Lite, and run by its interpreter."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.adapter import DERIVATIVES, USES, Array, StackFunction, StackInputs, flatten_sources
from conformance.adapters.keras.loss import Loss
from conformance.adapters.keras.lstm import KerasLSTM

_LACKS = {
    "input dropout": "LiteRT supports inference only",
    "gradients": "LiteRT supports inference only",
    "float64": "tf.lite.TFLiteConverter fails on tf.Transpose in float64",
    "float16": "tf.lite.TFLiteConverter fails on tf.Transpose in float16",
    "bfloat16": "tf.lite.TFLiteConverter fails on TensorListReserve in bfloat16",
}


class LiteRTKeras(KerasLSTM):
    """Drives ``ai_edge_litert.interpreter.Interpreter`` with a model converted from ``keras.layers.LSTM``.

    Converts one model for each problem.
    """

    name = "ai_edge_litert.Interpreter[keras]"
    requires = ("ai_edge_litert", "keras", "tensorflow")
    install = "pip install 'lstm-conformance[litert]'"
    default_tag = "core"
    path = "tf.lite.TFLiteConverter, shapes fixed, weights in the model; sequence, states and mask are its inputs"
    features = KerasLSTM.features - set(_LACKS) - USES - DERIVATIVES
    lacks: ClassVar[Mapping[str, str]] = {**KerasLSTM.lacks, **_LACKS}

    def describe(self) -> dict[str, str]:
        """Adds LiteRT's version."""
        return {"ai_edge_litert": version("ai_edge_litert"), **super().describe(), "gradients": "none"}

    def run_stack(
        self, stack: StackFunction, inputs: StackInputs, loss: Loss | None
    ) -> tuple[list[Array], list[Array]]:
        """Converts the stack to a model with fixed shapes and runs it once."""
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
            concrete = tf.function(model, autograph=False).get_concrete_function(**specifications)
            # The model has a signature only if a module tracks its weights.
            module = tf.Module()
            module.weights = flatten_sources(([], [], weights))[1:]
            converted = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module).convert()
            from ai_edge_litert.interpreter import Interpreter

            runner = Interpreter(model_content=converted, num_threads=1).get_signature_runner()
        results = runner(**{name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)})
        return [np.array(results[f"result{k}"]) for k in range(len(results))], []

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns nothing: float32 is the only dtype in ``features``."""
        return ()
