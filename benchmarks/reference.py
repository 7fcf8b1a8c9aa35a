"""Measures the speed of the reference, on one thread, as ratios to alternatives.

The alternatives are ``torch.nn.LSTM`` in float64, forward and backward; only the matrix products of an LSTM; and onnx's
``ReferenceEvaluator``, forward only, for one layer. They take turns, and the fastest call of each counts.
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
from benchmarks.arguments import make_parser  # noqa: E402
from conformance.cases.case import Case  # noqa: E402
from conformance.verdict.problem import Problem, make_problem  # noqa: E402
from reference.model import Model  # noqa: E402

SIZES: dict[str, dict[str, Any]] = {
    "tiny (5, 3, 4, 5)": {"seq_len": 5, "batch": 3, "input_size": 4, "hidden_size": 5},
    "small (20, 8, 16, 32)": {"seq_len": 20, "batch": 8, "input_size": 16, "hidden_size": 32},
    "medium (50, 16, 128, 128)": {"seq_len": 50, "batch": 16, "input_size": 128, "hidden_size": 128},
    "large (100, 32, 512, 512)": {"seq_len": 100, "batch": 32, "input_size": 512, "hidden_size": 512},
    "tutorial (25, 40, 512, 256), 2 layers, bidirectional": {
        "seq_len": 25,
        "batch": 40,
        "input_size": 512,
        "hidden_size": 256,
        "num_layers": 2,
        "direction": "bidirectional",
    },
}
"""Case options by label. The numbers in the label are (T, B, I, H)."""

SECONDS_PER_SIZE = 3.0
"""Seconds to measure one size."""
SECONDS_PER_TURN = 0.01
"""Length of one alternative's turn in seconds. A turn makes at least two calls."""

Alternatives = dict[str, Callable[[], Any]]
"""Functions to measure, by name."""


def main() -> None:
    """Prints the milliseconds and ratios for each size."""
    make_parser("reference", __doc__).parse_args()
    torch.set_num_threads(1)
    print("Milliseconds per call, and ratio of the reference to the alternative (below 1: the reference is faster).\n")
    print(f"{'size (T, B, I, H)':52}{'reference':>10}{'torch':>17}{'products':>17}{'forward':>10}{'onnx forward':>17}")
    for name, options in SIZES.items():
        problem = make_problem(Case(**options, dtype="float64", values="uniform"))
        alternatives = {
            "reference": _reference(problem),
            "torch": _torch(problem),
            "products": _products(problem.case.model, problem),
            "forward": _reference_forward(problem),
            "onnx": _onnx(problem),
        }
        best = _best_milliseconds({key: call for key, call in alternatives.items() if call is not None})
        both, forward = best["reference"], best["forward"]
        onnx_column = f"{best['onnx']:10.3f}{forward / best['onnx']:6.2f}x" if "onnx" in best else f"{'-':>17}"
        print(
            f"{name:52}{both:10.3f}{best['torch']:10.3f}{both / best['torch']:6.2f}x"
            f"{best['products']:10.3f}{both / best['products']:6.2f}x{forward:10.3f}{onnx_column}"
        )


def _best_milliseconds(alternatives: Alternatives) -> dict[str, float]:
    """Returns the milliseconds of the fastest call of each alternative. They take turns, so that load affects all."""
    best = dict.fromkeys(alternatives, float("inf"))
    end = time.perf_counter() + SECONDS_PER_SIZE
    while time.perf_counter() < end:
        for key, call in alternatives.items():
            call()  # Warm up: the previous alternative has filled the processor's caches.
            turn = time.perf_counter() + SECONDS_PER_TURN
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
    """Returns a function that computes all matrix products of the forward and backward pass, and nothing else."""
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
    """Returns a function that runs onnx's evaluator on one LSTM node. Returns None for several layers."""
    model = problem.case.model
    if model.num_layers > 1:
        return None
    hidden = model.hidden_sizes[0]

    def reorder_gates(array: Any) -> Any:
        i, f, g, o = np.split(array, 4)
        return np.concatenate((i, o, f, g))

    p = {name.removesuffix("_l0"): reorder_gates(array) for name, array in problem.parameters.items()}
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
