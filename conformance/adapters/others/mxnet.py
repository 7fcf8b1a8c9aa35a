"""Adapter for ``mxnet.gluon.rnn.LSTM``."""

import warnings
from collections.abc import Mapping, Set
from typing import Any, ClassVar

import numpy as np

from conformance.adapters import arrays
from conformance.adapters.adapter import ELSEWHERE, Adapter, Solution
from conformance.adapters.layout import MXNET, Layout
from conformance.cases.case import Case
from conformance.verdict.problem import Problem
from reference import Dialect


class MxnetLSTM(Adapter):
    """Drives ``mxnet.gluon.rnn.LSTM`` on the CPU, whose fused operator runs all layers."""

    name = "mxnet.gluon.rnn.LSTM"
    requires = ("mxnet",)
    install = ELSEWHERE
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "bidirectional", "lengths", "projection", "batch first", "state omitted", "cell clip", "gradients",
         "float64", "float32"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {"dropout": "mxnet.gluon.rnn.LSTM draws masks and does not return them"}
    layout: ClassVar[Layout] = MXNET

    def supports(self, case: Case) -> str | None:
        """Also refuses what MXNet refuses on a CPU. It does so for float64 and for projections only."""
        if case.proj_size and "gradients" in case.check:
            return 'MXNet: "No training support for LSTM with projection on CPU currently."'
        if case.lengths is not None and (case.proj_size or case.dtype == "float64"):
            return 'MXNet: "use_sequence_length option is only available for cuDNN version >= 7.2"'
        if case.cell_clip is not None and (case.proj_size or case.dtype == "float64"):
            return 'MXNet: "LSTM state clipping is only supported for GPU with CuDNN later than 7.2.1"'
        return super().supports(case)

    def dialect(self, case: Case) -> Dialect:
        """Declares zero output at padded steps."""
        del case
        return Dialect(padding="zero")

    def solve(self, problem: Problem) -> Solution:
        """Sets the layer's parameters, runs it and differentiates it."""
        mx = _mxnet()
        case, model = problem.case, problem.case.model
        layer = _layer(case)
        parameters = {name.partition("_")[2]: each for name, each in layer.collect_params().items()}
        ends = "lr"[: model.num_directions]
        for position in range(model.num_layers):
            for end, own in zip(ends, arrays.packed(problem, MXNET, position), strict=True):
                for name, array in own.items():
                    parameters[f"{end}{position}_{name}"].set_data(mx.nd.array(array, dtype=case.dtype))
        given = {"input": problem.input, **(problem.initial_state or {})}
        leaves = {name: mx.nd.array(array, dtype=case.dtype) for name, array in given.items()}
        for leaf in leaves.values():
            leaf.attach_grad()
        trains = case.mode == "train"
        with mx.autograd.record(trains) if "gradients" in case.check else mx.autograd.pause(trains):
            x, *state = leaves.values()
            states = state or layer.begin_state(case.num_rows, dtype=case.dtype)
            lengths = [] if problem.lengths is None else [mx.nd.array(problem.lengths, dtype=case.dtype)]
            output, (h_n, c_n) = layer(x, states, *lengths)
        outputs = {"output": output, "h_n": h_n, "c_n": c_n}
        results = {name: tensor.asnumpy() for name, tensor in outputs.items()}
        if "gradients" in case.check:
            cotangents = [mx.nd.array(problem.cotangents[name], dtype=case.dtype) for name in outputs]
            mx.autograd.backward(list(outputs.values()), cotangents, train_mode=trains)
            results |= {f"grad.{name}": leaf.grad.asnumpy() for name, leaf in leaves.items()}
            gradients = {name: each.grad().asnumpy() for name, each in parameters.items()}
            for position in range(model.num_layers):
                names = list(arrays.packed(problem, MXNET, position)[0])
                of_ends = [{name: gradients[f"{end}{position}_{name}"] for name in names} for end in ends]
                results |= arrays.weight_gradients(model, MXNET, position, of_ends)
        return {name: np.array(results[name], order="C") for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns versions, device, and how outputs and gradients are computed."""
        return {
            "mxnet": _mxnet().__version__,
            "numpy": np.__version__,
            "device": "cpu",
            "path": "imperative; MXNet's fused RNN operator",
            "gradients": "mxnet.autograd.backward",
        }


def _mxnet() -> Any:
    """Imports MXNet and suppresses its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mxnet
    return mxnet


def _layer(case: Case) -> Any:
    """Returns a new layer with parameters of zeros."""
    mx = _mxnet()
    layer = mx.gluon.rnn.LSTM(
        case.hidden_sizes[0],
        num_layers=case.num_layers,
        layout="NTC" if case.batch_first else "TNC",
        bidirectional=case.direction == "bidirectional",
        input_size=case.input_size,
        dtype=case.dtype,
        projection_size=case.proj_size or None,
        use_sequence_length=case.lengths is not None,
        state_clip_min=None if case.cell_clip is None else -case.cell_clip,
        state_clip_max=case.cell_clip,
    )
    layer.initialize(mx.init.Zero())
    return layer
