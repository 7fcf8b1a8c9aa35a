"""Measures the CPU time of the reference, on one thread, as ratios to alternatives.

The alternatives are, forward and backward:

- ``torch.nn.LSTM`` in float64;
- *products*: only the matrix products of an LSTM;
- *floor*: the products and the elementwise operations of the equations, in arrays that are allocated once. It shows
  how far readable code is from the fastest that NumPy allows.

onnx's ``ReferenceEvaluator`` runs only forward, for one layer. The alternatives take turns. The fastest call of each
counts.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx.reference import ReferenceEvaluator

import reference
from benchmarks.arguments import make_parser
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem
from reference.cell import blocks
from reference.model import Model

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

SECONDS_PER_SIZE = 6.0
"""CPU seconds to measure one size."""
SECONDS_PER_TURN = 0.01
"""Length of one alternative's turn in CPU seconds. A turn makes at least two calls."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""

Alternatives = dict[str, Callable[[], Any]]
"""Functions to measure, by name."""


def main() -> None:
    """Prints the milliseconds and ratios for each size."""
    make_parser("reference", __doc__).parse_args()
    torch.set_num_threads(1)
    _keep_freed_memory()
    print(
        "CPU milliseconds per call, and ratio of the reference to the alternative (below 1: the reference is faster).\n"
    )
    titles = f"{'reference':>10}{'torch':>17}{'products':>17}{'floor':>17}{'forward':>10}{'onnx forward':>17}"
    print(f"{'size (T, B, I, H)':52}{titles}")
    for name, options in SIZES.items():
        problem = make_problem(Case(**options, dtype="float64", values="uniform"))
        alternatives = {
            "reference": _reference(problem),
            "torch": _torch(problem),
            "products": _products(problem),
            "floor": _floor(problem),
            "forward": _reference_forward(problem),
            "onnx": _onnx(problem),
        }
        best = _best_milliseconds({key: call for key, call in alternatives.items() if call is not None})
        both, forward = best["reference"], best["forward"]
        onnx_column = f"{best['onnx']:10.3f}{forward / best['onnx']:6.2f}x" if "onnx" in best else f"{'-':>17}"
        columns = "".join(f"{best[key]:10.3f}{both / best[key]:6.2f}x" for key in ("torch", "products", "floor"))
        print(f"{name:52}{both:10.3f}{columns}{forward:10.3f}{onnx_column}", flush=True)


def _best_milliseconds(alternatives: Alternatives) -> dict[str, float]:
    """Returns the milliseconds of the fastest call of each alternative. They take turns, so that load affects all."""
    best = dict.fromkeys(alternatives, float("inf"))
    end = time.process_time() + SECONDS_PER_SIZE
    while time.process_time() < end:
        for key, call in alternatives.items():
            call()  # Warm up: the previous alternative has filled the processor's caches.
            turn = time.process_time() + SECONDS_PER_TURN
            while (start := time.process_time()) < turn:
                call()
                best[key] = min(best[key], 1e3 * (time.process_time() - start))
    return best


