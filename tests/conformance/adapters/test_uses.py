"""Uses that adapters share: pieces and rows equal one call, and memory is as required."""

from typing import Any

import numpy as np
import pytest

import reference
from conformance.adapters import uses
from conformance.cases.case import Case
from conformance.verdict.problem import Problem, make_problem

BASE: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 6, "batch": 3, "dtype": "float64"}


def problem_of(**options: Any) -> Problem:
    return make_problem(Case(**{**BASE, **options}))


def call_reference(problem: Problem) -> tuple[uses.Call, list[tuple[int, ...]]]:
    """Returns a function that calls the reference, and the list of the shapes of its inputs."""
    shapes: list[tuple[int, ...]] = []

    def call(given: uses.Named) -> uses.Named:
        shapes.append(given["input"].shape)
        state = {name: array for name, array in given.items() if name not in ("input", "lengths")}
        trace = reference.forward(
            problem.case.model, problem.parameters, given["input"], state or None, lengths=given.get("lengths")
        )
        return trace.outputs

    return call, shapes


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({}, [(6, 3, 3)]),
        ({"chunks": [3, 1, 2]}, [(3, 3, 3), (1, 3, 3), (2, 3, 3)]),
        ({"chunks": [4, 2], "batch_first": True, "hidden_size": [4, 2]}, [(3, 4, 3), (3, 2, 3)]),
        ({"chunks": [4, 2], "batch": "unbatched", "initial_state": "omitted"}, [(4, 3), (2, 3)]),
        ({"batching": "alone", "lengths": [2, 6, 1], "direction": "bidirectional"}, [(6, 1, 3)] * 3),
        ({"batching": "permuted", "lengths": [2, 6, 1], "batch_first": True}, [(3, 6, 3)]),
        ({"batching": "alone", "chunks": [4, 2]}, [(4, 1, 3), (2, 1, 3)] * 3),
    ],
    ids=str,
)
def test_pieces_and_rows_equal_one_call(options: dict[str, Any], shapes: list[tuple[int, ...]]) -> None:
    problem = problem_of(**options)
    call, called = call_reference(problem)
    given = uses.arguments(problem)
    results = uses.run(problem.case, call, given, np.concatenate)
    assert called == shapes
    for name, expected in call(given).items():
        np.testing.assert_allclose(results[name], expected, atol=1e-14)


def test_permuted_rows_are_passed_in_another_order() -> None:
    problem = problem_of(batching="permuted", lengths=[2, 6, 1])
    seen = []

    def call(given: uses.Named) -> uses.Named:
        seen.append(given)
        return {"output": given["input"], "h_n": given["h_0"], "c_n": given["c_0"]}

    results = uses.run(problem.case, call, uses.arguments(problem), np.concatenate)
    assert seen[0]["lengths"].tolist() == [6, 1, 2]
    assert np.array_equal(seen[0]["input"], problem.input[:, [1, 2, 0]])
    assert np.array_equal(results["output"], problem.input)


@pytest.mark.parametrize("memory", ["contiguous", "strided", "expanded", "aliased", "read-only"])
def test_memory_has_the_required_layout_and_the_problem_s_values(memory: str) -> None:
    problem = problem_of(memory=memory)
    given = uses.laid_out(problem.case, uses.arguments(problem))
    for name, array in uses.arguments(problem).items():
        np.testing.assert_array_equal(given[name], array)
        assert not np.shares_memory(given[name], array)
    state, x = given["h_0"], given["input"]
    assert {
        "strided": not x.flags.c_contiguous and not state.flags.c_contiguous,
        "expanded": state.strides[1] == 0,
        "aliased": np.shares_memory(state, given["c_0"]),
        "read-only": not x.flags.writeable and not state.flags.writeable,
    } == {name: name == memory for name in ("strided", "expanded", "aliased", "read-only")}


def test_a_write_into_an_argument_is_an_error() -> None:
    problem = problem_of(lengths="ragged", padding="nan")
    given = uses.laid_out(problem.case, uses.arguments(problem))
    uses.check_unchanged(given, problem)
    given["h_0"][0, 0, 0] += 1
    with pytest.raises(RuntimeError, match="wrote into its argument h_0"):
        uses.check_unchanged(given, problem)
