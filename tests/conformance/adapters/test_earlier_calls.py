"""Earlier calls differ from the one that is checked, and leave an object with its own mode and parameters."""

from typing import Any, get_args

import numpy as np
import pytest

from conformance.adapters.earlier_calls import earlier_problems, make_earlier_calls
from conformance.cases.case import Case
from conformance.cases.uses import EarlierCall
from conformance.verdict.problem import Problem, make_problem

BASE: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "seq_len": 6, "batch": 3, "dtype": "float64"}


def problem_of(**options: Any) -> Problem:
    return make_problem(Case(**{**BASE, **options}))


@pytest.mark.parametrize("lengths", [None, "ragged"])
def test_earlier_calls_have_other_sizes_or_values(lengths: str | None) -> None:
    problem = problem_of(earlier_calls=get_args(EarlierCall), lengths=lengths)
    earlier = dict(earlier_problems(problem))
    assert list(earlier) == list(get_args(EarlierCall))
    shapes = {word: each.input.shape for word, each in earlier.items()}
    assert {word: shape for word, shape in shapes.items() if shape != problem.input.shape} == {
        "longer": (9, 3, 3),
        "shorter": (3, 3, 3),
        "more-rows": (6, 5, 3),
        "fewer-rows": (6, 1, 3),
        "error": (6, 3, 4),
    }
    assert earlier["same"] is problem
    for word, each in earlier.items():
        assert each.case.earlier_calls == () or word == "same"
        assert (each.lengths is None) == (lengths is None)
        if each.lengths is not None and word != "error":
            assert each.lengths.max() <= each.case.seq_len
            assert each.lengths.shape == (each.case.rows,)
        if word != "same":
            assert not np.array_equal(each.initial_state["h_0"][:, :1], problem.initial_state["h_0"][:, :1])  # type: ignore[index]
    other = earlier["other-weights"].parameters["weight_ih_l0"]
    assert np.array_equal(other, -problem.parameters["weight_ih_l0"])
    assert (problem.case.mode, earlier["other-mode"].case.mode) == ("eval", "train")


class Module:
    """An object with a mode and a parameter. It raises if its input has a feature too many."""

    def __init__(self, problem: Problem) -> None:
        self.trains = False
        self.load(problem)
        self.calls: list[tuple[str, bool, bool]] = []

    def switch_mode(self) -> None:
        self.trains = not self.trains

    def load(self, problem: Problem) -> None:
        self.weight = problem.parameters["weight_ih_l0"]

    def solve(self, problem: Problem, differentiates: bool) -> None:
        assert all((array == 1).all() for array in problem.cotangents.values())
        assert problem.cotangents.keys() == {"output", "h_n", "c_n"}
        sign = "+" if np.array_equal(self.weight, problem_of().parameters["weight_ih_l0"]) else "-"
        self.calls.append((sign, self.trains, differentiates))
        if problem.input.shape[-1] > problem.case.input_size:
            raise ValueError("too many features")


def test_an_object_has_the_other_mode_or_other_weights_during_one_call_only() -> None:
    problem = problem_of(earlier_calls=["other-mode", "other-weights", "no-grad", "error", "same"])
    module = Module(problem)
    make_earlier_calls(problem, module.solve, module.switch_mode, module.load)
    assert module.calls == [
        ("+", True, True),
        ("-", False, True),
        ("+", False, False),
        ("+", False, False),
        ("+", False, True),
    ]
    assert not module.trains
    assert module.weight is problem.parameters["weight_ih_l0"]


def test_an_object_gets_its_mode_and_weights_back_if_a_call_raises() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    for word in ("other-mode", "other-weights"):
        problem = problem_of(earlier_calls=[word])
        module = Module(problem)
        with pytest.raises(RuntimeError, match="broken"):
            make_earlier_calls(problem, fail, module.switch_mode, module.load)
        assert not module.trains
        assert module.weight is problem.parameters["weight_ih_l0"]
