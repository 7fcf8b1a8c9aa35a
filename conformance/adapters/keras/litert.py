"""Keras layers on TensorFlow, converted to LiteRT and run by its interpreter."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from conformance import threads
from conformance.adapters import graph
from conformance.adapters.adapter import Solution
from conformance.adapters.keras.converted import Engine, KerasConverted
from conformance.adapters.keras.functions import Group
from conformance.adapters.keras.layer import LayerConfig
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.cases.case import Case
from conformance.verdict import declared
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array

_STATIC_BATCH = "tf.lite.TFLiteConverter: \"'tf.TensorListReserve' op requires element_shape to be static\""


class LiteRTKeras(KerasConverted):
    """Drives ``ai_edge_litert.interpreter.Interpreter`` with a model converted from ``keras.layers.LSTM``."""

    name = "ai_edge_litert.Interpreter[keras]"
    requires = ("ai_edge_litert", "keras", "tensorflow")
    install = "pip install 'lstm-conformance[litert]'"
    path = "tf.lite.TFLiteConverter, weights in the model; sequence, states and mask are its inputs"
    features = KerasConverted.features - {"float64", "float16", "bfloat16", "after other batches", "rows alone"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasConverted.lacks,
        "float64": "tf.lite.TFLiteConverter fails on tf.Transpose in float64",
        "float16": "tf.lite.TFLiteConverter fails on tf.Transpose in float16",
        "bfloat16": "tf.lite.TFLiteConverter fails on TensorListReserve in bfloat16",
        **dict.fromkeys(("after other batches", "rows alone"), _STATIC_BATCH),
    }

    def convert(self, traced: Any, weights: Sequence[Any], saved: bool) -> Engine:
        """Converts with ``tf.lite.TFLiteConverter``."""
        tf = self.backend.tensorflow()
        # The model has a signature only if a module tracks its weights.
        module = tf.Module()
        module.weights = weights
        return _LiteRTModel(tf.lite.TFLiteConverter.from_concrete_functions([traced], module).convert(), saved)


class LiteRTKerasStateful(LiteRTKeras):
    """Drives models of layers with ``stateful=True``, whose states are variables of the model.

    The model takes the sequence only: a call for each piece of the case, or two with half of the time steps each.
    """

    name = "ai_edge_litert.Interpreter[keras,stateful]"
    options: ClassVar[Mapping[str, Any]] = {"stateful": True}
    path = "stateful=True, SavedModel, tf.lite.TFLiteConverter with resource variables, reset_all_variables"
    features = LiteRTKeras.features & {
        "layers", "sizes per layer", "no bias", "batch first", "state omitted", "activations", "float32", "chunks",
        "repeated call", "after other lengths", "after an error", "saved", "rows permuted",
    }  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **LiteRTKeras.lacks,
        **dict.fromkeys(("bidirectional", "reverse"), "a sequence split into two calls cannot be read backwards"),
        **dict.fromkeys(graph.USES, "a stateful layer that is called twice continues the first sequence"),
        "lengths": "is not driven with masks",
    }

    def supports(self, case: Case) -> str | None:
        """Refuses initial states, and sequences that cannot be split."""
        if case.gives_state:
            return "the states are variables of the model, which has no inputs for them"
        if case.seq_len < 2:
            return "a sequence of fewer than two time steps cannot be split"
        return KerasLSTM.supports(self, case)

    def layer_config(self, case: Case, group: Group) -> LayerConfig:
        """Returns the configuration of a layer. It includes the batch size, which a stateful layer must know."""
        return replace(super().layer_config(case, group), batch=case.rows)

    def solve(self, problem: Problem) -> Solution:
        """Calls the model for each piece. It carries its states from one call to the next."""
        case = problem.case
        pieces = case.chunks or (case.seq_len // 2, case.seq_len - case.seq_len // 2)
        return super().solve(replace(problem, case=case.model_copy(update={"chunks": pieces})))

    def convert(self, traced: Any, weights: Sequence[Any], saved: bool) -> Engine:
        """Converts a SavedModel: the converter freezes the variables of a concrete function."""
        del weights
        tf = self.backend.tensorflow()
        module = tf.Module()
        module.all_variables = traced.variables
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder, signatures=traced)
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            converter.experimental_enable_resource_variables = True
            return _LiteRTModel(converter.convert(), saved)

    def restart(self, engine: Engine) -> None:
        """Resets the states."""
        assert isinstance(engine, _LiteRTModel)
        engine.interpreter.reset_all_variables()


class _LiteRTModel:
    """A LiteRT model, in an interpreter that has read it from a file if the case is saved."""

    def __init__(self, model: bytes, saved: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter

        count = threads.required() or 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.tflite")
            path.write_bytes(model)
            source = {"model_path": str(path)} if saved else {"model_content": model}
            self.interpreter = Interpreter(**source, num_threads=count)
        # The runner resizes the inputs of the model to those of a call.
        self._runner = self.interpreter.get_signature_runner()
        self._details = self._runner.get_output_details()

    def __call__(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        results: dict[str, Array] = self._runner(**arrays)
        for name, array in results.items():
            signature = self._details[name]["shape_signature"]
            declared.record_shape(name, [None if size < 0 else int(size) for size in signature], array.shape)
        return results
