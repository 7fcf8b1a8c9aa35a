"""Small problems for the tests of the reference, and helpers that run and compare them."""

from typing import Any

import numpy as np

from conformance.cases.case import Case
from conformance.verdict.oracle import solve
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect, float64
from reference.network import Lift

SMALL: dict[str, Any] = {"input_size": 3, "hidden_size": 2, "seq_len": 4, "batch": 3, "dtype": "float64"}

CASES: dict[str, dict[str, Any]] = {
    "one-layer": {},
    "reverse": {"direction": "reverse"},
    "two-layers-bidirectional": {"num_layers": 2, "direction": "bidirectional"},
    "no-bias": {"bias": False},
    "omitted-state": {"initial_state": "omitted"},
    "batch-first": {"batch_first": True, "direction": "bidirectional"},
    "unbatched": {"batch": "unbatched", "num_layers": 2},
    "sizes-per-layer": {"hidden_size": [2, 4, 3], "direction": "bidirectional"},
    "sizes-per-direction": {"hidden_size": 3, "reverse_hidden_size": 2, "num_layers": 2, "direction": "bidirectional"},
    "projection": {"hidden_size": 4, "proj_size": 2, "num_layers": 2, "direction": "bidirectional"},
    "ragged": {"lengths": [2, 4, 1], "num_layers": 2, "direction": "bidirectional"},
    "zero-length": {"lengths": [0, 4, 3], "direction": "bidirectional"},
    "nan-padding": {"lengths": [2, 4, 1], "padding": "nan", "direction": "reverse"},
    "dropout": {"num_layers": 3, "dropout": 0.5, "mode": "train"},
    "dropout-eval": {"num_layers": 2, "dropout": 0.5},
    "scale-2": {"values": "scale-2", "seq_len": 6},
    "left-mask": {"lengths": [2, 4, 1], "mask": "left", "padding": "nan", "direction": "bidirectional"},
    "holed-mask": {"lengths": [2, 4, 3], "mask": "holed", "num_layers": 2, "direction": "bidirectional"},
    "input-dropout": {"input_dropout": 0.5, "mode": "train", "num_layers": 2, "direction": "bidirectional"},
    "recurrent-dropout": {"recurrent_dropout": 0.25, "mode": "train", "hidden_size": 4, "direction": "bidirectional"},
    "peepholes": {"peepholes": True, "direction": "bidirectional", "num_layers": 2},
    "coupled": {"coupled_gates": True, "peepholes": True},
    "clip": {"clip": 0.6, "peepholes": True, "direction": "reverse"},
    "cell-clip": {"cell_clip": 0.7, "peepholes": True, "lengths": [2, 4, 1]},
    "forget-bias": {"forget_bias": 1.0},
    "activations": {"activations": ["hard_sigmoid", "relu", "elu"]},
    "activations-per-direction": {
        "activations": ["hard_sigmoid_6", "leaky_relu", "scaled_tanh", "sigmoid", "softsign", "affine"],
        "direction": "bidirectional",
    },
    "all-options": {
        "activations": ["hard_sigmoid", "softsign", "scaled_tanh"],
        "peepholes": True,
        "coupled_gates": True,
        "clip": 0.9,
        "cell_clip": 1.5,
        "lengths": [3, 4, 1],
        "hidden_size": 3,
        "proj_size": 2,
    },
}


def small_problem(name: str, **options: Any) -> Problem:
    """Returns the problem of one of ``CASES``, with some options replaced."""
    return make_problem(Case(**(SMALL | CASES[name] | options)))


def run(problem: Problem, lift: Lift = float64, dialect: Dialect | None = None) -> dict[str, Any]:
    """Runs the reference on a problem. Returns the tensors of a solution."""
    results = solve(problem, dialect or Dialect(), lift)
    return {name: results[name] for name in problem.expected_shapes()}


def loss(problem: Problem, outputs: dict[str, Any]) -> Any:
    """Returns Σ ⟨cotangent, output⟩."""
    return sum(np.sum(outputs[name] * cotangent) for name, cotangent in problem.cotangents.items())


def relative_deviation(actual: Any, expected: Any) -> float:
    """Returns the largest deviation divided by the largest element of ``expected``."""
    size = float(np.abs(expected).max(initial=0.0))
    return float(np.abs(np.asarray(actual - expected)).max(initial=0.0)) / (size or 1.0)
