"""``where`` describes the wrong elements by a condition on their coordinates."""

from typing import Any

import numpy as np
import pytest

from conformance.cases.case import Case
from conformance.defects.diagnosis.where import where
from conformance.verdict.judged import JudgedSolution
from conformance.verdict.oracle import Oracle
from conformance.verdict.problem import make_problem
from reference import PROFILES, Dialect

TWO_WAYS = {"num_layers": 2, "direction": "bidirectional"}
LENGTHS = (3, 5, 1, 6, 2)
LAST_STEPS = (np.array(LENGTHS) - 1, np.arange(5))


def place(changes: dict[str, Any], **options: Any) -> str:
    """Returns where a solution is wrong that deviates at an index of each of some tensors."""
    values = {"input_size": 3, "hidden_size": 4, "seq_len": 6, "batch": 5, "dtype": "float64"}
    case = Case.model_validate(values | options)
    problem = make_problem(case)
    expectation = Oracle(None).expect(problem, PROFILES["float64"], Dialect())
    solution = {name: np.array(array) for name, array in expectation.values.items()}
    for name, index in changes.items():
        solution[name][index] += 0.1
    return where(JudgedSolution(problem, solution, expectation, Dialect()))


@pytest.mark.parametrize(
    ("changes", "options", "expected"),
    [
        ({"output": np.s_[..., 2], "c_n": np.s_[..., 2]}, {}, "output and c_n in unit 2"),
        ({"output": np.s_[3:, 2:]}, {}, "output in rows from 2 on, steps from 3 on"),
        ({"output": np.s_[2:, 3:]}, {"batch_first": True}, "output in rows from 2 on, steps from 3 on"),
        ({"output": np.s_[-1]}, {}, "output in the last step"),
        ({"output": np.s_[2:4]}, {}, "output in steps 2 and 3"),
        ({"output": np.s_[2:5, :, 1]}, {"direction": "reverse"}, "output in steps 2 to 4, unit 1"),
        ({"output": LAST_STEPS}, {"lengths": LENGTHS}, "output in the last step of each row"),
        ({"output": (0, [0, 1])}, {"lengths": (0, 0, 2, 3, 4)}, "output in the padding, step 0, rows up to 1"),
        (
            {"output": np.s_[:3, 2, 4:]},
            TWO_WAYS,
            "output in row 2, the reverse direction, steps from 3 on in the order of processing",
        ),
        # Layer 1 reads the wrong states of layer 0.
        ({"h_n": np.s_[[0, 2, 3], 1]}, TWO_WAYS, "h_n in the forward direction, row 1"),
        ({"h_n": np.s_[[2, 3], 1]}, TWO_WAYS, "h_n in layer 1, row 1"),
        ({"h_n_l1": np.s_[:, :, 2]}, {"hidden_size": [4, 3]}, "h_n in layer 1, unit 2"),
        (
            {"output": np.s_[..., 4:]},
            {"direction": "bidirectional", "reverse_hidden_size": 2},
            "output in the reverse direction, units up to 1",
        ),
        (
            {"h_n_l1_reverse": np.s_[..., 1]},
            TWO_WAYS | {"reverse_hidden_size": 2},
            "h_n in layer 1, the reverse direction, unit 1",
        ),
        ({"output": np.s_[:, 1::2]}, {"batch": 9, "seq_len": 2}, "output in rows 1, 3, 5, …"),
        ({"grad.input": np.s_[:, 1:, 2]}, {}, "grad.input in rows from 1 on, feature 2"),
        (
            {"grad.weight_hh_l1_reverse": np.s_[4:8, 2]},
            TWO_WAYS,
            "grad.weight_hh in layer 1, the reverse direction, the forget gate, previous unit 2",
        ),
        ({"grad.peephole_l0": np.s_[8:]}, {"peepholes": True}, "grad.peephole in the output gate"),
        ({"grad.weight_hr_l0": np.s_[:, 3]}, {"proj_size": 3, "hidden_size": 5}, "grad.weight_hr in unit 3"),
        # The gradients follow from the wrong results.
        ({"h_n": np.s_[..., 1], "grad.input": np.s_[..., 1]}, {}, "h_n in unit 1"),
        ({"output": np.s_[...]}, {}, ""),
        # Any element has coordinates.
        ({"output": (5, 4, 3)}, {}, ""),
        # Units 0 to 2 of rows 0 to 2, but only a third of them.
        ({"c_n": (0, [0, 1, 2], [0, 1, 2])}, {}, ""),
    ],
)
def test_wrong_elements_are_described(changes: dict[str, Any], options: dict[str, Any], expected: str) -> None:
    assert place(changes, **options) == expected


def test_unbatched_results_have_steps_and_units() -> None:
    assert place({"output": np.s_[2:, 1:]}, batch="unbatched") == "output in units from 1 on, steps from 2 on"


def test_tensors_of_a_wrong_shape_are_left_out() -> None:
    case = Case(input_size=1, hidden_size=3, seq_len=1, batch=2, dtype="float64", check=("output", "h_n"))
    problem = make_problem(case)
    expectation = Oracle(None).expect(problem, PROFILES["float64"], Dialect())
    solution = {"output": expectation.values["output"][0], "h_n": expectation.values["h_n"] * [1, 2, 1]}
    assert where(JudgedSolution(problem, solution, expectation, Dialect())) == ""
    solution = {"output": expectation.values["output"][0], "h_n": expectation.values["h_n"] * [1, 2, 2]}
    assert where(JudgedSolution(problem, solution, expectation, Dialect())) == "h_n in units from 1 on"
