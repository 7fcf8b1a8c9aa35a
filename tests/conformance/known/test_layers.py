"""Networks that run layer by layer."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import reference
from conformance.cases.case import Case
from conformance.defects.defect import Arrays, Defect
from conformance.defects.solve import solve
from conformance.known.defects import make_defect
from conformance.known.layers import Array, Backward, Layer, layer_by_layer
from conformance.verdict.problem import Problem, make_problem
from reference import Dialect

T, B, H, P = 4, 3, 5, 3
ALL = ("output", "h_n", "c_n", "gradients")


def draw(**options: Any) -> Problem:
    sizes = {"input_size": 2, "hidden_size": H, "seq_len": T, "batch": B, "num_layers": 2}
    return make_problem(Case.model_validate({**sizes, "dtype": "float64", "check": ALL} | options))


def solved(name: str, problem: Problem) -> Arrays:
    return solve(make_defect(name, problem, Dialect()), problem, Dialect())


def as_given(layer: Layer, sequence: Array) -> tuple[Arrays, Backward]:
    trace = layer.run_as_given(sequence)
    return dict(trace.outputs), partial(reference.backward, trace)


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True, "batch_first": True, "proj_size": P, "lengths": (2, 4, 0), "initial_state": "omitted"},
        {"hidden_size": (5, 3), "mode": "train", "dropout": 0.5, "input_dropout": 0.5, "recurrent_dropout": 0.5},
        {"bidirectional": True, "reverse_hidden_size": 4, "clip": 0.5, "mode": "train", "input_dropout": 0.5},
    ],
    ids=["projection and lengths", "dropout", "sizes per direction"],
)
def test_layers_that_do_not_change_form_the_reference(options: dict[str, Any]) -> None:
    problem = draw(**options)
    changed = Defect("same", "without a change", **layer_by_layer(as_given)(problem, Dialect()))
    found = solve(changed, problem, Dialect())
    for name, expected in solve(Defect("none", "without a defect"), problem, Dialect()).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-14, err_msg=name)


def test_each_layer_reads_the_reversed_output_of_the_second_direction() -> None:
    problem = draw(bidirectional=True, initial_state="omitted")
    found = solved("reverse-output-of-layers-in-order-of-processing", problem)
    lower, upper = (Layer(problem, number, Dialect()) for number in (0, 1))
    below = lower.run(problem.input, None).outputs["output"]
    read = np.concatenate([below[..., :H], below[::-1, :, H:]], axis=-1)
    above = upper.run(read, None).outputs["output"]
    np.testing.assert_allclose(found["output"], np.concatenate([above[..., :H], above[::-1, :, H:]], axis=-1))


def test_a_padded_step_shows_what_the_cell_computes_from_the_state_of_its_row() -> None:
    problem = draw(num_layers=1, bidirectional=True, proj_size=P, lengths=(2, 4, 4), padding="random")
    found = solved("padded-steps-shown", problem)
    right = solve(Defect("none", "without a defect"), problem, Dialect())
    assert problem.mask is not None
    assert problem.initial_state is not None
    np.testing.assert_array_equal(found["output"][problem.mask], right["output"][problem.mask])
    np.testing.assert_array_equal(found["c_n"], right["c_n"])
    padded = problem.input[2:, 0]
    for direction, (h, c) in enumerate(
        [(right["h_n"], right["c_n"]), (problem.initial_state["h_0"], problem.initial_state["c_0"])]
    ):
        kept = {name: np.repeat(array[:, :1], len(padded), axis=1) for name, array in (("h_0", h), ("c_0", c))}
        one = Layer(problem, 0, Dialect()).run(padded[None], kept).outputs["output"][0]
        part = slice(P * direction, P * (direction + 1))
        np.testing.assert_allclose(found["output"][2:, 0, part], one[:, part])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reverse-output-of-layers-in-order-of-processing", {"bidirectional": True, "batch_first": True}),
        ("padded-steps-shown", {"bidirectional": True, "proj_size": P, "lengths": (2, 4, 1), "padding": "random"}),
    ],
)
def test_gradients_follow(name: str, options: dict[str, Any]) -> None:
    problem = draw(**options)
    random = np.random.default_rng(0)
    read = {"input": problem.input, **problem.parameters, **(problem.initial_state or {})}
    along = {name: random.standard_normal(array.shape) for name, array in read.items()}

    def loss(size: float) -> float:
        moved = {name: array + size * along[name] for name, array in read.items()}
        there = replace(
            problem,
            input=moved["input"],
            parameters={name: moved[name] for name in problem.parameters},
            initial_state={name: moved[name] for name in problem.initial_state or {}},
        )
        return sum(float((solved(name, there)[of] * given).sum()) for of, given in problem.cotangents.items())

    found = solved(name, problem)
    slope = sum(float((found[f"grad.{name}"] * direction).sum()) for name, direction in along.items())
    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(slope, rel=1e-7)
