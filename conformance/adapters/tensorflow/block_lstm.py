"""``tf.raw_ops.BlockLSTM`` and ``BlockLSTMV2``, which run a whole sequence in one operation."""

import os
from collections.abc import Mapping, Sequence, Set
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.keras import common as _keras
from conformance.adapters.layout import TF_BLOCK, TF_BLOCK_V2, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class TFBlockLSTM(Adapter):
    """Drives ``tf.raw_ops.BlockLSTM``, as ``LSTMBlockFusedCell`` and ``TimeReversedFusedRNN`` did in TensorFlow 1."""

    name = "tf.raw_ops.BlockLSTM"
    requires: tuple[str, ...] = ("tensorflow",)
    install = "pip install 'lstm-conformance[tensorflow]'"
    op: ClassVar[str] = "BlockLSTM"

    features: ClassVar[Set[str]] = frozenset(
        {
            "layers",
            "sizes per layer",
            "bidirectional",
            "reverse",
            "batch first",
            "peepholes",
            "cell clip",
            "forget bias",
            "gradients",
            "float32",
            "float16",
        }
    )
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "the operation has a single seq_len_max for all rows",
        "float64": "the operation is registered for float32 and float16 only",
        "bfloat16": "the operation is registered for float32 and float16 only",
    }
    layout: ClassVar[Layout] = TF_BLOCK

    def solve(self, problem: Problem) -> Solution:
        """Runs one operation for each layer and direction and, if needed, differentiates through all of them."""
        tf = tensorflow()
        case, model = problem.case, problem.case.model
        x = tf.constant(arrays.time_major(problem.input, case))
        weights = [
            [
                {name: tf.constant(array) for name, array in one.items()}
                for one in arrays.packed(problem, self.layout, k)
            ]
            for k in range(model.num_layers)
        ]
        states = [
            [tf.constant(state) for state in arrays.states(problem.initial_state, model, k)]
            for k in range(model.num_layers)
        ]
        sources = {"x": x, "states": states, "weights": weights}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tf.nest.flatten(sources))
            finals: list[list[Any]] = []
            for k in range(model.num_layers):
                x, ends = self._run_layer(problem, x, states[k], weights[k])
                finals.append(ends)
        results = {"output": arrays.time_major(x.numpy(), case)}
        results |= _states(problem, "{}_n", finals)
        if "gradients" in case.check:
            given = [arrays.states(problem.cotangents, model, k, ("h_n", "c_n")) for k in range(model.num_layers)]
            cotangents = [arrays.time_major(problem.cotangents["output"], case), *(c for row in given for c in row)]
            targets = [x, *(state for row in finals for state in row)]
            gradients = tape.gradient(targets, sources, [tf.constant(np.array(c)) for c in cotangents])
            results["grad.input"] = arrays.time_major(gradients["x"].numpy(), case)
            if case.gives_state:
                results |= _states(problem, "grad.{}_0", gradients["states"])
            for k, layer in enumerate(gradients["weights"]):
                own = [{name: gradient.numpy() for name, gradient in one.items()} for one in layer]
                results |= arrays.weight_gradients(model, self.layout, k, own)
        return {name: results[name] for name in problem.expected_shapes()}

    def attributes(self, case: Case) -> dict[str, float]:
        """Returns the attributes of the operation that a case sets. A negative clip disables clipping."""
        return {"forget_bias": case.forget_bias, "cell_clip": case.cell_clip or -1.0}

    def _run_layer(
        self, problem: Problem, x: Any, states: Sequence[Any], weights: Sequence[Mapping[str, Any]]
    ) -> tuple[Any, list[Any]]:
        """Runs one layer and returns the output (T, B, ·), and the final h and c (B, H) of each direction.

        Args:
            problem: the problem.
            x: input of the layer (T, B, ·).
            states: initial h and c of each direction; empty if the case omits them.
            weights: weights of each direction.
        """
        outputs, ends = [], []
        for direction, suffix in enumerate(problem.case.model.suffixes):
            initial = states[2 * direction :][:2]
            y, h_n, c_n = self._run(problem.case, x, initial, weights[direction], bool(suffix))
            outputs.append(y)
            ends += [h_n, c_n]
        return tensorflow().concat(outputs, -1), ends

    def _run(
        self, case: Case, x: Any, initial: Sequence[Any], weights: Mapping[str, Any], reverse: bool
    ) -> tuple[Any, Any, Any]:
        """Runs one layer in one direction and returns the output (T, B, H) and the final states (B, H)."""
        tf = tensorflow()
        h_0, c_0 = initial
        none = tf.zeros(h_0.shape[1:], x.dtype)
        wci, wcf, wco = tf.split(weights["peephole"], 3) if case.peepholes else (none, none, none)
        ran = getattr(tf.raw_ops, self.op)(
            seq_len_max=tf.constant(x.shape[0], tf.int64), x=tf.reverse(x, [0]) if reverse else x,
            cs_prev=c_0, h_prev=h_0, w=weights["w"], b=weights["b"],
            wci=wci, wcf=wcf, wco=wco, use_peephole=case.peepholes, **self.attributes(case),
        )  # fmt: skip
        return tf.reverse(ran.h, [0]) if reverse else ran.h, ran.h[-1], ran.cs[-1]

    def describe(self) -> dict[str, str]:
        """Returns versions and device, and how the adapter stacks operations."""
        tf = tensorflow()
        return {
            "tensorflow": tf.__version__,
            "device": tf.zeros(()).device.rsplit("/device:", 1)[-1],
            "path": f"tf.raw_ops.{self.op} called eagerly",
            "stacked": "one operation for each layer and direction; tf.reverse before and after reverse operations",
            "gradients": "tf.GradientTape",
        }


class TFBlockLSTMV2(TFBlockLSTM):
    """Drives ``tf.raw_ops.BlockLSTMV2``, which has another gate order and no forget bias."""

    name = "tf.raw_ops.BlockLSTMV2"
    op = "BlockLSTMV2"
    features = TFBlockLSTM.features - {"forget bias"}
    layout = TF_BLOCK_V2

    def attributes(self, case: Case) -> dict[str, float]:
        """Returns the attributes of the operation that a case sets. A clip of 0 disables clipping."""
        return {"cell_clip": case.cell_clip or 0.0}


def tensorflow() -> Any:
    """Imports TensorFlow without printing its advice about processors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _keras.muted():
        import tensorflow
    return tensorflow


def _states(problem: Problem, name: str, layers: list[list[Any]]) -> dict[str, arrays.Array]:
    """Returns the states of all layers by name.

    Args:
        problem: the problem.
        name: pattern of the names, such as ``grad.{}_0``.
        layers: h and c of each direction, for each layer.
    """
    model = problem.case.model
    values = [[state.numpy() for state in layer] for layer in layers]
    h, c = ([layer[first::2] for layer in values] for first in (0, 1))
    return arrays.stacked(model, name.format("h"), h) | arrays.stacked(model, name.format("c"), c)
