"""The reference's speed as ratios: all contestants side by side in one run, one thread, the best of several rounds.

    python -m benchmarks.reference

Against ``torch.nn.LSTM`` in float64, forward and backward; against the bare matrix products that no LSTM can do
without; and, forward only and where it supports the case, against onnx's ``ReferenceEvaluator``.
"""

from conformance import threads

threads.pin()

import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

import reference  # noqa: E402
from conformance.cases.case import Case  # noqa: E402
from conformance.verdict.problem import Problem, make_problem  # noqa: E402
from reference.model import Model  # noqa: E402

SIZES: dict[str, dict[str, Any]] = {
    "tiny (5, 3, 4, 5)": {"seq_len": 5, "batch": 3, "input_size": 4, "hidden_size": 5},
    "small (20, 8, 16, 32)": {"seq_len": 20, "batch": 8, "input_size": 16, "hidden_size": 32},
    "medium (50, 16, 128, 128)": {"seq_len": 50, "batch": 16, "input_size": 128, "hidden_size": 128},
    "large (100, 32, 512, 512)": {"seq_len": 100, "batch": 32, "input_size": 512, "hidden_size": 512},
    "tutorial (25, 40, 512, 256), 2 layers, both ways": {
        "seq_len": 25,
        "batch": 40,
        "input_size": 512,
        "hidden_size": 256,
        "num_layers": 2,
        "direction": "bidirectional",
    },
}
"""(T, B, I, H)"""

SECONDS = 3.0
"""Time for one size."""
TURN = 0.01
"""Seconds for one contestant before it is the next one's turn; at least two calls."""

Contestants = dict[str, Callable[[], Any]]


def main() -> None:
    torch.set_num_threads(1)
    print("Milliseconds of a call, and how the reference compares (below 1: the reference is faster).\n")
    print(f"{'size (T, B, I, H)':50}{'reference':>10}{'torch':>14}{'products':>15}{'forward':>10}{'onnx forward':>16}")
    for name, options in SIZES.items():
        problem = make_problem(Case(**options, dtype="float64", values="uniform"))
        contestants = {
            "reference": _reference(problem),
            "torch": _torch(problem),
            "products": _products(problem.case.model, problem),
            "forward": _reference_forward(problem),
            "onnx": _onnx(problem),
        }
        best = _rounds({key: call for key, call in contestants.items() if call is not None})
        ours, forward = best["reference"], best["forward"]
        onnx_column = f"{best['onnx']:9.3f}{forward / best['onnx']:6.2f}x" if "onnx" in best else f"{'-':>16}"
        print(
            f"{name:50}{ours:10.3f}{best['torch']:8.3f}{ours / best['torch']:5.2f}x"
            f"{best['products']:8.3f}{ours / best['products']:6.2f}x{forward:10.3f}{onnx_column}"
        )


def _rounds(contestants: Contestants) -> dict[str, float]:
    """The best milliseconds of each, taken in turn, so that a slow moment of the machine meets them all."""
    best = dict.fromkeys(contestants, float("inf"))
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for key, call in contestants.items():
            call()  # What the others left in the processor's caches is not this one's cost.
            turn = time.perf_counter() + TURN
            while (start := time.perf_counter()) < turn:
                call()
                best[key] = min(best[key], 1e3 * (time.perf_counter() - start))
    return best


def _reference_forward(problem: Problem) -> Callable[[], Any]:
    return lambda: reference.forward(problem.case.model, problem.parameters, problem.input, problem.initial_state)


def _reference(problem: Problem) -> Callable[[], Any]:
    forward = _reference_forward(problem)
    return lambda: reference.backward(forward(), problem.cotangents)


def _torch(problem: Problem) -> Callable[[], Any]:
    model = problem.case.model
    lstm = torch.nn.LSTM(
        model.input_size,
        model.hidden_sizes[0],
        model.num_layers,
        bidirectional=model.num_directions == 2,
        dtype=torch.float64,
    )
    lstm.load_state_dict({name: torch.tensor(array) for name, array in problem.parameters.items()})
    assert problem.initial_state is not None
    x, h_0, c_0 = (
        torch.tensor(array, requires_grad=True) for array in (problem.input, *problem.initial_state.values())
    )
    cotangents = [torch.tensor(array) for array in problem.cotangents.values()]

    def call() -> Any:
        output, (h_n, c_n) = lstm(x, (h_0, c_0))
        return torch.autograd.grad([output, h_n, c_n], [x, h_0, c_0, *lstm.parameters()], cotangents)

    return call


def _products(model: Model, problem: Problem) -> Callable[[], Any]:
    """Every matrix product of forward and backward, and nothing else."""
    steps, rows = problem.case.seq_len, problem.case.rows or 1
    directions = []
    for layer, hidden in enumerate(model.hidden_sizes):
        for _ in model.suffixes:
            width = model.layer_input_size(layer)
            directions.append(
                (
                    np.ones((steps * rows, width)),
                    np.ones((4 * hidden, width)),
                    np.ones((4 * hidden, hidden)),
                    np.ones((rows, hidden)),
                    np.ones((rows, 4 * hidden)),
                    np.ones((steps * rows, 4 * hidden)),
                    np.ones((steps * rows, hidden)),
                )
            )

    def call() -> None:
        for x, weight_ih, weight_hh, h, d_z, d_zs, hs in directions:
            x @ weight_ih.T
            for _ in range(steps):
                h @ weight_hh.T
            for _ in range(steps):
                d_z @ weight_hh
            d_zs @ weight_ih
            d_zs.T @ x
            d_zs.T @ hs

    return call


def _onnx(problem: Problem) -> Callable[[], Any] | None:
    """The evaluator of onnx on a model of one LSTM node; None for stacks, which the node cannot express."""
    model = problem.case.model
    if model.num_layers > 1:
        return None
    hidden = model.hidden_sizes[0]

    def iofc(array: Any) -> Any:
        i, f, g, o = np.split(array, 4)
        return np.concatenate((i, o, f, g))

    p = {name.removesuffix("_l0"): iofc(array) for name, array in problem.parameters.items()}
    assert problem.initial_state is not None
    feed = {
        "X": problem.input,
        "W": p["weight_ih"][None],
        "R": p["weight_hh"][None],
        "B": np.concatenate((p["bias_ih"], p["bias_hh"]))[None],
        "h": problem.initial_state["h_0"],
        "c": problem.initial_state["c_0"],
    }
    node = onnx.helper.make_node("LSTM", ["X", "W", "R", "B", "", "h", "c"], ["Y", "Y_h", "Y_c"], hidden_size=hidden)
    double = onnx.TensorProto.DOUBLE
    graph = onnx.helper.make_graph(
        [node],
        "lstm",
        [onnx.helper.make_tensor_value_info(name, double, array.shape) for name, array in feed.items()],
        [onnx.helper.make_tensor_value_info(name, double, None) for name in ("Y", "Y_h", "Y_c")],
    )
    evaluator = ReferenceEvaluator(onnx.helper.make_model(graph))
    return lambda: evaluator.run(None, feed)


if __name__ == "__main__":
    main()