def _keep_freed_memory() -> None:
    """Lets glibc keep the memory that a call frees for the next one.

    Otherwise it returns that of some alternatives to the system, which clears each page again: a third of the time of a
    call of medium size in a virtual machine.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, 2**25)
        mallopt(_M_TRIM_THRESHOLD, 2**30)


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


def _products(problem: Problem) -> Callable[[], Any]:
    """Returns a function that computes all matrix products of the forward and backward pass, and nothing else."""
    steps, rows = problem.case.seq_len, problem.case.rows or 1

    def make(width: int, hidden: int) -> Callable[[], None]:
        draw = np.random.default_rng(0).standard_normal
        x, h, hs = draw((steps * rows, width)), draw((rows, hidden)), draw((steps * rows, hidden))
        d_z, d_zs = draw((rows, 4 * hidden)), draw((steps * rows, 4 * hidden))
        # As in the reference, W_hh is transposed once. With few rows, the products with a view take longer.
        weight_ih, weight_hh, recurrent = (
            draw((4 * hidden, width)),
            draw((4 * hidden, hidden)),
            draw((hidden, 4 * hidden)),
        )

        def call() -> None:
            x @ weight_ih.T
            for _ in range(steps):
                h @ recurrent
            for _ in range(steps):
                d_z @ weight_hh
            d_zs @ weight_ih
            d_zs.T @ x
            d_zs.T @ hs

        return call

    return _for_each_direction(problem.case.model, make)


def _floor(problem: Problem) -> Callable[[], Any]:
    """Returns a function that computes one direction's gradients after the other, in arrays that are allocated once.

    Its results are those of a single layer and direction with an initial state and a final cotangent of 0.
    """
    steps, rows = problem.case.seq_len, problem.case.rows or 1

    def make(width: int, hidden: int) -> Callable[[], None]:
        def draw(*shape: int) -> Any:
            return np.random.default_rng(0).uniform(-1, 1, shape) * hidden**-0.5

        x, d_y = draw(steps, rows, width), draw(steps, rows, hidden)
        weight_ih, weight_hh, bias = draw(4 * hidden, width), draw(4 * hidden, hidden), draw(4 * hidden)
        gates, d_z, z = (np.empty((*shape, 4 * hidden)) for shape in ((steps, rows), (steps, rows), (rows,)))
        h, c, squashed = (np.zeros((steps + 1, rows, hidden)) for _ in range(3))
        d_h, d_c, scratch = (np.empty((rows, hidden)) for _ in range(3))
        d_x, d_weight_ih, d_weight_hh, d_bias = map(np.empty_like, (x, weight_ih, weight_hh, bias))
        recurrent = np.empty((hidden, 4 * hidden))
        flat = {"x": x.reshape(-1, width), "d_x": d_x.reshape(-1, width), "h": h[:-1].reshape(-1, hidden)}
        flat |= {"gates": gates.reshape(-1, 4 * hidden), "d_z": d_z.reshape(-1, 4 * hidden)}

        def call() -> None:
            recurrent[...] = weight_hh.T
            np.matmul(flat["x"], weight_ih.T, out=flat["gates"])
            flat["gates"] += bias
            for t in range(steps):
                np.matmul(h[t], recurrent, out=z)
                y = gates[t]
                y += z
                i, f, g, o = blocks(y, hidden)
                np.tanh(g, out=scratch)
                np.negative(y, out=y)
                np.exp(y, out=y)
                y += 1.0
                np.reciprocal(y, out=y)
                g[...] = scratch
                np.multiply(f, c[t], out=c[t + 1])
                np.multiply(i, g, out=scratch)
                c[t + 1] += scratch
                np.tanh(c[t + 1], out=squashed[t])
                np.multiply(o, squashed[t], out=h[t + 1])
            d_h[...] = d_c[...] = 0.0
            for t in reversed(range(steps)):
                i, f, g, o = blocks(gates[t], hidden)
                d_z_t = d_z[t]
                d_i, d_f, d_g, d_o = blocks(d_z_t, hidden)
                np.add(d_h, d_y[t], out=d_h)
                np.square(squashed[t], out=scratch)
                np.subtract(1.0, scratch, out=scratch)
                for factor in (o, d_h):
                    np.multiply(scratch, factor, out=scratch)
                np.add(d_c, scratch, out=d_c)
                np.subtract(1.0, gates[t], out=d_z_t)
                np.multiply(d_z_t, gates[t], out=d_z_t)
                np.square(g, out=d_g)
                np.subtract(1.0, d_g, out=d_g)
                for block, factor, gradient in (
                    (d_i, g, d_c),
                    (d_f, c[t], d_c),
                    (d_g, i, d_c),
                    (d_o, squashed[t], d_h),
                ):
                    np.multiply(block, factor, out=block)
                    np.multiply(block, gradient, out=block)
                np.multiply(d_c, f, out=d_c)
                np.matmul(d_z_t, weight_hh, out=d_h)
            np.matmul(flat["d_z"], weight_ih, out=flat["d_x"])
            np.matmul(flat["d_z"].T, flat["x"], out=d_weight_ih)
            np.matmul(flat["d_z"].T, flat["h"], out=d_weight_hh)
            np.sum(flat["d_z"], axis=0, out=d_bias)

        return call

    return _for_each_direction(problem.case.model, make)


def _for_each_direction(model: Model, make: Callable[[int, int], Callable[[], None]]) -> Callable[[], Any]:
    """Returns a function that calls what ``make`` creates for the input size and hidden size of each direction."""
    calls = [
        make(model.layer_input_size(layer), h) for layer, h in enumerate(model.hidden_sizes) for _ in model.suffixes
    ]

    def call() -> None:
        for each in calls:
            each()

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
