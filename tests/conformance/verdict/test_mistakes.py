"""Mistakes: one array is wrong in the named way, and everything else is as in the case without a mistake."""

from typing import Any, get_args

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.cases.uses import Mistake
from conformance.verdict.mistakes import DESCRIPTIONS
from conformance.verdict.problem import make_problem
from conformance.worker import protocol

SIZES: dict[str, Any] = {"input_size": 4, "hidden_size": 5, "seq_len": 6, "batch": 3, "lengths": [2, 6, 1]}
EXPECTED: dict[Mistake, tuple[str, tuple[int, ...]]] = {
    "input-features": ("input", (6, 3, 5)),
    "input-axes": ("input", (1, 6, 3, 4)),
    "input-dtype": ("input", (6, 3, 4)),
    "h_0-layers": ("h_0", (3, 3, 5)),
    "c_0-layers": ("c_0", (3, 3, 5)),
    "h_0-rows": ("h_0", (4, 1, 5)),
    "c_0-rows": ("c_0", (4, 1, 5)),
    "h_0-units": ("h_0", (4, 3, 1)),
    "c_0-units": ("c_0", (4, 3, 1)),
    "lengths-above": ("lengths", (3,)),
    "lengths-negative": ("lengths", (3,)),
    "weight-transposed": ("weight_hh_l0", (5, 20)),
}


def make(**options: Any) -> Case:
    return Case.model_validate(SIZES | {"check": ["output"], "num_layers": 2, "bidirectional": True} | options)


@pytest.mark.parametrize("mistake", get_args(Mistake))
def test_one_array_is_wrong_and_the_others_are_unchanged(mistake: Mistake) -> None:
    problem, correct = make_problem(make(refuses=mistake)), make_problem(make())
    assert {name: array.shape for name, array in problem.wrong.items()} == dict([EXPECTED[mistake]])
    ((name, wrong),) = problem.wrong.items()
    before = correct.arrays()
    after = problem.arrays()
    assert after.pop(f"wrong.{name}") is wrong
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[each], before[each], equal_nan=True) for each in before)
    assert not wrong.flags.writeable
    right = before[name]
    assert (wrong.dtype, wrong.shape, wrong.tobytes()) != (right.dtype, right.shape, right.tobytes())


def test_wrong_lengths_and_dtypes() -> None:
    assert make_problem(make(refuses="lengths-above")).wrong["lengths"].tolist() == [7, 6, 1]
    assert make_problem(make(refuses="lengths-negative")).wrong["lengths"].tolist() == [-1, 6, 1]
    dtypes = {
        dtype: make_problem(make(refuses="input-dtype", dtype=dtype)).wrong["input"].dtype.name
        for dtype in ("float64", "float32", "float16", "bfloat16")
    }
    assert dtypes == {"float64": "float32", "float32": "float64", "float16": "float64", "bfloat16": "float64"}


def test_the_first_weight_and_the_states_of_the_first_layer_are_wrong() -> None:
    reverse = {"direction": "reverse", "bidirectional": False}
    assert list(make_problem(make(refuses="weight-transposed", **reverse)).wrong) == ["weight_hh_l0_reverse"]
    sizes = make(refuses="c_0-units", hidden_size=[5, 3])
    assert {name: array.shape for name, array in make_problem(sizes).wrong.items()} == {"c_0_l0": (2, 3, 1)}


@pytest.mark.parametrize("mistake", ["c_0-rows", "lengths-negative", "weight-transposed"])
def test_the_worker_protocol_keeps_the_wrong_array_apart(mistake: Mistake) -> None:
    problem = make_problem(make(refuses=mistake))
    received = protocol.to_problem(problem.case, 0, protocol.to_tensors(problem))
    assert received.wrong.keys() == problem.wrong.keys()
    assert all(np.array_equal(received.wrong[name], array) for name, array in problem.wrong.items())
    assert np.array_equal(received.input, problem.input)


def test_each_mistake_is_described() -> None:
    assert set(DESCRIPTIONS) == set(get_args(Mistake)) == set(EXPECTED)
