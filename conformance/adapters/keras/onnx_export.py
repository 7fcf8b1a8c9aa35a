"""``keras.Model.export(format="onnx")`` of Keras layers on PyTorch, run on ONNX Runtime."""

import tempfile
import warnings
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from conformance.adapters import arrays, graph, models
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras.functions import PerLayer, StackFunction, Tensors, flatten_sources
from conformance.adapters.keras.lstm_torch import KerasLSTMTorch
from conformance.adapters.onnx import session as _onnxruntime
from conformance.cases.uses import is_batch_dynamic, is_time_dynamic
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array


class KerasOnnxExport(KerasLSTMTorch):
    """Drives a functional model of ``keras.layers.LSTM`` and ``Bidirectional`` that is exported to ONNX.

    The model is called on arrays of the built shape before it is exported, as Keras requires.
    """

    name = "keras.Model.export[torch,onnx]"
    requires = ("keras", "torch", "onnx", "onnxruntime")
    install = "pip install keras torch onnx onnxruntime"
    default_tag = "core"
    features = models.BUILT | graph.USES | {
        "layers", "bidirectional", "sizes per direction", "no bias", "batch first", "state omitted", "float32"
    }  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTMTorch.lacks,
        "gradients": "onnxruntime has no gradients",
        "float64": _onnxruntime.NO_DOUBLE,
        "bfloat16": _onnxruntime.NO_BFLOAT16,
    }

    def describe(self) -> dict[str, str]:
        """Adds the version of ONNX Runtime, and how the model is exported."""
        path = "keras.Model.export(format='onnx') of a functional model, run on onnxruntime"
        return super().describe() | _onnxruntime.describe() | {"path": path, "gradients": "none"}

    def build_stack(self, problem: Problem) -> tuple[StackFunction, PerLayer]:
        """Returns a function that exports the stack and runs the exported model, and the weights of each layer."""
        import torch

        stack, weights = super().build_stack(problem)

        def run(x: Any, states: PerLayer, weights: PerLayer, masks: Tensors) -> Tensors:
            flat = [self.backend.to_array(tensor) for tensor in flatten_sources((x, states, []))]
            model = _onnxruntime.load(_export(problem, lambda x, states: stack(x, states, weights, masks)))
            results = model({f"input{number}": array for number, array in enumerate(flat)})
            return [torch.from_numpy(array) for array in results.values()]

        return run, weights


def _export(problem: Problem, stack: Any) -> bytes:
    """Exports a model of a stack of layers, whose inputs are the sequence and the states.

    Args:
        problem: the problem, for its shapes.
        stack: function of the sequence and the states of each layer that returns all results.
    """
    keras = _keras.import_keras("torch")
    case, model = problem.case, problem.case.model
    built = models.built_problem(problem)
    rows = None if is_batch_dynamic(case) else case.rows
    steps = None if is_time_dynamic(case) else case.seq_len
    examples: list[list[Array]] = [
        arrays.states(built.initial_state, model, layer) for layer in range(model.num_layers)
    ]
    x = keras.Input((steps, case.input_size), batch_size=rows, dtype=case.dtype, name="input0")
    names = (f"input{number}" for number in count(1))
    states = [
        [keras.Input(state.shape[1:], batch_size=rows, dtype=case.dtype, name=next(names)) for state in layer]
        for layer in examples
    ]
    exported = keras.Model(flatten_sources((x, states, [])), stack(x, states))
    exported(flatten_sources((arrays.batch_major(built.input, built.case), examples, [])))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _keras.muted():
        # torch warns about each Python number in the trace.
        warnings.simplefilter("ignore")
        file = Path(folder, "model.onnx")
        exported.export(str(file), format="onnx", verbose=False)
        return file.read_bytes()
