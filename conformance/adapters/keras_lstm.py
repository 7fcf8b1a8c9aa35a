"""``keras.layers.LSTM`` on TensorFlow: called eagerly, and traced, as ``fit`` and ``predict`` run it."""

import os
from collections.abc import Callable, Mapping, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import _keras, arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.case import Case
from conformance.layout import KERAS, Layout
from conformance.problem import Problem
from reference import Dialect

Array = NDArray[np.floating]


class KerasLSTM(Adapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional``, called eagerly."""

    name = "keras.layers.LSTM[tensorflow]"
    requires = ("keras", "tensorflow")
    install = "pip install 'lstm-conformance[tensorflow]'"
    path: str = "the layer called eagerly"

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "lengths", "no bias", "batch first", "state omitted",
         "gradients", "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "reverse": "keras.layers.LSTM(go_backwards=True) returns its output in processing order",
        "dropout": "keras.layers.LSTM(dropout=…) drops the layer's own input, not what passes between layers",
    }
    layout: ClassVar[Layout] = KERAS

    def supports(self, case: Case) -> str | None:
        """Layers of any sizes, forward or bidirectional, with masks."""
        return super().supports(case) or _keras.refusal(case.dtype)

    def solve(self, problem: Problem) -> Solution:
        """Runs the stack and, where gradients are wanted, differentiates through all of it."""
        tf = _keras.tensorflow()
        case, model = problem.case, problem.case.model
        keys = [_key(case, layer) for layer in range(model.num_layers)]

        def tensor(array: Array) -> Any:
            return tf.cast(tf.constant(array), case.dtype)

        x = tensor(arrays.batch_major(problem.input, case))
        masks = [] if problem.lengths is None else [tf.sequence_mask(problem.lengths, case.seq_len)]
        states = [
            [tensor(state) for state in arrays.states(problem.initial_state, model, layer)]
            for layer in range(model.num_layers)
        ]
        layers = [self._layer(key, layer, _weights(problem, layer)) for layer, key in enumerate(keys)]
        wanted = problem.expected_shapes()
        differentiates = "gradients" in case.check

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            sources = [x, *(state for row in states for state in row), *(w for _, ws in layers for w in ws)]
            if differentiates:
                tape.watch(sources)
            sequence, finals = x, []
            for (call, weights), initial in zip(layers, states, strict=True):
                sequence, *final = call(sequence, weights, initial, masks)
                finals.append(final)
        states_n = [[_array(state) for state in final] for final in finals]
        results = {"output": arrays.batch_major(_array(sequence), case)}
        results |= arrays.stacked(model, "h_n", [final[0::2] for final in states_n])
        results |= arrays.stacked(model, "c_n", [final[1::2] for final in states_n])
        if differentiates:
            targets = [sequence, *(state for final in finals for state in final)]
            cotangents = [tensor(cotangent) for cotangent in _cotangents(problem)]
            gradients = tape.gradient(targets, sources, output_gradients=cotangents)
            results |= _gradients(problem, [_array(gradient) for gradient in gradients])
        return {name: results[name] for name in wanted}

    def describe(self) -> dict[str, str]:
        """Versions, device, threads, and what the adapter does around the layer."""
        keras, tf = _keras.keras(), _keras.tensorflow()
        threads = tf.config.threading
        return {
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "device": tf.zeros(()).device.rsplit("/device:", 1)[-1],
            "threads": "intra {}, inter {}".format(
                threads.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS", "default"),
                threads.get_inter_op_parallelism_threads() or os.environ.get("TF_NUM_INTEROP_THREADS", "default"),
            ),
            "oneDNN": "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "TensorFlow's default",
            "path": self.path,
            "stacked": "one layer after the other; Bidirectional(merge_mode='concat') around each where both ways",
            "lengths": "mask",
            "time-major": "input, output and their gradients are transposed: Keras has (batch, time, features) only",
            "gradients": "tf.GradientTape",
        }

    def dialect(self, case: Case) -> Dialect:
        """A single direction repeats its last valid output over the padding; Bidirectional writes 0 there."""
        return Dialect(padding="zero" if case.direction == "bidirectional" else "repeat")

    def _layer(self, key: _keras.Key, position: int, weights: list[Array]) -> tuple[Callable[..., Any], list[Any]]:
        """A call of one layer, and its weights as what the call's results are differentiated for."""
        # Two layers of a stack may be made alike, yet hold weights of their own at the same time.
        layer = _keras.eager(key, position)
        for variable, array in zip(layer.trainable_variables, weights, strict=True):
            variable.assign(array)

        def call(x: Any, weights: list[Any], states: list[Any], masks: list[Any]) -> Any:
            del weights
            return layer(x, **_keras.arguments(key, states, masks))

        return call, [variable.value for variable in layer.trainable_variables]


class KerasLSTMTraced(KerasLSTM):
    """The same layers through functions traced around ``stateless_call``, which takes half a second for each.

    A traced function takes any batch and any number of time steps; a stack chains one for each layer.
    """

    name = "keras.layers.LSTM[tensorflow,traced]"
    default_tag = "core"
    path = "tf.function around the layer's stateless_call, for any batch and number of time steps"

    def _layer(self, key: _keras.Key, position: int, weights: list[Array]) -> tuple[Callable[..., Any], list[Any]]:
        del position
        tf = _keras.tensorflow()
        return _keras.traced(key), [tf.cast(tf.constant(array), key.dtype) for array in weights]


def _key(case: Case, layer: int) -> _keras.Key:
    return _keras.Key(
        case.model.layer_input_size(layer),
        case.hidden_sizes[layer],
        case.direction == "bidirectional",
        case.bias,
        case.dtype,
        training=case.mode == "train",
        masked=case.lengths is not None,
        given_state=case.gives_state,
    )


def _array(tensor: Any) -> Array:
    """A fresh NumPy array; bfloat16, which NumPy lacks, as float32."""
    array = tensor.numpy()
    return np.array(array, dtype=np.float32 if array.dtype.name == "bfloat16" else array.dtype, order="C")


def _weights(problem: Problem, layer: int) -> list[Array]:
    """One layer's arrays in Keras' order: kernel, recurrent kernel and bias of each direction."""
    return [one[name] for one in arrays.packed(problem, KERAS, layer) for name in _keras.WEIGHTS if name in one]


def _cotangents(problem: Problem) -> list[Array]:
    """Of the output, then of each layer's final states in Keras' order."""
    model = problem.case.model
    finals = [arrays.states(problem.cotangents, model, layer, ("h_n", "c_n")) for layer in range(model.num_layers)]
    return [arrays.batch_major(problem.cotangents["output"], problem.case), *(state for row in finals for state in row)]


def _gradients(problem: Problem, gradients: list[Array]) -> Mapping[str, Array]:
    """Keras' gradients, in the order of input, states and weights, under their canonical names."""
    case, model = problem.case, problem.case.model
    rest = iter(gradients)
    results = {"grad.input": arrays.batch_major(next(rest), case)}
    if problem.initial_state is not None:
        states = [[next(rest) for _ in range(2 * model.num_directions)] for _ in range(model.num_layers)]
        results |= arrays.stacked(model, "grad.h_0", [layer[0::2] for layer in states])
        results |= arrays.stacked(model, "grad.c_0", [layer[1::2] for layer in states])
    for layer in range(model.num_layers):
        own = [{name: next(rest) for name in _keras.WEIGHTS[: 3 if model.bias else 2]} for _ in model.suffixes]
        results |= arrays.weight_gradients(model, KERAS, layer, own)
    return results
