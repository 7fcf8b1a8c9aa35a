"""``tf.raw_ops.BlockLSTM`` and ``BlockLSTMV2``: a whole sequence in one operation, as TensorFlow's fused cells ran it."""

import os
from collections.abc import Mapping, Set
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import _keras, arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.layout import TF_BLOCK, TF_BLOCK_V2, Layout
from conformance.problem import Problem


class TFBlockLSTM(Adapter):
    """Drives ``tf.raw_ops.BlockLSTM`` as ``LSTMBlockFusedCell`` and ``TimeReversedFusedRNN`` did."""

    name = "tf.raw_ops.BlockLSTM"
    requires = ("tensorflow",)
    install = "pip install 'lstm-conformance[tensorflow]'"
    op: ClassVar[str] = "BlockLSTM"
    attributes: ClassVar[Mapping[str, float]] = {"forget_bias": 0.0, "cell_clip": -1.0}

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "batch first", "gradients", "float32", "float16"}
    )
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "the operation has one seq_len_max for all rows",
        "float64": "the operation is registered for float32 and float16 only",
        "bfloat16": "the operation is registered for float32 and float16 only",
    }
    layout: ClassVar[Layout] = TF_BLOCK

    def solve(self, problem: Problem) -> Solution:
        """Runs one operation for each layer and direction, and differentiates through all of them."""
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
                outputs, ends = [], []
                for direction, suffix in enumerate(model.suffixes):
                    y, h_n, c_n = self._run(x, *states[k][2 * direction :][:2], weights[k][direction], bool(suffix))
                    outputs.append(y)
                    ends += [h_n, c_n]
                x = tf.concat(outputs, -1)
                finals.append(ends)
        results = {"output": arrays.time_major(x.numpy(), case)}
        results |= _states(problem, "{}_n", finals)
        if "gradients" in case.check:
            given = [arrays.states(problem.cotangents, model, k, ("h_n", "c_n")) for k in range(model.num_layers)]
            cotangents = [arrays.time_major(problem.cotangents["output"], case), *(c for row in given for c in row)]
            targets = [x, *(state for row in finals for state in row)]
            gradients = tape.gradient(targets, sources, [tf.constant(np.array(c)) for c in cotangents])
            results["grad.input"] = arrays.time_major(gradients["x"].numpy(), case)
            results |= _states(problem, "grad.{}_0", gradients["states"])
            for k, layer in enumerate(gradients["weights"]):
                own = [{name: gradient.numpy() for name, gradient in one.items()} for one in layer]
                results |= arrays.weight_gradients(model, self.layout, k, own)
        return {name: results[name] for name in problem.expected_shapes()}

    def _run(self, x: Any, h_0: Any, c_0: Any, weights: Mapping[str, Any], reverse: bool) -> tuple[Any, Any, Any]:
        """Output (T, B, H) and final states (B, H) of one layer and direction."""
        tf = tensorflow()
        peephole = tf.zeros(h_0.shape[1:], x.dtype)
        ran = getattr(tf.raw_ops, self.op)(
            seq_len_max=tf.constant(x.shape[0], tf.int64), x=tf.reverse(x, [0]) if reverse else x,
            cs_prev=c_0, h_prev=h_0, w=weights["w"], b=weights["b"],
            wci=peephole, wcf=peephole, wco=peephole, use_peephole=False, **self.attributes,
        )  # fmt: skip
        return tf.reverse(ran.h, [0]) if reverse else ran.h, ran.h[-1], ran.cs[-1]

    def describe(self) -> dict[str, str]:
        """Versions, device, and what the adapter does around the operation."""
        tf = tensorflow()
        return {
            "tensorflow": tf.__version__,
            "device": tf.zeros(()).device.rsplit("/device:", 1)[-1],
            "path": f"tf.raw_ops.{self.op} called eagerly, with {dict(self.attributes)}, without peepholes",
            "stacked": "one operation for each layer and direction; tf.reverse before and after the reverse one",
            "gradients": "tf.GradientTape",
        }


class TFBlockLSTMV2(TFBlockLSTM):
    """Drives ``tf.raw_ops.BlockLSTMV2``: gates in another order, and no forget bias."""

    name = "tf.raw_ops.BlockLSTMV2"
    op = "BlockLSTMV2"
    attributes: ClassVar[Mapping[str, float]] = {"cell_clip": 0.0}
    layout = TF_BLOCK_V2


def tensorflow() -> Any:
    """The module ``tensorflow``, without its advice about processors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _keras.muted():
        import tensorflow
    return tensorflow


def _states(problem: Problem, name: str, layers: list[list[Any]]) -> dict[str, arrays.Array]:
    """States of all layers under their names: h, then c, of each direction."""
    model = problem.case.model
    values = [[state.numpy() for state in layer] for layer in layers]
    h, c = ([layer[first::2] for layer in values] for first in (0, 1))
    return arrays.stacked(model, name.format("h"), h) | arrays.stacked(model, name.format("c"), c)
