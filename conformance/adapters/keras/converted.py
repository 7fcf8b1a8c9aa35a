"""Keras layers on TensorFlow, converted by other frameworks' converters and run by their engines."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays, graph, models, uses
from conformance.adapters.adapter import Solution
from conformance.adapters.earlier_calls import make_earlier_calls
from conformance.adapters.keras import common as _keras
from conformance.adapters.keras import loss as _loss
from conformance.adapters.keras.adapter import DERIVATIVES, USES
from conformance.adapters.keras.functions import flatten_sources
from conformance.adapters.keras.lstm import KerasLSTM
from conformance.adapters.onnx import session as _onnxruntime
from conformance.adapters.openvino import common as _openvino
from conformance.cases.case import Case
from conformance.cases.uses import is_batch_dynamic, is_time_dynamic
from conformance.verdict.problem import Problem
from conformance.verdict.random_arrays import Array

Engine = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Function from the inputs of a converted model to its outputs, both by name."""

_INFERENCE = "the model is converted for inference"
_MEMORY = frozenset({"strided memory", "expanded states", "aliased states", "read-only memory"})


class KerasConverted(KerasLSTM):
    """Base of the converters' adapters: traces a function of a stack of layers, converts it and runs it.

    The sequence, the states and the masks are inputs of the converted model. Their shapes are fixed, unless calls
    differ in them. Weights are constants.
    """

    default_tag = "core"
    own_process = True
    features = (KerasLSTM.features - {"input dropout", "gradients"} - USES - DERIVATIVES) | (
        models.USES - models.BUILT - _MEMORY | {"wrong dtype"} | graph.USES
    )
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasLSTM.lacks,
        "input dropout": _INFERENCE,
        "gradients": _INFERENCE,
        **dict.fromkeys(models.BUILT, "a function that is traced with unknown sizes is not built for a size"),
        **dict.fromkeys(_MEMORY, "the adapter copies the arrays to the axes that Keras has"),
    }

    def supports(self, case: Case) -> str | None:
        """Also refuses pieces without initial states, and a size of 0 that Keras would trace."""
        if (case.seq_len == 0 and not is_time_dynamic(case)) or (case.rows == 0 and not is_batch_dynamic(case)):
            return "Keras cannot trace a layer without steps or rows"
        return super().supports(case) or models.refuse(case)

    def describe(self) -> dict[str, str]:
        """Adds the version of the converter."""
        converter = self.requires[0].replace("_", "-")
        return {converter: version(converter), **super().describe(), "gradients": "none"}

    def solve(self, problem: Problem) -> Solution:
        """Converts the stack of layers, and runs the result as the case says."""
        case = problem.case
        engine = self._convert_stack(problem)

        def call(given: uses.Named) -> dict[str, Array]:
            results = engine(_inputs(case, given))
            return dict(_loss.results(case, [np.array(results[f"result{k}"]) for k in range(len(results))]))

        def run(one: Problem) -> dict[str, Array]:
            self.restart(engine)
            return uses.run(one.case, call, _arguments(one), np.concatenate)

        make_earlier_calls(problem, lambda earlier, _: run(earlier))
        results = run(problem)
        return {name: results[name] for name in problem.expected_shapes()}

    def _convert_stack(self, problem: Problem) -> Engine:
        """Returns the converted model. The axes in which calls differ have unknown sizes."""
        tf, case = self.backend.tensorflow(), problem.case
        stack, weights = self.build_stack(replace(problem, case=case.model_copy(update={"saved": False})))
        examples = _inputs(case, _arguments(replace(problem, wrong={})))
        each = 2 * case.model.num_directions if case.gives_state else 0

        def model(**named: Any) -> dict[str, Any]:
            x, *rest = (named[name] for name in examples)
            states = [rest[each * layer : each * (layer + 1)] for layer in range(case.num_layers)]
            results = stack(x, states, weights, rest[each * case.num_layers :])
            return {f"result{k}": tensor for k, tensor in enumerate(results)}

        def shape(name: str, array: Array) -> list[int | None]:
            sizes: list[int | None] = list(array.shape)
            if is_batch_dynamic(case):
                sizes[0] = None
            if is_time_dynamic(case) and (name == "input0" or array.dtype == bool):
                sizes[1] = None
            return sizes

        specifications = {n: tf.TensorSpec(shape(n, array), array.dtype, n) for n, array in examples.items()}
        with _keras.muted():
            traced = tf.function(model, autograph=False).get_concrete_function(**specifications)
            return self.convert(traced, flatten_sources(([], [], weights))[1:], case.saved)

    def restart(self, engine: Engine) -> None:
        """Prepares an engine for a new sequence. By default, it keeps nothing of the last one."""

    @abstractmethod
    def convert(self, traced: Any, weights: Sequence[Any], saved: bool) -> Engine:
        """Converts a traced function.

        Args:
            traced: concrete function with named inputs and outputs.
            weights: the weights that it reads.
            saved: whether to save the converted model to a file and load it.
        """

    def unsupported_dtype_errors(self) -> tuple[type[Exception], ...]:
        """Returns nothing: ``features`` contains the dtypes that can be converted."""
        return ()


class OpenVinoKeras(KerasConverted):
    """Drives ``openvino.convert_model`` with a traced function of Keras layers."""

    name = "openvino[keras]"
    requires = ("openvino", "keras", "tensorflow")
    install = "pip install 'lstm-conformance[openvino,tensorflow]'"
    path = "openvino.convert_model(concrete function), and the CPU plug-in"
    features = KerasConverted.features - {"bfloat16", "wrong dtype"}
    lacks: ClassVar[Mapping[str, str]] = {
        **KerasConverted.lacks,
        "wrong dtype": 'OpenVINO casts inputs: "up- or down-casting according to data type"',
        "bfloat16": "openvino.convert_model raises OpConversionFailure in bfloat16",
    }

    def convert(self, traced: Any, weights: Sequence[Any], saved: bool) -> Engine:
        """Converts with ``openvino.convert_model``. The results are computed in the precision of the case."""
        del weights
        import openvino

        model = openvino.convert_model(traced)
        if saved:
            model = _openvino.save_and_read(model)
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

    def convert(self, traced: Any, weights: Sequence[Any], saved: bool) -> Engine:
        """Converts with ``tf2onnx.convert.from_function``, which passes the inputs by position."""
        del weights
        import tf2onnx

        specifications = traced.structured_input_signature[1]
        function = self.backend.tensorflow().function(
            lambda *inputs: traced(**dict(zip(specifications, inputs, strict=True))), autograph=False
        )
        model, _ = tf2onnx.convert.from_function(function, input_signature=list(specifications.values()))
        return _onnxruntime.load(model.SerializeToString(), saved)


def _arguments(problem: Problem) -> dict[str, Any]:
    """Returns the arrays that a call takes, with a mask (T, B) in place of lengths."""
    given: dict[str, Any] = uses.arguments(problem)
    given.pop("lengths", None)
    return given if problem.mask is None else {**given, "mask": problem.mask}


def _inputs(case: Case, given: uses.Named) -> dict[str, Array]:
    """Returns the inputs of the converted model by name: ``input0``, ``input1`` …, in Keras' axes."""
    found = [given["input"] if case.batch_first else given["input"].swapaxes(-3, -2)]
    if case.gives_state:
        found += [state for layer in range(case.num_layers) for state in arrays.states(given, case.model, layer)]
    if "mask" in given:
        found.append(given["mask"].T)
    return {f"input{number}": np.array(array, order="C") for number, array in enumerate(found)}
