"""Adapter for ``paddle.nn.RNN`` and ``paddle.nn.BiRNN`` around ``paddle.nn.LSTMCell``."""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any, ClassVar

from conformance.adapters import arrays
from conformance.adapters.adapter import Adapter, Solution
from conformance.adapters.layout import PADDLE, Layout
from conformance.adapters.others.paddle import PaddleLSTM, import_paddle, to_array, to_tensor
from conformance.cases.case import Case
from conformance.verdict.problem import Problem


class PaddleRNN(Adapter):
    """Drives ``paddle.nn.RNN``, and ``paddle.nn.BiRNN`` for two directions, one wrapper for each layer."""

    name = "paddle.nn.RNN"
    requires = PaddleLSTM.requires
    install = PaddleLSTM.install
    own_process = True

    features: ClassVar[Set[str]] = frozenset(
        {"layers", "sizes per layer", "bidirectional", "sizes per direction", "reverse", "no bias", "batch first",
         "state omitted", "gradients", "float64", "float32"}
    )  # fmt: skip
    lacks: ClassVar[Mapping[str, str]] = {
        "lengths": "paddle.nn.RNN is not driven with sequence_length",
        "projection": "paddle.nn.RNN is not driven with a projection",
    }
    layout: ClassVar[Layout] = PADDLE

    def solve(self, problem: Problem) -> Solution:
        """Runs one layer after another and differentiates all of them."""
        paddle = import_paddle()
        case, model, layers = problem.case, problem.case.model, range(problem.case.num_layers)
        given = {"input": problem.input, **(problem.initial_state or {})}
        leaves = {name: to_tensor(array) for name, array in given.items()}
        packed = [arrays.packed(problem, PADDLE, layer) for layer in layers]
        output, finals, weights = leaves["input"], [], []
        with _default_dtype(case.dtype), paddle.set_grad_enabled("gradients" in case.check):
            for layer in layers:
                wrapper, cells = _layer(case, layer)
                for cell, arrays_of in zip(cells, packed[layer], strict=True):
                    for name, array in arrays_of.items():
                        getattr(cell, name).set_value(array)
                        weights.append(getattr(cell, name))
                states = arrays.states(leaves if case.gives_state else None, model, layer)
                pairs = tuple(zip(states[0::2], states[1::2], strict=True))
                initial = pairs if len(pairs) == 2 else pairs[0] if pairs else None
                output, ends = wrapper(output, initial)
                finals.append([state for pair in (ends if len(cells) == 2 else [ends]) for state in pair])
        results = {"output": to_array(output)}
        for number, name in enumerate(("h_n", "c_n")):
            results |= arrays.stacked(model, name, [[to_array(state) for state in own[number::2]] for own in finals])
        if "gradients" in case.check:
            cotangents = [problem.cotangents["output"]]
            for layer in layers:
                cotangents += arrays.states(problem.cotangents, model, layer, ("h_n", "c_n"))
            targets = [output, *(state for own in finals for state in own)]
            sources = [*leaves.values(), *weights]
            found = iter(map(to_array, paddle.grad(targets, sources, [to_tensor(array) for array in cotangents])))
            results |= {f"grad.{name}": next(found) for name in leaves}
            for layer in layers:
                gradients = [{name: next(found) for name in arrays_of} for arrays_of in packed[layer]]
                results |= arrays.weight_gradients(model, PADDLE, layer, gradients)
        return {name: results[name] for name in problem.expected_shapes()}

    def describe(self) -> dict[str, str]:
        """Returns the version, device and threads, and how layers are stacked."""
        described = PaddleLSTM().describe()
        return {name: described[name] for name in ("paddle", "device", "threads")} | {
            "path": "dynamic graph; Paddle's loop over an LSTMCell",
            "stacked": "one paddle.nn.RNN for each layer, or paddle.nn.BiRNN around two cells",
            "float64": "paddle.set_default_dtype",
            "gradients": "paddle.grad",
        }


def _layer(case: Case, layer: int) -> tuple[Any, list[Any]]:
    """Returns the wrapper of one layer, and its cells."""
    paddle = import_paddle()
    model, bias = case.model, None if case.bias else False
    random = paddle.get_rng_state()
    cells = [
        paddle.nn.LSTMCell(
            model.layer_input_size(layer), model.hidden_size(layer, direction), bias_ih_attr=bias, bias_hh_attr=bias
        )
        for direction in range(model.num_directions)
    ]
    paddle.set_rng_state(random)
    if len(cells) == 2:
        return paddle.nn.BiRNN(*cells, time_major=not case.batch_first), cells
    return paddle.nn.RNN(cells[0], is_reverse=case.direction == "reverse", time_major=not case.batch_first), cells


@contextmanager
def _default_dtype(dtype: str) -> Iterator[None]:
    """Sets Paddle's default dtype, which cells and missing initial states have."""
    paddle = import_paddle()
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(dtype)
    try:
        yield
    finally:
        paddle.set_default_dtype(before)
