"""Adapter for OpenVINO's operator ``LSTMSequence``, built with OpenVINO's own API instead of ONNX."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from conformance.adapters import arrays, uses
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import OPENVINO, Layout
from conformance.adapters.onnx import common as _onnx
from conformance.adapters.openvino import common as _openvino
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Dialect
from reference.activations import ACTIVATIONS


class OpenVinoSequence(Adapter):
    """Drives ``opset5.lstm_sequence``, one node per layer."""

    name = "openvino[LSTMSequence]"
    requires = ("openvino",)
    install = "pip install 'lstm-conformance[openvino]'"
    own_process = True

    features = frozenset(
        {"layers", "sizes per layer", "bidirectional", "reverse", "lengths", "batch first", "activations", "clip",
         "wrong lengths", "float64", "float32", "float16", "bfloat16"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "activations per direction": "LSTMSequence has one list of activations for both directions",
        "cell clip": "LSTMSequence clips the arguments of activations, not the cell state",
    }
    layout: ClassVar[Layout] = OPENVINO

    def supports(self, case: Case) -> str | None:
        """Refuses options that the operator lacks, and activations that the CPU plug-in rejects."""
        return super().supports(case) or _onnx.try_activations(self, case)

    def solve(self, problem: Problem) -> Solution:
        """Builds, compiles and runs the chain of nodes. Its states are (B, D, H)."""
        import openvino
        from openvino import opset5 as ops

        case, lstm = problem.case, problem.case.model
        kind = np.float32 if case.dtype == "bfloat16" else np.dtype(case.dtype)
        rows, directions = case.num_rows, lstm.num_directions
        lengths = uses.arguments(problem).get("lengths", np.full(rows, case.seq_len))
        used = [ACTIVATIONS[name] for name in case.activations]
        options = ([_onnx.NAMES[each.name].lower() for each in used], *_onnx.split_constants(used), case.clip or 0.0)
        inputs: list[NDArray[Any]] = [arrays.batch_major(problem.input, case)]
        parameters = [ops.parameter(inputs[0].shape, kind)]
        sequence, finals = parameters[0], []
        for layer, hidden in enumerate(case.hidden_sizes):
            for name in ("h_0", "c_0"):
                inputs.append(np.stack(arrays.states(problem.initial_state, lstm, layer, (name,)), 1))
                parameters.append(ops.parameter([rows, directions, hidden], kind))
            packed = arrays.packed(problem, OPENVINO, layer)
            weights = [ops.constant(np.stack([one[name] for one in packed])) for name in ("W", "R", "B")]
            given = (sequence, *parameters[-2:], ops.constant(lengths.astype(np.int32)), *weights)
            node = ops.lstm_sequence(*given, hidden, case.direction, *options)
            finals += [node.output(1), node.output(2)]
            apart = ops.transpose(node.output(0), ops.constant(np.array([0, 2, 1, 3])))
            sequence = ops.reshape(apart, ops.constant(np.array([0, 0, -1])), special_zero=True)
        model = openvino.Model([sequence.output(0), *finals], parameters)
        output, *states = _openvino.load(model, case.dtype)(inputs)
        results = {"output": arrays.batch_major(output, case)}
        for name, layers in (("h_n", states[0::2]), ("c_n", states[1::2])):
            results |= arrays.stacked(lstm, name, [list(both.swapaxes(0, 1)) for both in layers])
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and what the adapter does before and after the operator."""
        return _openvino.describe() | {
            "stacked": "one LSTMSequence per layer, with Transpose and Reshape in between",
            "time-major": "input and output are transposed: LSTMSequence takes (batch, time, features) only",
            "lengths": "sequence_lengths; T for every row if the case has no lengths",
        }

    def dialect(self, case: Case) -> Dialect:
        """Declares zero final states for rows of length 0, as OpenVINO's ONNX front end does with this operator."""
        del case
        return Dialect(zero_length="zero")
