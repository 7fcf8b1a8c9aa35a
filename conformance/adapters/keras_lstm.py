"""``keras.layers.LSTM`` on TensorFlow: called eagerly, and traced, as ``fit`` and ``predict`` run it."""

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import _keras
from conformance.adapters.adapter import Adapter, Solution
from conformance.case import Case
from conformance.layout import KERAS, layer_parameters
from conformance.problem import Problem
from reference import Dialect, Model

Array = NDArray[np.floating]


class KerasLSTM(Adapter):
    """Drives ``keras.layers.LSTM`` and ``Bidirectional``, called eagerly."""

    name: ClassVar[str] = "keras.layers.LSTM[tensorflow]"
    requires: ClassVar[tuple[str, ...]] = ("keras", "tensorflow")
    install: ClassVar[str] = "pip install 'lstm-conformance[tensorflow]'"
    path: ClassVar[str] = "the layer called eagerly"

    def supports(self, case: Case) -> str | None:
        """Layers of any sizes, forward or bidirectional, with masks."""
        if case.direction == "reverse":
            return "keras.layers.LSTM(go_backwards=True) returns its output in processing order"
        if case.batch == "unbatched":
            return "keras.layers.LSTM needs a batch axis"
        if case.proj_size:
            return "keras.layers.LSTM has no projection"
        if case.dropout:
            return "keras.layers.LSTM(dropout=…) drops the layer's own input, not what passes between layers"
        return None if case.dtype in ("float64", "float32") else _keras.refusal(case.dtype)

    def solve(self, problem: Problem) -> Solution:
        """Runs the stack and, where gradients are wanted, differentiates through all of it."""
        tf = _keras.tensorflow()
        case, model = problem.case, problem.case.model
        keys = [_key(case, layer) for layer in range(model.num_layers)]

        def tensor(array: Array) -> Any:
            return tf.cast(tf.constant(array), case.dtype)

        x = tensor(_batch_major(problem.input, case))
        masks = [] if problem.lengths is None else [tf.sequence_mask(problem.lengths, case.seq_len)]
        states = [[tensor(state) for state in _initial_states(problem, layer)] for layer in range(model.num_layers)]
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
        results = {"output": _batch_major(_array(sequence), case)}
        results |= _stacked(model, "h_n", [final[0::2] for final in states_n])
        results |= _stacked(model, "c_n", [final[1::2] for final in states_n])
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

    def _layer(self, key: _keras.Key, position: int, arrays: list[Array]) -> tuple[Callable[..., Any], list[Any]]:
        """A call of one layer, and its weights as what the call's results are differentiated for."""
        # Two layers of a stack may be made alike, yet hold weights of their own at the same time.
        layer = _keras.eager(key, position)
        for variable, array in zip(layer.trainable_variables, arrays, strict=True):
            variable.assign(array)

        def call(x: Any, weights: list[Any], states: list[Any], masks: list[Any]) -> Any:
            del weights
            return layer(x, **_keras.arguments(key, states, masks))

        return call, [variable.value for variable in layer.trainable_variables]


class KerasLSTMTraced(KerasLSTM):
    """The same layers through functions traced around ``stateless_call``, which takes half a second for each.

    A traced function takes any batch and any number of time steps; a stack chains one for each layer.
    """

    name: ClassVar[str] = "keras.layers.LSTM[tensorflow,traced]"
    default_tag: ClassVar[str] = "core"
    path: ClassVar[str] = "tf.function around the layer's stateless_call, for any batch and number of time steps"

    def _layer(self, key: _keras.Key, position: int, arrays: list[Array]) -> tuple[Callable[..., Any], list[Any]]:
        del position
        tf = _keras.tensorflow()
        return _keras.traced(key), [tf.cast(tf.constant(array), key.dtype) for array in arrays]


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


def _batch_major(array: Array, case: Case) -> Array:
    """(T, B, ·) as (B, T, ·) and back; as it is with ``batch_first``."""
    return array if case.batch_first else np.ascontiguousarray(array.swapaxes(0, 1))


def _ends(model: Model, layer: int) -> list[str]:
    return [f"l{layer}{suffix}" for suffix in model.suffixes]


def _weights(problem: Problem, layer: int) -> list[Array]:
    """One layer's arrays in Keras' order: kernel, recurrent kernel and bias of each direction."""
    packed = [KERAS.pack(layer_parameters(problem.parameters, end)) for end in _ends(problem.case.model, layer)]
    return [arrays[name] for arrays in packed for name in _keras.WEIGHTS if name in arrays]


def _initial_states(problem: Problem, layer: int) -> list[Array]:
    """One layer's h and c of each direction: (h, c), or Bidirectional's (fh, fc, bh, bc); empty when omitted."""
    model = problem.case.model
    if problem.initial_state is None:
        return []
    return [
        model.state(problem.initial_state, name, layer, direction)
        for direction in range(model.num_directions)
        for name in ("h_0", "c_0")
    ]  # fmt: skip


def _cotangents(problem: Problem) -> list[Array]:
    """Of the output, then of each layer's final states in Keras' order."""
    model = problem.case.model
    finals = [
        model.state(problem.cotangents, name, layer, direction)
        for layer in range(model.num_layers)
        for direction in range(model.num_directions)
        for name in ("h_n", "c_n")
    ]
    return [_batch_major(problem.cotangents["output"], problem.case), *finals]


def _stacked(model: Model, name: str, layers: list[list[Array]]) -> dict[str, Array]:
    """States of layers and directions under their canonical names and shapes."""
    if model.is_uniform:
        return {name: np.stack([state for layer in layers for state in layer])}
    return {f"{name}_l{k}": np.stack(layer) for k, layer in enumerate(layers)}


def _gradients(problem: Problem, gradients: list[Array]) -> Mapping[str, Array]:
    """Keras' gradients, in the order of input, states and weights, under their canonical names."""
    case, model = problem.case, problem.case.model
    rest = iter(gradients)
    results = {"grad.input": _batch_major(next(rest), case)}
    if problem.initial_state is not None:
        states = [[next(rest) for _ in range(2 * model.num_directions)] for _ in range(model.num_layers)]
        results |= _stacked(model, "grad.h_0", [layer[0::2] for layer in states])
        results |= _stacked(model, "grad.c_0", [layer[1::2] for layer in states])
    for layer in range(model.num_layers):
        for end in _ends(model, layer):
            arrays = {name: next(rest) for name in _keras.WEIGHTS[: 3 if model.bias else 2]}
            own = KERAS.unpack_gradients(arrays, model.layer_input_size(layer))
            results |= {f"grad.{role}_{end}": array for role, array in own.items()}
    return results
