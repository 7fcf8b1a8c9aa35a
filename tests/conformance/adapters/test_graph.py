"""Graphs of two calls equal one call of the reference, and their LSTMs have the right weights and shapes."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters import arrays, graph, uses
from conformance.adapters.earlier_calls import earlier_problems
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem

BASE: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 7, "batch": 5, "dtype": "float64"}
GRAPHS: list[dict[str, Any]] = [
    {"graph": "twice", "num_layers": 2, "direction": "bidirectional"},
    {"graph": "twice", "lengths": [4, 7, 1, 3, 2], "batch_first": True, "initial_state": "omitted"},
    {"graph": "encoder-decoder", "num_layers": 2, "batch_first": True},
    {"graph": "encoder-decoder", "batch": "unbatched", "initial_state": "omitted"},
    {"graph": "parallel", "direction": "bidirectional"},
    {"graph": "parallel", "direction": "bidirectional", "batch_first": True, "initial_state": "omitted"},
]


def problem_of(**options: Any) -> Problem:
    return make_problem(Case(**{**BASE, **options}))


def by_layer(problem: Problem, time: str, tensors: Any) -> dict[str, Any]:
    """Returns states by the names of ``uses.name_states``."""
    model, names = problem.case.model, (f"h_{time}", f"c_{time}")
    layers = [arrays.states(tensors, model, layer, names) for layer in range(model.num_layers)]
    return uses.name_states(time, layers)


def call_reference(problem: Problem, given: uses.Named) -> uses.Named:
    """Calls the reference with the weights of a problem and states by layer."""
    model = problem.case.model
    states = uses.states_by_layer("0", given, model.num_layers)
    stacked: dict[str, Any] = {}
    for position, name in enumerate(("h_0", "c_0")):
        if states[0]:
            stacked |= arrays.stacked(model, name, [layer[position::2] for layer in states])
    outputs = reference.forward(
        model, problem.parameters, given["input"], stacked or None, lengths=given.get("lengths")
    ).outputs
    return {"output": outputs["output"], **by_layer(problem, "n", outputs)}


@pytest.mark.parametrize("options", GRAPHS, ids=str)
def test_a_graph_equals_one_call(options: dict[str, Any]) -> None:
    problem = problem_of(**options)
    given = uses.arguments(problem)
    states = by_layer(problem, "0", given) if problem.case.gives_state else {}
    rest = {name: array for name, array in given.items() if name in ("input", "lengths")}
    both = [partial(call_reference, part) for part in graph.calls(problem)]
    results = graph.run(problem.case, both, rest | states, np.concatenate, np.flip)
    expected = call_reference(problem, rest | states)
    assert list(results) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(results[name], array, atol=1e-14)


@pytest.mark.parametrize("options", GRAPHS, ids=str)
def test_each_call_is_a_problem_of_its_own(options: dict[str, Any]) -> None:
    problem = problem_of(**options)
    for part in graph.calls(problem):
        case = Case.model_validate(part.case.model_dump())
        assert case.graph == "single"
        assert part.parameters.keys() == case.model.parameter_shapes().keys()
        assert part.input.shape == make_problem(case).input.shape
        shapes = {name: array.shape for name, array in (part.initial_state or {}).items()}
        assert shapes == {
            name: shape
            for state in case.given_states
            for name, shape in case.model.state_shapes(state, case.rows).items()
        }


def test_two_lstms_in_parallel_have_the_weights_of_one_direction_each() -> None:
    problem = problem_of(graph="parallel", direction="bidirectional", activations=["relu"] * 3 + ["tanh"] * 3)
    forward, backward = graph.calls(problem)
    assert forward.parameters["weight_hh_l0"] is problem.parameters["weight_hh_l0"]
    assert backward.parameters["weight_hh_l0"] is problem.parameters["weight_hh_l0_reverse"]
    assert (forward.case.activations, backward.case.activations) == (("relu",) * 3, ("tanh",) * 3)


def test_calls_of_a_graph_before_the_one_that_counts_are_calls_of_the_same_graph() -> None:
    problem = problem_of(graph="encoder-decoder", earlier_calls=["same", "no-grad", "other-weights", "error"])
    assert {earlier.case.graph for _, earlier in earlier_problems(problem)} == {"encoder-decoder"}
